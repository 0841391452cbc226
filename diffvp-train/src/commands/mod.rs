//! One file a subcommand.

mod eval;
mod export;
mod init;
mod synth;

use diffvp_train::Result;

/// The subcommands.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Write synthetic chest CTs with labels, reports and exact truth.
    Synth(synth::Arguments),
    /// Make a run folder with random weights.
    Init(init::Arguments),
    /// Write the model package of a run folder.
    Export(export::Arguments),
    /// Score generated reports as the published numbers are computed.
    Eval(eval::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Synth(arguments) => Ok(synth::run(arguments)?),
        Command::Init(arguments) => init::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
    }
}
