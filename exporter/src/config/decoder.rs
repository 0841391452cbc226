//! The LLaMA decoder.

use serde::{Deserialize, Serialize};

use super::{in_range, positive};
use crate::error::{Error, Result};

/// Sizes of a LLaMA decoder, named as in Hugging Face's `config.json` where that has a name for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// d_LLM.
    pub hidden_size: usize,
    /// Width of the gated feed-forward layer.
    pub intermediate_size: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Query heads.
    pub attention_heads: usize,
    /// Key-value heads; they divide the query heads.
    pub key_value_heads: usize,
    /// Width of a head, a multiple of 16.
    pub head_dim: usize,
    /// Rows of the embedding and of the logits.
    pub vocab_size: usize,
    /// ε of the root-mean-square norms.
    pub rms_norm_eps: f32,
    /// θ of the rotary embedding.
    pub rope_theta: f32,
    /// How the frequencies of the rotary embedding were stretched for longer texts, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
    /// Positions of the rotary tables and of the KV cache.
    pub context_length: usize,
    /// Whether `lm_head` is the embedding.
    pub tie_word_embeddings: bool,
}

/// How the frequencies of a rotary embedding are stretched, with Hugging Face's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RopeScaling {
    /// All divided by a factor (position interpolation, arXiv 2306.15595).
    Linear {
        /// The divisor.
        factor: f32,
    },
    /// LLaMA 3.1: long waves divided by a factor, short ones kept, and a passage between.
    Llama3 {
        /// Divisor of the long waves.
        factor: f32,
        /// Waves longer than the original context divided by this are long.
        low_freq_factor: f32,
        /// Waves shorter than the original context divided by this are short.
        high_freq_factor: f32,
        /// Positions of the training before the stretch.
        original_max_position_embeddings: usize,
    },
}

impl RopeScaling {
    /// The stretched form of a frequency in radians a position.
    fn apply(&self, frequency: f64) -> f64 {
        match *self {
            RopeScaling::Linear { factor } => frequency / f64::from(factor),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                let [low, high] = [low_freq_factor, high_freq_factor].map(f64::from);
                let waves = original_max_position_embeddings as f64 * frequency / std::f64::consts::TAU;
                let kept = ((waves - low) / (high - low)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / f64::from(factor))
            }
        }
    }

    fn validate(&self) -> Result<()> {
        let field = |name: &str| format!("decoder.rope_scaling.{name}");
        match *self {
            RopeScaling::Linear { factor } => positive(&field("factor"), factor),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                positive(&field("factor"), factor)?;
                positive(&field("low_freq_factor"), low_freq_factor)?;
                positive(&field("high_freq_factor"), high_freq_factor)?;
                if high_freq_factor <= low_freq_factor {
                    let detail = format!("is {high_freq_factor}, not above low_freq_factor {low_freq_factor}");
                    return Err(Error::config(field("high_freq_factor"), detail));
                }
                let original = original_max_position_embeddings;
                in_range(&field("original_max_position_embeddings"), original, 1, 1 << 24)
            }
        }
    }
}

impl LlamaConfig {
    /// LLaMA-2-7B with the context that reports need.
    pub fn llama2_7b() -> Self {
        LlamaConfig {
            hidden_size: 4096,
            intermediate_size: 11_008,
            layers: 32,
            attention_heads: 32,
            key_value_heads: 32,
            head_dim: 128,
            vocab_size: 32_000,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            context_length: 2048,
            tie_word_embeddings: false,
        }
    }

    /// Width of all query heads together.
    pub fn query_size(&self) -> usize {
        self.attention_heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn key_value_size(&self) -> usize {
        self.key_value_heads * self.head_dim
    }

    /// Angle in radians from one position to the next, `[head_dim / 2]`: `θ^(−2i / head_dim)`, stretched where
    /// [`rope_scaling`](Self::rope_scaling) says so.
    pub fn rotary_frequencies(&self) -> Vec<f64> {
        let half = self.head_dim / 2;
        let plain = |i: usize| f64::from(self.rope_theta).powf(-(i as f64) / half as f64);
        (0..half).map(|i| self.rope_scaling.as_ref().map_or(plain(i), |scaling| scaling.apply(plain(i)))).collect()
    }

    pub(crate) fn validate(&self) -> Result<()> {
        in_range("decoder.hidden_size", self.hidden_size, 8, 65_536)?;
        in_range("decoder.intermediate_size", self.intermediate_size, 8, 262_144)?;
        in_range("decoder.layers", self.layers, 1, 256)?;
        in_range("decoder.attention_heads", self.attention_heads, 1, 512)?;
        in_range("decoder.key_value_heads", self.key_value_heads, 1, self.attention_heads)?;
        if !self.attention_heads.is_multiple_of(self.key_value_heads) {
            let detail =
                format!("is {}, which does not divide {} query heads", self.key_value_heads, self.attention_heads);
            return Err(Error::config("decoder.key_value_heads", detail));
        }
        in_range("decoder.head_dim", self.head_dim, 16, 512)?;
        if !self.head_dim.is_multiple_of(16) {
            // GroupQueryAttention asks for this where it rotates.
            return Err(Error::config("decoder.head_dim", format!("is {}, expected a multiple of 16", self.head_dim)));
        }
        in_range("decoder.vocab_size", self.vocab_size, 2, 1 << 20)?;
        in_range("decoder.context_length", self.context_length, 2, 1 << 20)?;
        positive("decoder.rms_norm_eps", self.rms_norm_eps)?;
        positive("decoder.rope_theta", self.rope_theta)?;
        self.rope_scaling.as_ref().map_or(Ok(()), RopeScaling::validate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against `transformers.modeling_rope_utils` for LLaMA 3.2's settings.
    #[test]
    fn frequencies_are_stretched_as_by_transformers() {
        let mut config = LlamaConfig { head_dim: 64, rope_theta: 500_000.0, ..LlamaConfig::llama2_7b() };
        let plain = config.rotary_frequencies();
        assert_eq!((plain[0], plain.len()), (1.0, 32));
        config.rope_scaling = Some(RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        });
        let stretched = config.rotary_frequencies();
        assert_eq!((stretched[0], stretched[31]), (1.0, plain[31] / 32.0));
        let expected = [1.290_548_011e-3, 4.295_567_051e-4, 9.708_286_234e-5];
        for (found, expected) in stretched[15..18].iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
        }
        config.rope_scaling = Some(RopeScaling::Linear { factor: 4.0 });
        assert_eq!(config.rotary_frequencies()[7], plain[7] / 4.0);
    }
}
