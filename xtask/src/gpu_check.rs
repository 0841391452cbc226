//! `cargo xtask gpu-check`: the table of `tests/benches/gpu`, built and run where cargo is. `gpu-pack` carries the same
//! program to where it is not.

use std::path::PathBuf;

use crate::process::{cargo, run as execute};
use crate::{Result, runtime};

/// Compare a device with the processor and with its limits, and print one table. For a GPU, ORT_DYLIB_PATH must name a
/// libonnxruntime built for it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// As in `cargo xtask runtime`.
    #[arg(long, value_name = "FILE.whl")]
    wheel: Option<PathBuf>,
    /// Arguments of the check, such as `--device cuda:0 --sizes full`; `--help` lists them.
    #[arg(last = true, value_name = "ARGUMENTS")]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let library = runtime::chosen(arguments.wheel.as_deref())?;
    let mut check = cargo();
    check.args("bench --package diffvp-tests --bench gpu --".split(' ')).args(&arguments.rest);
    execute(check.env("ORT_DYLIB_PATH", library))
}
