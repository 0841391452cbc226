//! The same shapes in PyTorch, by `tests/reference/gpu_speed.py`.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::table::Table;
use crate::{AnyError, Setting, Sizes};
use diffvp_tests::decoders::Shape;

pub(crate) fn run(setting: &Setting, table: &mut Table, shape: Shape) -> Result<(), AnyError> {
    let Some((python, script)) = &setting.python else {
        return Ok(());
    };
    let config = serde_json::to_string(&shape.config())?;
    let mut command = Command::new(python);
    command.arg(script).args(["--device", &setting.device.to_string(), "--config", &config]);
    if setting.sizes == Sizes::Full && shape == Shape::TinyLlama {
        command.arg("--encoder");
    }
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        // A traceback says what is wrong at its end, but an interpreter that is stopped may end with empty lines.
        let last: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
        return Err(format!("the script ended with {}: {}", output.status, last.join(" < ")).into());
    }
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.starts_with('{')) {
        let row: Value = serde_json::from_str(line)?;
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        table.row(&format!("{}: {}", shape.name(), text("what")), text("found"), &text("note"));
    }
    Ok(())
}
