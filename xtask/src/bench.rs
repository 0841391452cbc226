//! `cargo xtask bench`: measurements, each a program of `tests/benches/`.

use std::path::PathBuf;

use crate::process::{cargo, run as execute};
use crate::{Result, runtime};

/// Measure, in release builds and with the pinned ONNX Runtime. `docs/performance.md` has results and what they mean.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to measure: `report` for whole reports, `intake` for loading and preparing scans, `decode` for decoders of
    /// known shapes, `cache` for what its cache of eight bits changes of texts, `drafting` for how many tokens of real
    /// reports a run of the decoder gives.
    #[arg(value_enum)]
    what: Bench,
    /// As in `cargo xtask runtime`.
    #[arg(long, value_name = "FILE.whl")]
    wheel: Option<PathBuf>,
    /// Arguments of the measurement, such as scans to take.
    #[arg(last = true, value_name = "ARGUMENTS")]
    rest: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Bench {
    Report,
    Intake,
    Decode,
    Cache,
    Drafting,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let library = runtime::chosen(arguments.wheel.as_deref())?;
    // Measurements start the programs as a user would.
    execute(cargo().args("build --release --workspace --bins --features diffvp/cli".split(' ')))?;
    let name = match arguments.what {
        Bench::Report => "report",
        Bench::Intake => "intake",
        Bench::Decode => "decode",
        Bench::Cache => "cache",
        Bench::Drafting => "drafting",
    };
    let mut bench = cargo();
    bench.args(["bench", "--package", "diffvp-tests", "--bench", name, "--"]).args(&arguments.rest);
    execute(bench.env("ORT_DYLIB_PATH", library))
}
