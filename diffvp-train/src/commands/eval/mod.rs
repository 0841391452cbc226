//! `diffvp-train eval`: one file a subcommand.

mod clinical;

use diffvp_train::Result;

/// Judge generated reports.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Compare the 18 findings that predictions and references state.
    Clinical(clinical::Arguments),
    /// Write the 18 findings that the texts of a column state.
    Label(clinical::LabelArguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Clinical(arguments) => clinical::run(arguments),
        Command::Label(arguments) => clinical::run_label(arguments),
    }
}
