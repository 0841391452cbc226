//! `diffvp-train fit`.

use std::path::PathBuf;

use diffvp_train::fit::config::FitConfig;
use diffvp_train::fit::describe::to_toml;
use diffvp_train::fit::presets::Preset;
use diffvp_train::fit::{FitRequest, Stages, fit};
use diffvp_train::{Error, Result};

/// Train a model: encoder, then classifier, then generator.
///
/// The stages build on each other in one run folder, which `diffvp-train export` takes. Each can be broken off at any
/// time and gone on with by --resume. docs/training.md walks through it.
///
/// Write a config first, and change in it what you need:
///   diffvp-train fit --write-config demo > demo.toml
///   diffvp-train fit all --config demo.toml --data DATA --run RUN
#[derive(clap::Args)]
#[command(verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Print a config with a comment on each field, and end.
    #[arg(long, value_enum, value_name = "PRESET", exclusive = true)]
    write_config: Option<Preset>,
    #[command(subcommand)]
    stage: Option<Stage>,
}

#[derive(clap::Subcommand)]
enum Stage {
    /// Pretrain the encoder on organ masks, or take its weights from a file.
    Encoder(Options),
    /// Train the classifier that predicts the findings, and choose its thresholds.
    Classifier(Options),
    /// Train resampler, difference prompt and language model on the reports.
    Generator(Options),
    /// All three, one after the other.
    All(Options),
}

#[derive(clap::Args)]
struct Options {
    /// The training config (see --write-config).
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
    /// Folder of the data set.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Run folder; made if it is not there.
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// Folder for prepared volumes and features, which runs on the same data can share; RUN/cache by default.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Go on from the newest checkpoint; stages that are complete are not run again.
    #[arg(long)]
    resume: bool,
    /// Leave out scans that cannot be read, and list them, rather than stop at the first.
    #[arg(long)]
    skip_bad: bool,
    /// Train on the GPU; with --processes on one each.
    #[arg(long)]
    cuda: bool,
    /// Processes on this machine that share each batch. Over several machines, start one process each with RANK,
    /// WORLD_SIZE, MASTER_ADDR, MASTER_PORT and LOCAL_RANK set, as torchrun and cluster schedulers do.
    #[arg(long, value_name = "N", default_value_t = 1)]
    processes: usize,
    /// Threads of libtorch in each process; 0 for all cores, or beside a GPU one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(preset) = arguments.write_config {
        print!("{}", to_toml(&preset.config()));
        return Ok(());
    }
    let (options, stages) = match &arguments.stage {
        Some(Stage::Encoder(options)) => (options, Stages::Encoder),
        Some(Stage::Classifier(options)) => (options, Stages::Classifier),
        Some(Stage::Generator(options)) => (options, Stages::Generator),
        Some(Stage::All(options)) => (options, Stages::All),
        None => return Err(Error::Training { detail: "name a stage: encoder, classifier, generator or all".into() }),
    };
    let request = FitRequest {
        config: FitConfig::open(&options.config)?,
        data: options.data.clone(),
        run: options.run.clone(),
        cache: options.cache.clone(),
        cuda: options.cuda,
        threads: options.threads,
        processes: options.processes,
        resume: options.resume,
        skip_bad: options.skip_bad,
    };
    fit(request, stages)
}
