//! `cargo xtask test`.

use std::path::{Path, PathBuf};

use crate::process::{cargo, run as execute};
use crate::{Failure, Result, libtorch, runtime, say};

/// Run all tests, with ONNX Runtime brought into the cache first.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also check format, lints and documentation, as the continuous integration does.
    #[arg(long)]
    all: bool,
    /// Test training too, from phantoms to a report. Skipped, with the reason, where libtorch is not there (`cargo xtask
    /// libtorch`).
    #[arg(long)]
    torch: bool,
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
    execute(test.env("ORT_DYLIB_PATH", &library))?;
    if arguments.torch { training(&library) } else { Ok(()) }
}

/// The tests behind the feature `torch`. Optimised, because a model is trained in them.
fn training(onnx_runtime: &Path) -> Result<()> {
    let Some(folder) = libtorch::find() else {
        say(
            "tests of training are skipped: libtorch is neither in the cache (cargo xtask libtorch) nor named by LIBTORCH",
        );
        return Ok(());
    };
    let lib = folder.join("lib");
    let others = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let search = std::env::join_paths([lib].into_iter().chain(std::env::split_paths(&others)))
        .map_err(|error| Failure::Sentence(format!("{}: {error}", folder.display())))?;
    let mut test = cargo();
    test.args(
        "test --release -p diffvp-train -p diffvp-tests --features diffvp-train/torch,diffvp-tests/torch".split(' '),
    );
    test.args("--lib --test training --test twin --test torch_parity".split(' '));
    execute(test.env("ORT_DYLIB_PATH", onnx_runtime).env("LIBTORCH", folder).env("LD_LIBRARY_PATH", search))
}
