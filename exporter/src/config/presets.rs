//! Named sets of sizes.

use super::*;

impl ModelConfig {
    /// A tiny model for demonstrations and tests; `vocab_size` is that of its tokenizer.
    pub fn demo(vocab_size: usize) -> Self {
        let resnet =
            ResNet3dConfig { in_channels: 1, width: 8, depth: 18, shortcut: Shortcut::A, strides: Strides::Dilated };
        ModelConfig {
            input: [32, 64, 64],
            encoder: resnet.clone(),
            resampler: ResamplerConfig {
                tokens: 16,
                dim: 64,
                depth: 2,
                heads: 4,
                head_dim: 16,
                ff_mult: 4,
                position: PositionKind::Learned,
            },
            classifier: ClassifierConfig { backbone: resnet, labels: 18 },
            difference: DifferenceConfig {
                heads: 4,
                ff_mult: 4,
                global: true,
                local: true,
                prefix_tokens: 8,
                positions: true,
                own_reference: false,
                pixel_level: false,
                epsilon: 1e-5,
                projector_rank: None,
            },
            decoder: small_decoder(vocab_size),
        }
    }

    /// The paper's vision sizes (ResNet-18 of width 64 on 64 × 256 × 256, n 32, d 512, p 16) with a small decoder.
    pub fn paper_vision(vocab_size: usize) -> Self {
        let resnet =
            ResNet3dConfig { in_channels: 1, width: 64, depth: 18, shortcut: Shortcut::A, strides: Strides::Dilated };
        ModelConfig {
            input: [64, 256, 256],
            encoder: resnet.clone(),
            resampler: ResamplerConfig {
                tokens: 32,
                dim: 512,
                depth: 6,
                heads: 8,
                head_dim: 64,
                ff_mult: 4,
                position: PositionKind::None,
            },
            classifier: ClassifierConfig { backbone: resnet, labels: 18 },
            difference: DifferenceConfig {
                heads: 8,
                ff_mult: 4,
                global: true,
                local: true,
                prefix_tokens: 16,
                positions: true,
                own_reference: false,
                pixel_level: false,
                epsilon: 1e-5,
                projector_rank: None,
            },
            decoder: small_decoder(vocab_size),
        }
    }

    /// The paper's sizes with LLaMA-2-7B. The second layer of the projector is of rank 256: in full it
    /// would hold 268 million weights.
    pub fn paper() -> Self {
        let mut config = ModelConfig::paper_vision(32_000);
        config.decoder = LlamaConfig::llama2_7b();
        config.difference.projector_rank = Some(256);
        config
    }
}

fn small_decoder(vocab_size: usize) -> LlamaConfig {
    LlamaConfig {
        hidden_size: 128,
        intermediate_size: 352,
        layers: 3,
        attention_heads: 4,
        key_value_heads: 2,
        head_dim: 32,
        vocab_size,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        context_length: 1024,
        tie_word_embeddings: false,
    }
}
