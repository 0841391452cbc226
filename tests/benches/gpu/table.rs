//! The table as it grows: a row is printed when it is known, so that a run that is cut off has told what it found.

use std::process::{Command, Stdio};

use diffvp::Device;
use diffvp::runtime::info;

use crate::AnyError;

pub(crate) struct Table {
    failed: bool,
}

impl Table {
    pub(crate) fn begin() -> Table {
        println!("| what | found | |\n|---|---|---|");
        Table { failed: false }
    }

    pub(crate) fn row(&mut self, what: &str, found: impl std::fmt::Display, note: &str) {
        println!("| {what} | {found} | {note} |");
    }

    /// A row that must hold.
    pub(crate) fn check(&mut self, what: &str, found: impl std::fmt::Display, holds: bool, note: &str) {
        self.failed |= !holds;
        let note = if holds { note.to_owned() } else { format!("**FAILED** {note}") };
        self.row(what, found, &note);
    }

    pub(crate) fn failure(&mut self, what: &str, error: &AnyError) {
        let text = error.to_string().replace(['\n', '|'], " ");
        self.check(what, text, false, "");
    }

    /// The row of a part that may fail while the others go on.
    pub(crate) fn attempt(&mut self, what: &str, part: impl FnOnce(&mut Table) -> Result<(), AnyError>) {
        if let Err(error) = part(self) {
            self.failure(what, &error);
        }
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed
    }
}

/// What runs here.
pub(crate) fn machine(table: &mut Table, device: Device) -> Result<(), AnyError> {
    let info = info(None)?;
    table.row("device", device, &format!("{} threads", std::thread::available_parallelism()?));
    table.row("ONNX Runtime", &info.version, &info.providers.join(", "));
    if let Some(card) =
        command_line("nvidia-smi", &["--query-gpu=name,driver_version,memory.used", "--format=csv,noheader"])
    {
        table.row("card, driver, memory in use before", card, "");
    }
    Ok(())
}

/// Standard output of a program without the line's end; `None` where it cannot be run.
pub(crate) fn command_line(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; "))
}

/// GPU memory in use by all processes, in MB; `None` without a GPU.
pub(crate) fn gpu_memory() -> Option<f64> {
    command_line("nvidia-smi", &["--query-gpu=memory.used", "--format=csv,noheader,nounits"])?.parse().ok()
}
