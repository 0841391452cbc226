//! Adapters merged into the weights they adapt.

use std::collections::HashMap;
use std::path::Path;

use diffvp_exporter::config::LlamaConfig;
use diffvp_exporter::weights::{SafetensorsWeights, Weights, llama_specs};
use rayon::prelude::*;

use super::{ADAPTER_WEIGHTS, PeftConfig, names};
use crate::{Error, Result};

/// A decoder's weights with an adapter merged in, matrix by matrix as they are asked for.
pub struct Merged {
    base: Box<dyn Weights>,
    adapter: SafetensorsWeights,
    config: PeftConfig,
}

impl Merged {
    /// The adapter of a folder over the weights of a decoder. Which matrices it adapts its tensors say.
    ///
    /// # Errors
    /// [`Error::RunFolder`] for variants of LoRA that are not read, and for tensors that do not belong to a matrix of this
    /// decoder: the adapter is one for another base. Those of the file of tensors.
    pub fn open(base: Box<dyn Weights>, folder: &Path, decoder: &LlamaConfig) -> Result<Self> {
        let config = PeftConfig::open(folder)?;
        let path = folder.join(ADAPTER_WEIGHTS);
        let adapter = SafetensorsWeights::open(&path)?;
        let wrong = |detail: String| Error::RunFolder { path: path.clone(), detail };
        let mut expected: HashMap<String, ([usize; 2], String)> = HashMap::new();
        for spec in llama_specs(decoder) {
            if let ([out, input], Some(module)) = (&spec.shape[..], spec.name.strip_suffix(".weight")) {
                let [a, b] = names(module);
                expected.insert(a.clone(), ([config.r, *input], b.clone()));
                expected.insert(b, ([*out, config.r], a));
            }
        }
        let found: HashMap<&str, &[usize]> = adapter.tensors().collect();
        let mut listed: Vec<_> = found.iter().collect();
        listed.sort_unstable();
        for (name, shape) in &listed {
            let Some((wanted, _)) = expected.get(**name) else {
                return Err(wrong(format!(
                    "{name:?} adapts no matrix of this decoder of {} layers: the adapter is one for another base",
                    decoder.layers
                )));
            };
            if ***shape != wanted[..] {
                return Err(wrong(format!(
                    "{name:?} has shape {shape:?}, and this decoder needs {wanted:?}: the adapter is one for another base"
                )));
            }
        }
        for (name, _) in listed {
            let lacks = expected.get(*name).map(|(_, other)| other).filter(|other| !found.contains_key(other.as_str()));
            if let Some(other) = lacks {
                return Err(wrong(format!("{name:?} is there without {other:?}")));
            }
        }
        if found.is_empty() {
            return Err(wrong("it holds no tensors".into()));
        }
        Ok(Merged { base, adapter, config })
    }

    /// The base that the adapter names, if it does.
    pub fn base_name(&self) -> Option<&str> {
        self.config.base_model_name_or_path.as_deref().filter(|name| !name.is_empty())
    }
}

impl Weights for Merged {
    /// `W + scale · B A` where the matrix is adapted, added up in float64.
    fn tensor(&self, name: &str, shape: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        let mut values = self.base.tensor(name, shape)?;
        let (Some(module), [out, input]) = (name.strip_suffix(".weight"), shape) else { return Ok(values) };
        let [a, b] = names(module);
        if !self.adapter.tensors().any(|(have, _)| have == a) {
            return Ok(values);
        }
        let (rank, scale) = (self.config.r, self.config.scale());
        let a = self.adapter.tensor(&a, &[rank, *input])?;
        let b = self.adapter.tensor(&b, &[*out, rank])?;
        values.par_chunks_mut(*input).zip(b.par_chunks(rank)).for_each_init(
            || vec![0f64; *input],
            |update, (row, b)| {
                update.fill(0.0);
                for (a, b) in a.chunks(*input).zip(b) {
                    update.iter_mut().zip(a).for_each(|(sum, a)| *sum += f64::from(*b) * f64::from(*a));
                }
                row.iter_mut().zip(&*update).for_each(|(value, sum)| *value = (f64::from(*value) + scale * sum) as f32);
            },
        );
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use diffvp_exporter::ModelConfig;
    use diffvp_exporter::weights::{Init, RandomWeights, TensorSpec, save_safetensors};

    use super::*;
    use crate::adapter::LoraConfig;

    fn adapter(folder: &Path, model: &ModelConfig, change: impl FnOnce(&mut Vec<TensorSpec>)) -> RandomWeights {
        let lora = LoraConfig { rank: 2, alpha: 6.0, dropout: 0.0, targets: vec!["v_proj".into()] };
        let mut specs = lora.specs(&model.decoder).unwrap();
        specs.iter_mut().for_each(|s| s.init = Init::Normal { mean: 0.0, std: 1.0 });
        change(&mut specs);
        let random = RandomWeights::from_specs(specs.clone(), 5);
        save_safetensors(&folder.join(ADAPTER_WEIGHTS), &specs, &random, &Default::default()).unwrap();
        lora.save(folder, None).unwrap();
        random
    }

    #[test]
    fn merging_adds_the_scaled_product() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelConfig::demo(300);
        let adapter = adapter(folder.path(), &model, |_| {});
        let base = RandomWeights::new(&model, 1);
        let merged = Merged::open(Box::new(RandomWeights::new(&model, 1)), folder.path(), &model.decoder).unwrap();
        let (name, shape) = ("model.layers.1.self_attn.v_proj.weight", [64, 128]);
        let (plain, found) = (base.tensor(name, &shape).unwrap(), merged.tensor(name, &shape).unwrap());
        let [a, b] = names("model.layers.1.self_attn.v_proj");
        let (a, b) = (adapter.tensor(&a, &[2, 128]).unwrap(), adapter.tensor(&b, &[64, 2]).unwrap());
        let (row, column) = (17, 90);
        let expected = plain[row * 128 + column] + 3.0 * (b[2 * row] * a[column] + b[2 * row + 1] * a[128 + column]);
        assert!((found[row * 128 + column] - expected).abs() < 1e-5);
        let other = "model.layers.1.self_attn.q_proj.weight";
        assert_eq!(base.tensor(other, &[128, 128]).unwrap(), merged.tensor(other, &[128, 128]).unwrap());
    }

    #[test]
    fn an_adapter_for_another_base_is_refused() {
        let model = ModelConfig::demo(300);
        type Change = fn(&mut Vec<TensorSpec>);
        let cases: [(&str, Change); 4] = [
            ("another base", |s| s[0].name = s[0].name.replace("layers.0", "layers.3")),
            ("another base", |s| s[1].shape[0] = 96),
            ("without", |s| drop(s.remove(1))),
            ("no tensors", |s| s.clear()),
        ];
        for (word, change) in cases {
            let folder = tempfile::tempdir().unwrap();
            adapter(folder.path(), &model, change);
            let error =
                Merged::open(Box::new(RandomWeights::new(&model, 1)), folder.path(), &model.decoder).err().unwrap();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
