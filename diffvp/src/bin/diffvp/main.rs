//! The `diffvp` command: reports, inspects scans, verifies packages, examines the installation.

mod demo;
mod doctor;
mod inspect;
mod output;
mod package;
mod report;

use clap::{Parser, Subcommand};
use diffvp::Result;

/// Chest CT to radiology report.
///
/// Not for clinical use, unless the manufacturer's manifest of the model package says otherwise.
/// Nothing is sent anywhere. Exit status: 0, or the number of the error as listed in docs/errors.md.
#[derive(Parser)]
#[command(name = "diffvp", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print what happens inside to standard error (also: the variable DIFFVP_LOG, such as `debug`).
    #[arg(long, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Write the report of a scan.
    Report(report::Arguments),
    /// Report a synthetic scan with the model inside this program, or write both to a folder.
    Demo(demo::Arguments),
    /// Show what a scan is: geometry, series, warnings.
    Inspect(inspect::Arguments),
    /// Work on model packages.
    #[command(subcommand)]
    Package(package::Command),
    /// Examine the installation: which ONNX Runtime, from where, which providers, telemetry.
    Doctor(doctor::Arguments),
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    start_log(arguments.verbose);
    let result: Result<()> = match arguments.command {
        Command::Report(arguments) => report::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Package(command) => package::run(&command),
        Command::Doctor(arguments) => doctor::run(&arguments),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("diffvp: {error}");
            std::process::ExitCode::from(u8::try_from(error.code()).unwrap_or(99))
        }
    }
}

fn start_log(verbose: bool) {
    let filter = match std::env::var("DIFFVP_LOG") {
        Ok(filter) => filter,
        Err(_) if verbose => "debug".to_owned(),
        Err(_) => return,
    };
    let filter = tracing_subscriber::EnvFilter::new(filter);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
