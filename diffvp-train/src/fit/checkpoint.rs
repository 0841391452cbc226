//! The state of a stage between two steps, in one safetensors file: it is there whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::adamw::AdamW;
use super::tensors;
use crate::model::Parameters;
use crate::{Error, Result};

/// What a stage has reached. Random numbers need no state: those of a step follow from seed and step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Stage.
    pub(super) stage: String,
    /// Optimizer steps done.
    pub(super) step: u64,
    /// Best value of the criterion so far, the lower the better; none before the first validation.
    pub(super) best: Option<f64>,
    /// Step of the best value.
    pub(super) best_step: u64,
    /// Validations since then.
    pub(super) since_best: u64,
    /// Hash of config, data and number of steps: a checkpoint of something else is refused.
    pub(super) belongs_to: String,
}

/// Parameters of the best validation, by name.
pub(super) type Best = BTreeMap<String, Tensor>;

/// Writes the state.
///
/// # Errors
/// Those of writing, such as a full disk; the older checkpoint stays.
pub(super) fn save(
    path: &Path,
    progress: &Progress,
    state: &[(String, Tensor)],
    adam: &AdamW,
    best: &Best,
) -> Result<()> {
    let mut all: Vec<(String, Tensor)> =
        state.iter().map(|(name, t)| (format!("now/{name}"), t.shallow_clone())).collect();
    for (name, [m, v]) in &adam.moments {
        all.push((format!("m/{name}"), m.shallow_clone()));
        all.push((format!("v/{name}"), v.shallow_clone()));
    }
    all.extend(best.iter().map(|(name, t)| (format!("best/{name}"), t.shallow_clone())));
    let json = serde_json::to_string(progress).map_err(|e| Error::training(e.to_string()))?;
    let metadata = HashMap::from([("progress".to_string(), json)]);
    tensors::write(path, all.iter().map(|(name, t)| (name.as_str(), t)), &metadata)
}

/// Reads a state into the parameters.
///
/// # Errors
/// [`Error::RunFolder`] where the file is damaged, or of another config or data set.
pub(super) fn load(path: &Path, belongs_to: &str, parameters: &mut Parameters) -> Result<(Progress, AdamW, Best)> {
    let wrong = |detail: String| Error::RunFolder { path: path.to_path_buf(), detail };
    let (all, metadata) = tensors::read(path, parameters.device())?;
    let json = metadata.get("progress").ok_or_else(|| wrong("it is no checkpoint of this program".into()))?;
    let progress: Progress = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
    if progress.belongs_to != belongs_to {
        let detail = "it belongs to another config, another data set or other start weights; \
                      go on with those it was made with, or start a new run folder";
        return Err(wrong(detail.into()));
    }
    let (mut adam, mut best) = (AdamW::default(), Best::new());
    let mut second = BTreeMap::new();
    for (name, tensor) in all {
        match name.split_once('/') {
            Some(("now", name)) => parameters.set(name, &tensor)?,
            Some(("m", name)) => {
                adam.moments.insert(name.to_string(), [tensor, Tensor::new()]);
            }
            Some(("v", name)) => {
                second.insert(name.to_string(), tensor);
            }
            Some(("best", name)) => {
                best.insert(name.to_string(), tensor);
            }
            _ => return Err(wrong(format!("it holds {name:?}"))),
        }
    }
    for (name, [_, v]) in &mut adam.moments {
        *v = second.remove(name).ok_or_else(|| wrong(format!("the second moment of {name} is missing")))?;
    }
    Ok((progress, adam, best))
}
