//! `diffvp-train init`.

use std::path::PathBuf;

use diffvp_train::Result;
use diffvp_train::run::{Preset, init};

/// Make a run folder with random weights: the start of training, or a model for measurements.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Sizes of the model.
    #[arg(long, value_enum, default_value = "demo")]
    preset: Preset,
    /// Seed of the weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder to make.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Keep the seed in place of the weights, which are then made at export, one tensor at a time.
    #[arg(long, alias = "no-weights")]
    random: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    init(arguments.preset, arguments.seed, !arguments.random, &arguments.out)?;
    eprintln!("{}: a run folder with random weights", arguments.out.display());
    Ok(())
}
