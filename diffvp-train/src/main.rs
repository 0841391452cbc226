//! The `diffvp-train` command.

mod commands;

use clap::{Parser, Subcommand};

/// Data, training and export for diffvp models.
///
/// Exit status: 0, or the number of the error as listed in docs/errors.md.
#[derive(Parser)]
#[command(name = "diffvp-train", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write synthetic chest CTs with labels, reports and exact truth.
    Synth(commands::synth::Arguments),
}

fn main() -> std::process::ExitCode {
    let result = match Arguments::parse().command {
        Command::Synth(arguments) => commands::synth::run(&arguments),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("diffvp-train: {error}");
            std::process::ExitCode::from(u8::try_from(error.code()).unwrap_or(99))
        }
    }
}
