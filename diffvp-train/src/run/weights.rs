//! Where the weights of a run come from.

use std::path::{Path, PathBuf};

use diffvp_exporter::ModelConfig;
use diffvp_exporter::weights::{RandomWeights, SafetensorsWeights, Weights};
use serde::{Deserialize, Serialize};

use super::{DECODER, RANDOM, WEIGHTS, parse};
use crate::Result;
use crate::adapter::Merged;

const WEIGHTS_INDEX: &str = "weights.safetensors.index.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Random {
    pub(super) seed: u64,
}

/// Where the weights of a decoder lie that a run adapts or takes over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoder {
    /// A file or folder of safetensors, such as a LLaMA of Hugging Face.
    Files(PathBuf),
    /// Random weights of a seed.
    Random(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecoderFile {
    pub(super) weights: Decoder,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) adapter: Option<PathBuf>,
}

impl DecoderFile {
    /// Opens them; a relative place of the adapter is one in `folder`.
    fn open(self, folder: &Path, config: &ModelConfig) -> Result<Box<dyn Weights>> {
        let base: Box<dyn Weights> = match self.weights {
            Decoder::Files(path) => Box::new(SafetensorsWeights::open(path)?),
            Decoder::Random(seed) => Box::new(RandomWeights::new(config, seed)),
        };
        Ok(match self.adapter {
            Some(adapter) => Box::new(Merged::open(base, &folder.join(adapter), &config.decoder)?),
            None => base,
        })
    }
}

/// All weights of a run folder.
pub(super) fn open(folder: &Path, config: &ModelConfig) -> Result<Box<dyn Weights>> {
    let own: Box<dyn Weights> = if folder.join(RANDOM).exists() {
        let random: Random = parse(folder, RANDOM)?;
        Box::new(RandomWeights::new(config, random.seed))
    } else {
        let index = folder.join(WEIGHTS_INDEX);
        Box::new(SafetensorsWeights::open(if index.exists() { index } else { folder.join(WEIGHTS) })?)
    };
    if !folder.join(DECODER).exists() {
        return Ok(own);
    }
    let decoder = parse::<DecoderFile>(folder, DECODER)?.open(folder, config)?;
    Ok(Box::new(WithDecoder { own, decoder }))
}

/// Whether a weight is one of the decoder.
pub(crate) fn of_decoder(name: &str) -> bool {
    name.starts_with("model.") || name.starts_with("lm_head.")
}

/// The run's own weights, and a decoder from elsewhere.
struct WithDecoder {
    own: Box<dyn Weights>,
    decoder: Box<dyn Weights>,
}

impl Weights for WithDecoder {
    fn tensor(&self, name: &str, shape: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        if of_decoder(name) { &self.decoder } else { &self.own }.tensor(name, shape)
    }
}

/// Weights from several files; the first that has a name serves it.
pub struct Layers(Vec<SafetensorsWeights>);

impl Layers {
    /// The files in the order in which they are asked.
    pub fn new(files: impl IntoIterator<Item = SafetensorsWeights>) -> Self {
        Layers(files.into_iter().collect())
    }
}

impl Weights for Layers {
    fn tensor(&self, name: &str, shape: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        let file = self.0.iter().find(|file| file.tensors().any(|(have, _)| have == name));
        file.ok_or_else(|| diffvp_exporter::Error::WeightMissing { name: name.to_string() })?.tensor(name, shape)
    }
}
