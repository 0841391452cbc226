//! A checkpoint folder: its weights against its sizes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::config::LlamaCheckpoint;
use crate::config::LlamaConfig;
use crate::error::{Error, Result};
use crate::weights::{SafetensorsWeights, TensorSpec, Weights, llama_specs};

/// A LLaMA in a folder. Its weights are mapped and read one by one.
pub struct Checkpoint {
    /// What `config.json` says.
    pub config: LlamaCheckpoint,
    weights: SafetensorsWeights,
    folder: PathBuf,
}

impl Checkpoint {
    /// Opens a folder, and compares the names and shapes of its tensors with those of its sizes.
    ///
    /// # Errors
    /// Those of [`LlamaCheckpoint::open`]; [`Error::WeightMissing`] and [`Error::WeightShape`]; [`Error::Checkpoint`] for
    /// tensors that a LLaMA does not have, and for weights that are in no safetensors file.
    pub fn open(folder: &Path) -> Result<Self> {
        let config = LlamaCheckpoint::open(folder)?;
        if pickled(folder) {
            return Err(Error::Checkpoint {
                path: folder.to_path_buf(),
                detail: "its weights are in pytorch_model.bin; write them as safetensors: load the model with \
                         transformers and call save_pretrained"
                    .into(),
            });
        }
        let weights = SafetensorsWeights::open(folder)?;
        let checkpoint = Checkpoint { config, weights, folder: folder.to_path_buf() };
        checkpoint.compare()?;
        Ok(checkpoint)
    }

    /// Names and shapes of the weights.
    pub fn specs(&self) -> Vec<TensorSpec> {
        llama_specs(&self.config.decoder)
    }

    /// The named weights.
    pub fn into_weights(self) -> SafetensorsWeights {
        self.weights
    }

    fn compare(&self) -> Result<()> {
        let found: std::collections::HashMap<&str, &[usize]> = self.weights.tensors().collect();
        let specs = self.specs();
        for spec in &specs {
            let name = || spec.name.clone();
            match found.get(spec.name.as_str()) {
                None => return Err(Error::WeightMissing { name: name() }),
                Some(shape) if **shape != spec.shape[..] => {
                    let (expected, found) = (spec.shape.clone(), shape.to_vec());
                    return Err(Error::WeightShape { name: name(), expected, found });
                }
                Some(_) => {}
            }
        }
        let known: HashSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let mut others: Vec<&str> = found
            .keys()
            .copied()
            .filter(|name| !known.contains(name) && !is_derived(name, &self.config.decoder))
            .collect();
        others.sort_unstable();
        if others.is_empty() {
            return Ok(());
        }
        let (some, count) = (others[..others.len().min(3)].join(", "), others.len());
        let detail = format!("holds {count} tensors that a LLaMA of these sizes does not have: {some}");
        Err(Error::Checkpoint { path: self.folder.clone(), detail })
    }
}

/// Whether weights are there only as Python's pickle, which can run any program.
fn pickled(folder: &Path) -> bool {
    let has = |end: &str| {
        let mut files = folder.read_dir().into_iter().flatten().flatten();
        files.any(|file| file.file_name().to_string_lossy().ends_with(end))
    };
    has(".bin") && !has(".safetensors") && !has(".safetensors.index.json")
}

/// Tensors that follow from others: tables of old versions of `transformers`, and a head that is the embedding.
fn is_derived(name: &str, config: &LlamaConfig) -> bool {
    name.ends_with(".rotary_emb.inv_freq") || (config.tie_word_embeddings && name == "lm_head.weight")
}

/// Reads every tensor once, which finds NaN and infinities; `on_tensor` hears position and number of all.
///
/// # Errors
/// Those of [`Weights::tensor`].
pub fn verify(specs: &[TensorSpec], weights: &dyn Weights, mut on_tensor: impl FnMut(usize, usize)) -> Result<()> {
    for (index, spec) in specs.iter().enumerate() {
        on_tensor(index, specs.len());
        weights.tensor(&spec.name, &spec.shape)?;
    }
    Ok(())
}
