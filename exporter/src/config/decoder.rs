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
    /// Positions of the rotary tables and of the KV cache.
    pub context_length: usize,
    /// Whether `lm_head` is the embedding.
    pub tie_word_embeddings: bool,
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

    pub(super) fn validate(&self) -> Result<()> {
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
        positive("decoder.rope_theta", self.rope_theta)
    }
}
