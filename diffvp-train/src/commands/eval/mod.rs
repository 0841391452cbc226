//! `diffvp-train eval`: one file a subcommand.

mod clinical;

use diffvp_train::Result;

/// Judge generated reports.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What each says of itself stands with its arguments.
#[derive(clap::Subcommand)]
enum Command {
    Clinical(clinical::Arguments),
    Label(clinical::LabelArguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Clinical(arguments) => clinical::run(arguments),
        Command::Label(arguments) => clinical::run_label(arguments),
    }
}
