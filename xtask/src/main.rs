//! `cargo xtask`: the commands of this repository.

mod bench;
mod cache;
mod demo;
mod gpu_check;
mod gpu_pack;
mod header;
mod libtorch;
mod msrv;
mod notices;
mod process;
mod runtime;
mod sanitize;
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands of this repository.
///
/// What they fetch or make lies in one cache folder: DIFFVP_CACHE where that is set, otherwise `diffvp` in
/// the user's cache folder. No command needs administrator rights, and once ONNX Runtime is in the cache
/// none needs the network beyond what cargo does.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A chest CT becomes a report: build, make the demo scan and model package, print the report.
    Demo(demo::Arguments),
    /// Run all tests, with ONNX Runtime brought into the cache first.
    Test(tests::Arguments),
    /// Measure whole reports, or loading and preparing scans.
    Bench(bench::Arguments),
    /// Compare a device with the processor and with its limits; without arguments, the processor with small models.
    GpuCheck(gpu_check::Arguments),
    /// Gather what gpu-check needs on a machine with a GPU that has neither cargo nor a network.
    GpuPack(gpu_pack::Arguments),
    /// Bring ONNX Runtime into the cache and print where it lies.
    Runtime {
        /// Take the library from this file of the `onnxruntime` Python package instead of asking pip: for
        /// machines without network. Its SHA-256 must be the pinned one.
        #[arg(long, value_name = "FILE.whl")]
        wheel: Option<PathBuf>,
    },
    /// Bring libtorch, which only training needs, into the cache (1.1 GB), and print what a shell must set to use it:
    /// `eval "$(cargo xtask libtorch)"`.
    Libtorch {
        /// Take the wheels of PyTorch from this folder instead of asking pip: for machines without network. Their
        /// SHA-256 must be the pinned ones.
        #[arg(long, value_name = "FOLDER")]
        wheels: Option<PathBuf>,
    },
    /// Write include/diffvp.h, or check that it is what the sources give.
    Header(header::Arguments),
    /// Write THIRD-PARTY-NOTICES.md, or check that it is what Cargo.lock gives.
    Notices(notices::Arguments),
    /// Check that the stated rust-version is true of every dependency, and compile with it where it is installed.
    Msrv,
    /// Run the tests with threads under ThreadSanitizer; builds everything anew, which takes minutes.
    SanitizeThreads,
    /// Remove what these commands put into the cache folder.
    CleanCache,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => tests::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::GpuCheck(arguments) => gpu_check::run(&arguments),
        Command::GpuPack(arguments) => gpu_pack::run(&arguments),
        Command::Runtime { wheel } => {
            runtime::ensure(wheel.as_deref()).map(|library| println!("{}", library.display()))
        }
        Command::Libtorch { wheels } => {
            libtorch::ensure(wheels.as_deref()).map(|library| println!("{}", libtorch::environment(&library)))
        }
        Command::Header(arguments) => header::run(&arguments),
        Command::Notices(arguments) => notices::run(&arguments),
        Command::Msrv => msrv::run(),
        Command::SanitizeThreads => sanitize::run(),
        Command::CleanCache => cache::clean(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said(status)) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(Failure::Sentence(text)) => {
            eprintln!("xtask: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command ended early.
#[derive(Debug)]
enum Failure {
    /// What went wrong and what to do.
    Sentence(String),
    /// A program that was started has told; this is its exit status.
    Said(i32),
}

type Result<T> = std::result::Result<T, Failure>;

fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(Failure::Sentence(text.into()))
}

/// Says what is about to happen.
fn say(text: &str) {
    eprintln!("xtask: {text}");
}
