//! One file a subcommand.

mod export;
#[cfg(feature = "torch")]
mod fit;
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
    /// Train a model.
    #[cfg(feature = "torch")]
    Fit(fit::Arguments),
    /// Write the model package of a run folder.
    Export(export::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Synth(arguments) => Ok(synth::run(arguments)?),
        Command::Init(arguments) => init::run(arguments),
        #[cfg(feature = "torch")]
        Command::Fit(arguments) => fit::run(arguments),
        Command::Export(arguments) => export::run(arguments),
    }
}
