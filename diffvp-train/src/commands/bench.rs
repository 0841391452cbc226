//! `diffvp-train bench`.

use diffvp_train::fit::bench::{StepRequest, step};
use diffvp_train::fit::presets::Preset;
use diffvp_train::{Error, Result};

/// What is measured.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Time of a training step of the generator, with random weights on random scans and texts
    ///
    /// Runs the stage as `fit generator` does, from cached features of the encoder on. The decoder's weights are made on
    /// the device. Prints JSON; docs/training.md says what the numbers are. tests/reference/train_step_peft.py does the
    /// same with transformers and PEFT.
    #[command(verbatim_doc_comment)]
    Step(Options),
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Sizes, batch and precision.
    #[arg(long, value_enum, value_name = "PRESET", default_value = "paper")]
    preset: Preset,
    /// Steps that are measured.
    #[arg(long, value_name = "N", default_value_t = 20)]
    steps: u64,
    /// Steps before them that are not.
    #[arg(long, value_name = "N", default_value_t = 2)]
    warm_up: u64,
    /// Scans of a step, in parts of the preset's size; the preset's batch without this.
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Mean number of rows of prompt and report; those of a scan are 3/4 to 5/4 of it.
    #[arg(long, value_name = "N", default_value_t = 512)]
    rows: usize,
    /// What the device computes at most, in 10^12 floating-point operations per second; 989 for bfloat16 on an H100 SXM.
    #[arg(long, value_name = "TFLOPS", default_value_t = 989.0)]
    peak_tflops: f64,
    /// Measure the GPU.
    #[arg(long)]
    cuda: bool,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Step(options) = command;
    let request = StepRequest {
        config: options.preset.config(),
        steps: options.steps,
        warm_up: options.warm_up,
        batch: options.batch,
        rows: options.rows,
        peak_tflops: options.peak_tflops,
        cuda: options.cuda,
    };
    let found = serde_json::to_string_pretty(&step(request)?);
    println!("{}", found.map_err(|e| Error::Training { detail: e.to_string() })?);
    Ok(())
}
