//! `config.json` of `transformers`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::config::{LlamaConfig, RopeScaling};
use crate::error::{Error, Result};

/// What `config.json` says of a LLaMA.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaCheckpoint {
    /// Sizes; the context is the one of the checkpoint.
    pub decoder: LlamaConfig,
    /// Ids of the tokens that begin and end a text.
    pub special: SpecialTokens,
    /// The name that the checkpoint gives itself, if it does.
    pub name: Option<String>,
}

/// Ids of the tokens that begin and end a text, as far as the checkpoint names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Begins a text.
    pub begin: Option<u32>,
    /// Each of them ends a text.
    pub end: Vec<u32>,
}

/// Fields that sizes or arithmetic depend on. Those of training and generation are not looked at.
#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    rope_theta: Option<f32>,
    rope_scaling: Option<Value>,
    /// θ and scaling together, as version 5 of `transformers` writes them.
    rope_parameters: Option<Value>,
    #[serde(default)]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    sliding_window: Option<usize>,
    partial_rotary_factor: Option<f64>,
    quantization_config: Option<Value>,
    bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrMore>,
    #[serde(rename = "_name_or_path")]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u32),
    More(Vec<u32>),
}

impl LlamaCheckpoint {
    /// Reads `config.json` of the folder.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Checkpoint`] naming what the decoder's graph cannot do; [`Error::Config`] for sizes out of
    /// range.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(Error::read(&path))?;
        Self::parse(&text).map_err(|detail| Error::Checkpoint { path, detail }).and_then(|checkpoint| {
            checkpoint.decoder.validate()?;
            Ok(checkpoint)
        })
    }

    fn parse(json: &str) -> std::result::Result<Self, String> {
        let value: Value = serde_json::from_str(json).map_err(|e| format!("not JSON: {e}"))?;
        let kind = value.get("model_type").and_then(Value::as_str).unwrap_or("none");
        if !matches!(kind, "llama" | "mistral") {
            return Err(format!("its model_type is {kind:?}; the decoder is a LLaMA"));
        }
        let raw: Raw = serde_json::from_value(value).map_err(|e| format!("not the config of a LLaMA: {e}"))?;
        raw.refuse()?;
        let heads = raw.num_attention_heads;
        if raw.head_dim.is_none() && (heads == 0 || !raw.hidden_size.is_multiple_of(heads)) {
            return Err(format!("its hidden_size {} is no multiple of {heads} heads", raw.hidden_size));
        }
        let (rope_theta, rope_scaling) = raw.rotary()?;
        let end = match raw.eos_token_id {
            None => Vec::new(),
            Some(OneOrMore::One(id)) => vec![id],
            Some(OneOrMore::More(ids)) => ids,
        };
        Ok(LlamaCheckpoint {
            decoder: LlamaConfig {
                hidden_size: raw.hidden_size,
                intermediate_size: raw.intermediate_size,
                layers: raw.num_hidden_layers,
                attention_heads: heads,
                key_value_heads: raw.num_key_value_heads.unwrap_or(heads),
                head_dim: raw.head_dim.unwrap_or_else(|| raw.hidden_size / heads),
                vocab_size: raw.vocab_size,
                rms_norm_eps: raw.rms_norm_eps,
                rope_theta,
                rope_scaling,
                context_length: raw.max_position_embeddings,
                tie_word_embeddings: raw.tie_word_embeddings,
            },
            special: SpecialTokens { begin: raw.bos_token_id, end },
            name: raw.name.filter(|name| !name.is_empty()),
        })
    }
}

impl Raw {
    /// Names what makes this another computation than that of the decoder's graph.
    fn refuse(&self) -> std::result::Result<(), String> {
        let architectures = self.architectures.as_deref().unwrap_or_default();
        let other = architectures.iter().find(|a| !matches!(a.as_str(), "LlamaForCausalLM" | "MistralForCausalLM"));
        if let Some(other) = other {
            return Err(format!("its architecture is {other:?}, and LlamaForCausalLM is read"));
        }
        if let Some(window) = self.sliding_window {
            return Err(format!(
                "its attention sees a window of {window} tokens (sliding_window); only full attention is read"
            ));
        }
        let act = self.hidden_act.as_deref().unwrap_or("silu");
        if !matches!(act, "silu" | "swish") {
            return Err(format!("its activation is {act:?} (hidden_act); only \"silu\" is read"));
        }
        for (bias, name) in [(self.attention_bias, "attention_bias"), (self.mlp_bias, "mlp_bias")] {
            if bias {
                return Err(format!("its projections have biases ({name}); only those without are read"));
            }
        }
        if self.partial_rotary_factor.is_some_and(|factor| factor != 1.0) {
            return Err("its rotary embedding turns only a part of each head (partial_rotary_factor)".into());
        }
        if let Some(quantization) = &self.quantization_config {
            let method = quantization.get("quant_method").and_then(Value::as_str).unwrap_or("unknown");
            return Err(format!(
                "its weights are quantised already ({method}); name the f32, f16 or bf16 checkpoint it was made from"
            ));
        }
        Ok(())
    }

    fn rotary(&self) -> std::result::Result<(f32, Option<RopeScaling>), String> {
        let within = self.rope_parameters.as_ref().and_then(|p| p.get("rope_theta")).and_then(Value::as_f64);
        let theta = within.map(|theta| theta as f32).or(self.rope_theta).unwrap_or(10_000.0);
        let Some(stretch) = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref()) else {
            return Ok((theta, None));
        };
        // Older files say "type".
        let kind = stretch.get("rope_type").or_else(|| stretch.get("type")).and_then(Value::as_str);
        let number = |name: &str| {
            let found = stretch.get(name).and_then(Value::as_f64);
            found.map(|v| v as f32).ok_or_else(|| format!("its scaling of rotary frequencies has no number {name:?}"))
        };
        let scaling = match kind.unwrap_or("default") {
            "default" => None,
            "linear" => Some(RopeScaling::Linear { factor: number("factor")? }),
            "llama3" => Some(RopeScaling::Llama3 {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_max_position_embeddings: number("original_max_position_embeddings")? as usize,
            }),
            other => {
                return Err(format!(
                    "its rotary frequencies are scaled by the rule {other:?}; \"linear\" and \"llama3\" are read"
                ));
            }
        };
        Ok((theta, scaling))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn llama2() -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
            "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000, "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2, "rope_scaling": null,
            "tie_word_embeddings": false, "torch_dtype": "float16", "pretraining_tp": 1
        })
    }

    fn with(changes: Value) -> std::result::Result<LlamaCheckpoint, String> {
        let mut config = llama2();
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        LlamaCheckpoint::parse(&config.to_string())
    }

    #[test]
    fn llama_2_has_its_sizes() {
        let found = with(json!({})).unwrap();
        assert_eq!(found.decoder, LlamaConfig { context_length: 4096, ..LlamaConfig::llama2_7b() });
        assert_eq!(found.special, SpecialTokens { begin: Some(1), end: vec![2] });
    }

    #[test]
    fn frequencies_are_read_in_the_old_and_the_new_form() {
        let scaling = json!({"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"});
        let old = with(json!({"rope_theta": 500000.0, "rope_scaling": scaling, "eos_token_id": [2, 5]})).unwrap();
        let mut parameters = scaling.clone();
        parameters["rope_theta"] = json!(500000.0);
        let new = with(json!({"rope_parameters": parameters})).unwrap();
        assert_eq!(old.decoder, new.decoder);
        assert_eq!((old.decoder.rope_theta, old.special.end), (500_000.0, vec![2, 5]));
        assert!(matches!(new.decoder.rope_scaling, Some(RopeScaling::Llama3 { factor: 8.0, .. })));
        let linear = with(json!({"rope_scaling": {"type": "linear", "factor": 2.0}})).unwrap();
        assert_eq!(linear.decoder.rope_scaling, Some(RopeScaling::Linear { factor: 2.0 }));
    }

    #[test]
    fn other_computations_are_refused_by_name() {
        for (change, word) in [
            (json!({"model_type": "mixtral"}), "mixtral"),
            (json!({"architectures": ["LlamaForSequenceClassification"]}), "LlamaForSequenceClassification"),
            (json!({"model_type": "mistral", "sliding_window": 4096}), "sliding_window"),
            (json!({"hidden_act": "gelu"}), "gelu"),
            (json!({"attention_bias": true}), "attention_bias"),
            (json!({"mlp_bias": true}), "mlp_bias"),
            (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
            (json!({"quantization_config": {"quant_method": "gptq"}}), "gptq"),
            (json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}), "yarn"),
            (json!({"rope_scaling": {"rope_type": "llama3", "factor": 4.0}}), "low_freq_factor"),
            (json!({"num_attention_heads": 0}), "heads"),
            (json!({"hidden_size": "wide"}), "LLaMA"),
        ] {
            let error = with(change.clone()).unwrap_err();
            assert!(error.contains(word), "{change}: {error}");
        }
        assert!(with(json!({"model_type": "mistral", "sliding_window": null})).is_ok());
    }
}
