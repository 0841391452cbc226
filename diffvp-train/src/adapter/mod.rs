//! LoRA adapters in the format of Hugging Face's PEFT: names, settings, and merging into the weights they adapt.

mod merge;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use diffvp_exporter::config::LlamaConfig;
use diffvp_exporter::weights::{Init, TensorSpec};
use serde::{Deserialize, Serialize};

pub use merge::Merged;

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
    #[serde(default)]
    task_type: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: serde_json::Value,
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
    /// Settings of other variants, which must be empty.
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// Settings of LoRA's variants that change what is added to which weights.
const VARIANTS: [&str; 9] = [
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "layer_replication",
    "lora_bias",
    "use_qalora",
    "use_bdlora",
    "target_parameters",
    "trainable_token_indices",
];

impl PeftConfig {
    /// # Errors
    /// [`Error::RunFolder`] where it is not there, not LoRA, or a variant that is not merged here, by name.
    fn open(folder: &Path) -> Result<PeftConfig> {
        let path = folder.join(ADAPTER_CONFIG);
        let wrong = |detail: String| Error::RunFolder { path: path.clone(), detail };
        let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
        let config: PeftConfig = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let none = |name: &str| match config.others.get(name) {
            None | Some(serde_json::Value::Null | serde_json::Value::Bool(false)) => true,
            Some(serde_json::Value::Array(list)) => list.is_empty(),
            Some(serde_json::Value::Object(map)) => map.is_empty(),
            Some(_) => false,
        };
        let other = VARIANTS.into_iter().find(|name| !none(name));
        let refused = match &config {
            c if c.peft_type != "LORA" => Some(format!("peft_type {}", c.peft_type)),
            c if c.use_dora => Some("DoRA (use_dora)".into()),
            c if c.fan_in_fan_out => Some("transposed weights (fan_in_fan_out)".into()),
            c if c.bias.as_deref().unwrap_or("none") != "none" => Some("biases (bias)".into()),
            c if c.r == 0 => Some("rank 0 (r)".into()),
            _ => other.map(String::from),
        };
        match refused {
            Some(what) => Err(wrong(format!("an adapter with {what} is not read; plain LoRA is"))),
            None => Ok(config),
        }
    }

    /// Factor of the update: α / r, or α / √r where the scale is rank-stabilised (arXiv 2312.03732).
    fn scale(&self) -> f64 {
        let rank = self.r as f64;
        self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
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
            task_type: Some("CAUSAL_LM".into()),
            r: self.rank,
            lora_alpha: self.alpha,
            lora_dropout: self.dropout,
            target_modules: self.targets.clone().into(),
            bias: Some("none".into()),
            fan_in_fan_out: false,
            use_dora: false,
            use_rslora: false,
            base_model_name_or_path: base.map(str::to_string),
            inference_mode: true,
            others: BTreeMap::new(),
        };
        let json = serde_json::to_string_pretty(&config).unwrap_or_default();
        Ok(diffvp::files::write_atomic(folder.join(ADAPTER_CONFIG), |out| out.write_all(json.as_bytes()))?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_and_variants_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let config = LoraConfig { rank: 4, alpha: 8.0, dropout: 0.1, targets: vec!["q_proj".into()] };
        config.save(folder.path(), Some("base")).unwrap();
        let read = PeftConfig::open(folder.path()).unwrap();
        assert_eq!((read.r, read.scale(), read.target_modules), (4, 2.0, serde_json::json!(["q_proj"])));
        let path = folder.path().join(ADAPTER_CONFIG);
        let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for (name, value, word) in [
            ("use_dora", true.into(), "DoRA"),
            ("peft_type", "LOHA".into(), "LOHA"),
            ("bias", "all".into(), "biases"),
            ("modules_to_save", vec!["lm_head"].into(), "modules_to_save"),
            ("rank_pattern", serde_json::json!({"q_proj": 2}), "rank_pattern"),
            ("r", 0.into(), "rank 0"),
        ] {
            let mut changed = saved.clone();
            changed[name] = value;
            std::fs::write(&path, changed.to_string()).unwrap();
            let error = PeftConfig::open(folder.path()).err().unwrap().to_string();
            assert!(error.contains(word), "{error}");
        }
        let mut changed = saved.clone();
        (changed["use_rslora"], changed["target_modules"]) = (true.into(), "all-linear".into());
        std::fs::write(&path, changed.to_string()).unwrap();
        assert_eq!(PeftConfig::open(folder.path()).unwrap().scale(), 4.0);
    }
}
