//! Run folders around a LLaMA of Hugging Face.

use std::path::{Path, PathBuf};

use diffvp::package::manifest::PromptSegment;
use diffvp_exporter::ModelConfig;
use diffvp_exporter::huggingface::{Checkpoint, CheckpointTokenizer, tokenizer_of, verify};
use diffvp_exporter::package::lineage;
use diffvp_exporter::weights::Weights;

use super::init::untrained;
use super::weights::{DecoderFile, Random};
use super::{
    CONFIG, DECODER, DESCRIPTION, Decoder, Description, Preset, RANDOM, TOKENIZER, create, json, vacant, write,
};
use crate::adapter::Merged;
use crate::{Error, Result};

/// Positions of a package where the caller names none: prompts and reports of this method take up to 2,000 tokens.
const CONTEXT: usize = 2048;
/// Width of a decoder from which on the projector's second layer is of low rank, as in the paper's sizes.
const WIDE: usize = 1024;

/// What is imported.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// Folder of the checkpoint.
    pub checkpoint: PathBuf,
    /// Folder of a PEFT adapter that is merged into it.
    pub adapter: Option<PathBuf>,
    /// Tokenizer in place of the one in the folder.
    pub tokenizer: Option<PathBuf>,
    /// Sizes of everything but the decoder.
    pub vision: Preset,
    /// Positions of the KV cache; the checkpoint's, at most 2,048, where none is named.
    pub context_length: Option<usize>,
    /// Seed of the weights of everything but the decoder.
    pub seed: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Sizes of the run.
    pub config: ModelConfig,
    /// Weights of the decoder.
    pub weights: u64,
    /// Tokens of the tokenizer.
    pub tokens: usize,
    /// The base that the adapter was trained over, in its own words, where it is not this checkpoint's.
    pub other_base: Option<String>,
}

/// Makes a run folder with the decoder of a LLaMA checkpoint and random weights for the rest: a start for training, and
/// a package for measurements. The checkpoint stays where it is; the run names it.
///
/// Every weight is read once, so that damage shows now. `on_tensor` hears of each before (position, number of all).
/// Memory is that of one tensor beside the mapped file.
///
/// # Errors
/// [`Error::Exporter`] naming what is missing, damaged or not a LLaMA of this form; [`Error::RunFolder`] for the
/// adapter, and where `folder` exists and is not empty; [`Error::Training`] for a context beyond the checkpoint's.
/// Nothing is written then.
pub fn import(request: &ImportRequest, folder: &Path, on_tensor: impl FnMut(usize, usize)) -> Result<Imported> {
    vacant(folder)?;
    let checkpoint = Checkpoint::open(&request.checkpoint)?;
    let tokenizer = tokenizer_of(&request.checkpoint, request.tokenizer.as_deref(), &checkpoint.config)?;
    let config = sizes(request, &checkpoint)?;
    let path = std::path::absolute(&request.checkpoint).unwrap_or_else(|_| request.checkpoint.clone());
    let adapter = request.adapter.as_ref().map(|a| std::path::absolute(a).unwrap_or_else(|_| a.clone()));
    let (specs, name) = (checkpoint.specs(), checkpoint.config.name.clone());
    let mut other_base = None;
    let mut weights: Box<dyn Weights> = Box::new(checkpoint.into_weights());
    if let Some(folder) = &adapter {
        let merged = Merged::open(weights, folder, &config.decoder)?;
        other_base = other(merged.base_name(), &path, name.as_deref());
        weights = Box::new(merged);
    }
    verify(&specs, &*weights, on_tensor)?;

    create(folder)?;
    write(&folder.join(TOKENIZER), &tokenizer.json)?;
    write(&folder.join(DESCRIPTION), &json(&describe(&config, &tokenizer)))?;
    write(&folder.join(RANDOM), &json(&Random { seed: request.seed }))?;
    write(&folder.join(DECODER), &json(&DecoderFile { weights: Decoder::Files(path), adapter }))?;
    // Last: a folder without it is not taken for a run.
    write(&folder.join(CONFIG), &config.to_json())?;
    let count = specs.iter().map(|spec| spec.shape.iter().product::<usize>() as u64).sum();
    Ok(Imported { config, weights: count, tokens: tokenizer.tokens, other_base })
}

fn sizes(request: &ImportRequest, checkpoint: &Checkpoint) -> Result<ModelConfig> {
    let mut config = request.vision.config(checkpoint.config.decoder.vocab_size);
    config.decoder = checkpoint.config.decoder.clone();
    let longest = config.decoder.context_length;
    config.decoder.context_length = match request.context_length {
        Some(wanted) if wanted > longest => {
            return Err(Error::Training {
                detail: format!(
                    "a context of {wanted} tokens was asked for, and the checkpoint has {longest} positions"
                ),
            });
        }
        Some(wanted) => wanted,
        None => longest.min(CONTEXT),
    };
    if config.decoder.hidden_size > WIDE {
        config.difference.projector_rank = ModelConfig::paper().difference.projector_rank;
    }
    config.validate()?;
    Ok(config)
}

/// The adapter's base where its last part is another name than those of the checkpoint.
fn other(base: Option<&str>, path: &Path, name: Option<&str>) -> Option<String> {
    let last = |name: &str| name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_lowercase();
    let folder = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let base = base?;
    let same = Some(last(base)) == folder || name.is_some_and(|name| last(name) == last(base));
    (!same).then(|| base.to_string())
}

/// Tokens of a section, so that ten of them with their headings leave a fifth of the context to the prompt.
fn section_tokens(context: usize) -> usize {
    const USUAL: usize = 160;
    (context * 4 / 5 / lineage::REGIONS.len()).saturating_sub(8).clamp(1, USUAL)
}

fn describe(config: &ModelConfig, tokenizer: &CheckpointTokenizer) -> Description {
    let begin = tokenizer.begin.as_deref();
    let mut prompt = lineage::prompt(begin.unwrap_or_default());
    prompt.retain(|segment| begin.is_some() || !matches!(segment, PromptSegment::Token { .. }));
    let text = "A LLaMA of Hugging Face as decoder; everything before it has random weights.";
    Description {
        prompt,
        generation: lineage::guided_sections(section_tokens(config.decoder.context_length)),
        end_tokens: tokenizer.end.clone(),
        card_notes: "The decoder was not trained on scans, and the encoder, classifier and difference hold random numbers: \
                     findings and text mean nothing. The package shows that a decoder of this checkpoint runs, and how fast."
            .into(),
        ..untrained("diffvp-imported-llama", text.into(), config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_of_another_name_is_told() {
        let told = |base: &str, name: Option<&str>| other(Some(base), Path::new("/models/Llama-2-7b-hf"), name);
        assert_eq!(told("meta-llama/Llama-2-7b-hf", None), None);
        assert_eq!(told("/other/place/llama-2-7B-hf/", None), None);
        assert_eq!(told("lmsys/vicuna-7b", Some("lmsys/vicuna-7b")), None);
        assert_eq!(told("lmsys/vicuna-7b", None).as_deref(), Some("lmsys/vicuna-7b"));
        assert_eq!(other(None, Path::new("/models/a"), None), None);
    }
}
