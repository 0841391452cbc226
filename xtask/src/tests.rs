//! `cargo xtask test`.

use std::path::PathBuf;

use crate::process::{cargo, run as execute};
use crate::{Result, runtime};

/// Run all tests, with ONNX Runtime brought into the cache first.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also check format, lints and documentation, as the continuous integration does.
    #[arg(long)]
    all: bool,
    /// As in `cargo xtask runtime`.
    #[arg(long, value_name = "FILE.whl")]
    wheel: Option<PathBuf>,
    /// Passed on to `cargo test`: a filter, or after another `--` options of the test programs.
    #[arg(last = true, value_name = "CARGO TEST ARGUMENTS")]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.all {
        execute(cargo().args(["fmt", "--all", "--check"]))?;
        execute(cargo().args("clippy --workspace --all-targets --features diffvp/cli -- -D warnings".split(' ')))?;
        let mut doc = cargo();
        doc.args("doc --workspace --no-deps --features diffvp/cli".split(' ')).env("RUSTDOCFLAGS", "-D warnings");
        execute(&mut doc)?;
    }
    let library = runtime::chosen(arguments.wheel.as_deref())?;
    // The tests of the whole start the programs as a user would, and cargo builds those of other packages only
    // when asked.
    execute(cargo().args("build --workspace --bins --features diffvp/cli".split(' ')))?;
    let mut test = cargo();
    test.args("test --workspace --features diffvp/cli".split(' ')).args(&arguments.rest);
    execute(test.env("ORT_DYLIB_PATH", library))
}
