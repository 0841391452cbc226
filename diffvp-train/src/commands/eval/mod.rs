//! `diffvp-train eval`: one file a subcommand.

mod clinical;
mod compare;
mod judge;
mod phantoms;
mod regions;
mod text;

use diffvp_train::Result;

#[cfg(feature = "torch")]
pub(crate) use text::write_json;

/// Score generated reports as the published numbers are computed.
///
/// docs/evaluation.md has the convention of each number.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// BLEU, METEOR, ROUGE and CIDEr of predictions against references.
    Text(text::Arguments),
    /// Two methods report by report: differences, intervals, tests.
    Compare(compare::Arguments),
    /// Metrics by region, and whether the right regions are reported.
    Regions(regions::Arguments),
    /// Pairwise prompts for a language model as judge, and its answers counted.
    Judge(judge::Arguments),
    Clinical(clinical::Arguments),
    Phantoms(phantoms::Arguments),
    Label(clinical::LabelArguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Clinical(arguments) => clinical::run(arguments),
        Command::Label(arguments) => clinical::run_label(arguments),
        Command::Phantoms(arguments) => phantoms::run(arguments),
        Command::Text(arguments) => text::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Regions(arguments) => regions::run(arguments),
        Command::Judge(arguments) => judge::run(arguments),
    }
}
