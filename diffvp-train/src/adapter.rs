//! LoRA adapters in the format of Hugging Face's PEFT: names, settings, and merging into the weights they adapt.

use std::io::Write;
use std::path::Path;

use diffvp_exporter::config::LlamaConfig;
use diffvp_exporter::weights::{Init, SafetensorsWeights, TensorSpec, Weights};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// File of the adapter's tensors, in PEFT's name for it.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// File of the adapter's settings, in PEFT's name for it.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

/// A low-rank adapter: `y = x Wᵀ + (α / r) · dropout(x) Aᵀ Bᵀ` (Hu et al., arXiv 2106.09685).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank r.
    pub rank: usize,
    /// α; the update is scaled by α / r.
    pub alpha: f64,
    /// Dropout of the adapter's input in training.
    pub dropout: f64,
    /// Matrices of each layer that are adapted: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`.
    pub targets: Vec<String>,
}

/// The settings file, as far as PEFT and this project need it.
#[derive(Serialize, Deserialize)]
struct PeftConfig {
    peft_type: String,
    task_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: Vec<String>,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(default)]
    inference_mode: bool,
}

impl LoraConfig {
    /// Factor of the update, α / r.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// The adapter's tensors for a decoder. A starts random and B zero, so that an untrained adapter changes nothing.
    ///
    /// # Errors
    /// [`Error::Training`] for a target that no layer has, or a rank of 0.
    pub fn specs(&self, decoder: &LlamaConfig) -> Result<Vec<TensorSpec>> {
        if self.rank == 0 {
            return Err(Error::training(
                "lora.rank is 0; leave out the table [generator.lora] to train without an adapter",
            ));
        }
        let mut specs = Vec::new();
        for layer in 0..decoder.layers {
            for target in &self.targets {
                let (module, out, input) = matrix(target, decoder).ok_or_else(|| {
                    Error::training(format!("lora.targets: {target:?} is no matrix of a LLaMA layer"))
                })?;
                let base = format!("model.layers.{layer}.{module}");
                let std = (3.0 * input as f32).powf(-0.5);
                let [a, b] = names(&base);
                specs.push(TensorSpec {
                    name: a,
                    shape: vec![self.rank, input],
                    init: Init::Normal { mean: 0.0, std },
                });
                let init = Init::Normal { mean: 0.0, std: 0.0 };
                specs.push(TensorSpec { name: b, shape: vec![out, self.rank], init });
            }
        }
        Ok(specs)
    }

    /// Writes `adapter_config.json`.
    ///
    /// # Errors
    /// Those of writing.
    pub fn save(&self, folder: &Path, base: Option<&str>) -> Result<()> {
        let config = PeftConfig {
            peft_type: "LORA".into(),
            task_type: "CAUSAL_LM".into(),
            r: self.rank,
            lora_alpha: self.alpha,
            lora_dropout: self.dropout,
            target_modules: self.targets.clone(),
            bias: Some("none".into()),
            fan_in_fan_out: false,
            use_dora: false,
            use_rslora: false,
            base_model_name_or_path: base.map(str::to_string),
            inference_mode: true,
        };
        let json = serde_json::to_string_pretty(&config).unwrap_or_default();
        Ok(diffvp::files::write_atomic(folder.join(ADAPTER_CONFIG), |out| out.write_all(json.as_bytes()))?)
    }

    /// Reads `adapter_config.json`.
    ///
    /// # Errors
    /// [`Error::RunFolder`] where it is not there, not LoRA, or a variant that is not merged here (DoRA, biases).
    pub fn open(folder: &Path) -> Result<LoraConfig> {
        let path = folder.join(ADAPTER_CONFIG);
        let wrong = |detail: String| Error::RunFolder { path: path.clone(), detail };
        let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
        let config: PeftConfig = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let plain = config.peft_type == "LORA"
            && !config.use_dora
            && !config.use_rslora
            && !config.fan_in_fan_out
            && config.bias.as_deref().unwrap_or("none") == "none";
        if !plain || config.r == 0 {
            return Err(wrong("only plain LoRA is read: no DoRA, no rank-stabilised scale, no biases".into()));
        }
        Ok(LoraConfig {
            rank: config.r,
            alpha: config.lora_alpha,
            dropout: config.lora_dropout,
            targets: config.target_modules,
        })
    }
}

/// Module path, outputs and inputs of a matrix that can be adapted.
fn matrix(target: &str, c: &LlamaConfig) -> Option<(String, usize, usize)> {
    let (part, out, input) = match target {
        "q_proj" => ("self_attn", c.query_size(), c.hidden_size),
        "k_proj" | "v_proj" => ("self_attn", c.key_value_size(), c.hidden_size),
        "o_proj" => ("self_attn", c.hidden_size, c.query_size()),
        "gate_proj" | "up_proj" => ("mlp", c.intermediate_size, c.hidden_size),
        "down_proj" => ("mlp", c.hidden_size, c.intermediate_size),
        _ => return None,
    };
    Some((format!("{part}.{target}"), out, input))
}

/// Names of A `[r, in]` and B `[out, r]` of an adapted matrix, such as `model.layers.0.self_attn.q_proj`.
pub fn names(module: &str) -> [String; 2] {
    ["A", "B"].map(|part| format!("base_model.model.{module}.lora_{part}.weight"))
}

/// Weights with an adapter merged in.
pub struct Merged<'w> {
    base: &'w dyn Weights,
    adapter: SafetensorsWeights,
    config: LoraConfig,
}

impl<'w> Merged<'w> {
    /// The adapter of a folder over `base`.
    ///
    /// # Errors
    /// Those of [`LoraConfig::open`] and of the file of tensors.
    pub fn open(base: &'w dyn Weights, folder: &Path) -> Result<Self> {
        let config = LoraConfig::open(folder)?;
        Ok(Merged { base, adapter: SafetensorsWeights::open(folder.join(ADAPTER_WEIGHTS))?, config })
    }
}

impl Weights for Merged<'_> {
    /// `W + (α / r) · B A` where the matrix is adapted.
    fn tensor(&self, name: &str, shape: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        let mut values = self.base.tensor(name, shape)?;
        let Some(module) = name.strip_suffix(".weight") else { return Ok(values) };
        if !self.config.targets.iter().any(|t| module.ends_with(&format!(".{t}"))) || shape.len() != 2 {
            return Ok(values);
        }
        let ([a, b], rank, scale) = (names(module), self.config.rank, self.config.scale());
        let a = self.adapter.tensor(&a, &[rank, shape[1]])?;
        let b = self.adapter.tensor(&b, &[shape[0], rank])?;
        for (row, b) in values.chunks_mut(shape[1]).zip(b.chunks(rank)) {
            for (column, value) in row.iter_mut().enumerate() {
                let update: f64 = (0..rank).map(|r| f64::from(b[r]) * f64::from(a[r * shape[1] + column])).sum();
                *value = (f64::from(*value) + scale * update) as f32;
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffvp_exporter::ModelConfig;
    use diffvp_exporter::weights::{RandomWeights, save_safetensors};

    #[test]
    fn settings_survive_peft_and_variants_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = LoraConfig { rank: 4, alpha: 8.0, dropout: 0.1, targets: vec!["q_proj".into()] };
        config.save(folder.path(), Some("base")).unwrap();
        assert_eq!(LoraConfig::open(folder.path()).unwrap(), config);
        let path = folder.path().join(ADAPTER_CONFIG);
        let text = std::fs::read_to_string(&path).unwrap().replace("\"use_dora\": false", "\"use_dora\": true");
        std::fs::write(&path, text).unwrap();
        assert!(LoraConfig::open(folder.path()).unwrap_err().to_string().contains("DoRA"));
    }

    #[test]
    fn merging_adds_the_scaled_product() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelConfig::demo(300);
        let lora = LoraConfig { rank: 2, alpha: 6.0, dropout: 0.0, targets: vec!["v_proj".into()] };
        let mut specs = lora.specs(&model.decoder).unwrap();
        specs.iter_mut().for_each(|s| s.init = Init::Normal { mean: 0.0, std: 1.0 });
        let adapter = RandomWeights::from_specs(specs.clone(), 5);
        save_safetensors(&folder.path().join(ADAPTER_WEIGHTS), &specs, &adapter, &Default::default()).unwrap();
        lora.save(folder.path(), None).unwrap();
        let base = RandomWeights::new(&model, 1);
        let merged = Merged::open(&base, folder.path()).unwrap();
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
}
