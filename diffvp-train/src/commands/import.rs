//! `diffvp-train import`.

use std::path::PathBuf;

use diffvp_train::Result;
use diffvp_train::run::{ImportRequest, Preset, import};

use super::progress::Progress;

/// What can be imported.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Llama(Arguments),
}

/// Make a run folder around a LLaMA of Hugging Face: config.json, safetensors in one file or in shards (f32, f16 or bf16), and
/// tokenizer.json or tokenizer.model.
///
/// Grouped queries, tied embeddings and the rotary scaling of LLaMA 3 are known. The checkpoint stays where it is, and the run
/// names it; all weights are read once and checked. What comes before the decoder gets random weights: train it with
/// `fit` (generator.decoder_weights is the checkpoint), or `export` the run to measure the decoder.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the checkpoint.
    checkpoint: PathBuf,
    /// Folder to make.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Folder of a PEFT adapter (LoRA) that is merged into the weights.
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
    /// tokenizer.json or tokenizer.model in place of the one in the checkpoint's folder.
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Sizes of encoder, classifier and difference.
    #[arg(long, value_enum, default_value = "paper-vision")]
    vision: Preset,
    /// Tokens of prompt and report together, at most; the checkpoint's own number up to 2048 where none is given.
    #[arg(long, value_name = "N")]
    context_length: Option<usize>,
    /// Seed of the random weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Llama(arguments) = command;
    let request = ImportRequest {
        checkpoint: arguments.checkpoint.clone(),
        adapter: arguments.adapter.clone(),
        tokenizer: arguments.tokenizer.clone(),
        vision: arguments.vision,
        context_length: arguments.context_length,
        seed: arguments.seed,
    };
    let progress = Progress::new("tensors checked");
    let found = import(&request, &arguments.out, |index, all| progress.tell(index as u64, all as u64));
    progress.end();
    let found = found?;
    if let Some(base) = &found.other_base {
        eprintln!("warning: the adapter says that it was trained over {base:?}, which is not this checkpoint's name");
    }
    let c = &found.config.decoder;
    eprintln!(
        "{}: {:.2} billion weights in {} layers of {}, {} heads for {} of keys and values, {} tokens, context {}",
        arguments.out.display(),
        found.weights as f64 / 1e9,
        c.layers,
        c.hidden_size,
        c.attention_heads,
        c.key_value_heads,
        found.tokens,
        c.context_length
    );
    eprintln!("next: diffvp-train export {} --out PACKAGE --references SCAN", arguments.out.display());
    Ok(())
}
