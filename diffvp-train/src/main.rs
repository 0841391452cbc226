//! The `diffvp-train` command: what a model engineer does, from data to a model package.

mod commands;

use clap::Parser;

/// From data to model packages for diffvp.
///
/// Exit status: 0, or the number of the error as listed in docs/errors.md.
#[derive(Parser)]
#[command(name = "diffvp-train", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> std::process::ExitCode {
    match commands::run(&Arguments::parse().command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("diffvp-train: {error}");
            std::process::ExitCode::from(u8::try_from(error.code()).unwrap_or(99))
        }
    }
}
