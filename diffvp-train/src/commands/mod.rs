//! One file a subcommand.

#[cfg(feature = "torch")]
mod ablate;
#[cfg(feature = "torch")]
mod bench;
mod data;
mod eval;
mod export;
#[cfg(feature = "torch")]
mod fit;
mod import;
mod init;
mod phrases;
mod progress;
mod synth;

use diffvp_train::Result;

/// The subcommands.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Synth(synth::Arguments),
    /// Work on data sets: what they hold, and what is wrong with them.
    #[command(subcommand)]
    Data(data::Command),
    /// Make a run folder with random weights.
    Init(init::Arguments),
    /// Make a run folder around the weights of others.
    #[command(subcommand)]
    Import(import::Command),
    /// Train a model.
    #[cfg(feature = "torch")]
    Fit(fit::Arguments),
    #[cfg(feature = "torch")]
    Ablate(ablate::Arguments),
    /// Measure training.
    #[cfg(feature = "torch")]
    #[command(subcommand)]
    Bench(bench::Command),
    /// Write the model package of a run folder.
    Export(export::Arguments),
    Phrases(phrases::Arguments),
    /// Judge generated reports.
    Eval(eval::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Synth(arguments) => Ok(synth::run(arguments)?),
        Command::Data(command) => data::run(command),
        Command::Init(arguments) => init::run(arguments),
        Command::Import(command) => import::run(command),
        #[cfg(feature = "torch")]
        Command::Fit(arguments) => fit::run(arguments),
        #[cfg(feature = "torch")]
        Command::Ablate(arguments) => ablate::run(arguments),
        #[cfg(feature = "torch")]
        Command::Bench(command) => bench::run(command),
        Command::Export(arguments) => export::run(arguments),
        Command::Phrases(arguments) => phrases::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
    }
}
