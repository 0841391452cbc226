//! `cargo xtask demo`: a chest CT becomes a report.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{cargo, root, run as execute};
use crate::{Result, fail, runtime, say};

/// A chest CT becomes a report: build, and report a synthetic scan with the model inside the program.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Your own scan (NIfTI file, DICOM file or folder) instead of the synthetic one.
    #[arg(long, value_name = "PATH")]
    scan: Option<PathBuf>,
    /// Where the difference map goes.
    #[arg(long, value_name = "FILE.png", default_value = "demo-map.png")]
    map: PathBuf,
    /// As in `cargo xtask runtime`.
    #[arg(long, value_name = "FILE.whl")]
    wheel: Option<PathBuf>,
}

const BUILD: &str = "build --release --package diffvp --features cli --bin diffvp";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(scan) = &arguments.scan
        && !scan.exists()
    {
        return fail(format!("{}: no such file or folder", scan.display()));
    }
    let library = runtime::chosen(arguments.wheel.as_deref())?;
    execute(cargo().args(BUILD.split(' ')))?;
    let mut report = Command::new(program("diffvp"));
    report.arg("demo").args(&arguments.scan).arg("--map").arg(&arguments.map);
    execute(report.env("ORT_DYLIB_PATH", &library))?;
    say(&format!("the difference map is in {}", arguments.map.display()));
    Ok(())
}

/// A program of this workspace, as `cargo build --release` leaves it.
fn program(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let target = root().join(target.unwrap_or_else(|| "target".into()));
    target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
