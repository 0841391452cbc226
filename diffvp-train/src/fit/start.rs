//! Start weights from files of others: MedicalNet's `.pth`, and safetensors.

use std::collections::HashMap;
use std::path::Path;

use diffvp_exporter::weights::{SafetensorsWeights, TensorSpec, Weights};
use pytorch_reader::{DType, PytorchReader};

use crate::{Error, Result};

/// Prefix of the head that reads findings off an encoder's cells. A classifier that starts from the encoder starts with it.
pub(super) const FINDINGS_HEAD: &str = "cells.findings.";

/// Tensors of a backbone under the names of MedicalNet and torchvision, without a prefix.
pub(super) struct Backbone {
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    prefix: String,
    path: std::path::PathBuf,
}

impl Backbone {
    /// Reads a file; `prefix` is what the model's names begin with, such as `encoder`.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file where it cannot be read or holds no tensor of a ResNet.
    pub(super) fn open(path: &Path, prefix: &str) -> Result<Self> {
        let tensors = if path.extension().is_some_and(|e| e == "safetensors") || path.is_dir() {
            from_safetensors(path, prefix)?
        } else {
            from_pytorch(path)?
        };
        if !tensors.contains_key("conv1.weight") {
            let mut names: Vec<&String> = tensors.keys().take(5).collect();
            names.sort();
            return Err(Error::data(path, format!("no ResNet: it has no conv1.weight; it holds {names:?} and others")));
        }
        Ok(Backbone { tensors, prefix: format!("{prefix}."), path: path.to_path_buf() })
    }

    /// Those of the list that belong to the backbone.
    pub(super) fn covers(&self, spec: &TensorSpec) -> bool {
        spec.name
            .strip_prefix(&self.prefix)
            .is_some_and(|name| !name.starts_with("head.") || self.tensors.contains_key(name))
    }
}

impl Weights for Backbone {
    fn tensor(&self, name: &str, shape: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        let key = name.strip_prefix(&self.prefix).unwrap_or(name);
        let missing = || diffvp_exporter::Error::WeightFile {
            path: self.path.clone(),
            detail: format!("it has no {key}: another depth or shortcut than the config's?"),
        };
        let (found, values) = self.tensors.get(key).ok_or_else(missing)?;
        if found != shape {
            return Err(diffvp_exporter::Error::WeightShape {
                name: name.to_string(),
                expected: shape.to_vec(),
                found: found.clone(),
            });
        }
        Ok(values.clone())
    }
}

type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

fn from_safetensors(path: &Path, prefix: &str) -> Result<Tensors> {
    let file = SafetensorsWeights::open(path)?;
    let own = format!("{prefix}.");
    // A file of this project has a prefix: the wanted one, or that of an encoder that a classifier starts from.
    let prefixes = [own.as_str(), "encoder.", ""];
    let has = |prefix: &&str| file.tensors().any(|(name, _)| name == format!("{prefix}conv1.weight"));
    let found = prefixes.into_iter().find(has).unwrap_or("");
    let mut tensors = Tensors::new();
    for (name, shape) in file.tensors() {
        // Another classifier's head is of its own labels.
        if let Some(key) = name.strip_prefix(found).filter(|key| !key.starts_with("head.")) {
            tensors.insert(key.to_string(), (shape.to_vec(), file.tensor(name, shape)?));
        } else if let Some(part) = name.strip_prefix(FINDINGS_HEAD) {
            tensors.insert(format!("head.{part}"), (shape.to_vec(), file.tensor(name, shape)?));
        }
    }
    Ok(tensors)
}

/// MedicalNet saved `{"state_dict": {"module.conv1.weight": …}}` of a `DataParallel` model.
fn from_pytorch(path: &Path) -> Result<Tensors> {
    let failed = |e: &dyn std::fmt::Display| Error::data(path, format!("no PyTorch file that can be read: {e}"));
    let nested = PytorchReader::with_top_level_key(path, "state_dict").ok().filter(|r| !r.is_empty());
    let reader = match nested {
        Some(reader) => reader,
        None => PytorchReader::new(path).map_err(|e| failed(&e))?,
    };
    let mut tensors = Tensors::new();
    for (name, tensor) in reader.tensors() {
        let key = name.strip_prefix("module.").unwrap_or(name);
        // Counters of batches and the heads of other tasks are not of the backbone.
        if key.ends_with("num_batches_tracked")
            || key.starts_with("head.")
            || !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16)
        {
            continue;
        }
        let bytes = tensor.read().map_err(|e| failed(&e))?;
        let values = match tensor.dtype() {
            DType::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            DType::F16 => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
            _ => bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        };
        tensors.insert(key.to_string(), (tensor.shape().to_vec(), values));
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use diffvp_exporter::weights::{Init, RandomWeights, save_safetensors};

    use super::*;

    fn spec(name: &str) -> TensorSpec {
        TensorSpec { name: name.into(), shape: vec![3], init: Init::Normal { mean: 0.0, std: 1.0 } }
    }

    #[test]
    fn a_classifier_takes_over_the_encoder_and_its_head_of_findings() {
        let folder = tempfile::tempdir().unwrap();
        let start = |names: &[&str], file: &str| {
            let specs: Vec<TensorSpec> = names.iter().map(|name| spec(name)).collect();
            let path = folder.path().join(file);
            let random = RandomWeights::from_specs(specs.clone(), 1);
            save_safetensors(&path, &specs, &random, &Default::default()).unwrap();
            (Backbone::open(&path, "classifier").unwrap(), random)
        };
        let head = spec("classifier.head.weight");
        let (organs, _) = start(&["encoder.conv1.weight"], "organs.safetensors");
        assert!(organs.covers(&spec("classifier.conv1.weight")) && !organs.covers(&head));
        let names = ["encoder.conv1.weight", "cells.findings.weight", "cells.organs.weight"];
        let (both, written) = start(&names, "both.safetensors");
        assert!(both.covers(&head) && !both.covers(&spec("classifier.head.bias")));
        for (ours, theirs) in [("classifier.conv1.weight", names[0]), ("classifier.head.weight", names[1])] {
            assert_eq!(both.tensor(ours, &[3]).unwrap(), written.tensor(theirs, &[3]).unwrap());
        }
    }
}
