//! Shapes of decoders, for measurements with seeded weights.

use diffvp::package::manifest::DecoderSizes;
use diffvp_exporter::config::LlamaConfig;

/// A decoder's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Small enough for tests.
    Small,
    /// SmolLM2-135M.
    SmolLm2,
    /// TinyLlama 1.1B.
    TinyLlama,
    /// LLaMA-2 7B.
    Llama7b,
}

impl Shape {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Small => "small",
            Shape::SmolLm2 => "SmolLM2 135M",
            Shape::TinyLlama => "TinyLlama 1.1B",
            Shape::Llama7b => "LLaMA-2 7B",
        }
    }

    /// Sizes for the exporter.
    pub fn config(self) -> LlamaConfig {
        let seven = LlamaConfig::llama2_7b();
        match self {
            Shape::Small => LlamaConfig {
                hidden_size: 256,
                intermediate_size: 688,
                layers: 4,
                attention_heads: 8,
                key_value_heads: 2,
                head_dim: 32,
                vocab_size: 2000,
                ..seven
            },
            Shape::SmolLm2 => LlamaConfig {
                hidden_size: 576,
                intermediate_size: 1536,
                layers: 30,
                attention_heads: 9,
                key_value_heads: 3,
                head_dim: 64,
                vocab_size: 49_152,
                tie_word_embeddings: true,
                ..seven
            },
            Shape::TinyLlama => LlamaConfig {
                hidden_size: 2048,
                intermediate_size: 5632,
                layers: 22,
                key_value_heads: 4,
                head_dim: 64,
                ..seven
            },
            Shape::Llama7b => seven,
        }
    }
}

/// The same sizes as a manifest gives them to the runtime.
pub fn sizes(c: &LlamaConfig) -> DecoderSizes {
    DecoderSizes {
        hidden_size: c.hidden_size,
        layers: c.layers,
        key_value_heads: c.key_value_heads,
        head_dim: c.head_dim,
        vocab_size: c.vocab_size,
        context_length: c.context_length,
        end_token_ids: vec![0],
    }
}

/// Numbers from −1 to 1 that depend on the seed alone.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Place of the largest value, the first of equal ones.
pub fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
}

/// The middle value.
///
/// # Panics
/// Where there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
