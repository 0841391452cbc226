//! The list of all weights of a config, with shapes and the way each starts in training.

use crate::config::{LlamaConfig, ModelConfig, PositionKind, ResNet3dConfig, Shortcut};

/// Name, shape and start value of one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// Name, as `encoder.layer1.0.conv1.weight` or `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Start value.
    pub init: Init,
}

/// How a weight starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with mean and standard deviation.
    Normal {
        /// Mean.
        mean: f32,
        /// Standard deviation.
        std: f32,
    },
    /// `base + spread · |normal|`, for variances.
    Positive {
        /// Lowest value.
        base: f32,
        /// Scale of the part above it.
        spread: f32,
    },
}

/// The prepared scan that a pixel-level comparison is made with `[channels, s, h, w]`.
pub const REFERENCE_VOLUME: &str = "difference.reference_volume";

/// Every weight of the config, in the order of the graphs.
pub fn tensor_specs(config: &ModelConfig) -> Vec<TensorSpec> {
    let mut list = Specs::default();
    resnet(&mut list, "encoder", &config.encoder);
    resampler(&mut list, config);
    resnet(&mut list, "classifier", &config.classifier.backbone);
    classifier_head(&mut list, config);
    difference(&mut list, config);
    llama(&mut list, &config.decoder);
    list.0
}

/// The weights of the decoder alone.
pub fn llama_specs(config: &LlamaConfig) -> Vec<TensorSpec> {
    let mut list = Specs::default();
    llama(&mut list, config);
    list.0
}

#[derive(Default)]
struct Specs(Vec<TensorSpec>);

impl Specs {
    fn push(&mut self, name: String, shape: &[usize], init: Init) {
        self.0.push(TensorSpec { name, shape: shape.to_vec(), init });
    }

    fn normal(&mut self, name: String, shape: &[usize], std: f32) {
        self.push(name, shape, Init::Normal { mean: 0.0, std });
    }

    /// `[out, in]` with variance 1 / in.
    fn linear(&mut self, name: String, out: usize, input: usize) {
        self.normal(name, &[out, input], (input as f32).powi(-1).sqrt());
    }

    /// Weight near 1 and bias near 0; not exactly, so that a swapped or lost one shows in tests.
    fn norm(&mut self, prefix: String, size: usize) {
        self.push(format!("{prefix}.weight"), &[size], Init::Normal { mean: 1.0, std: 0.05 });
        self.normal(format!("{prefix}.bias"), &[size], 0.05);
    }

    fn conv(&mut self, name: String, out: usize, input: usize, kernel: usize) {
        let fan_in = (input * kernel * kernel * kernel) as f32;
        self.normal(name, &[out, input, kernel, kernel, kernel], (2.0 / fan_in).sqrt());
    }

    fn batch_norm(&mut self, prefix: String, size: usize, gain: f32) {
        self.push(format!("{prefix}.weight"), &[size], Init::Normal { mean: gain, std: 0.05 });
        self.normal(format!("{prefix}.bias"), &[size], 0.05);
        self.normal(format!("{prefix}.running_mean"), &[size], 0.05);
        self.push(format!("{prefix}.running_var"), &[size], Init::Positive { base: 0.9, spread: 0.1 });
    }
}

fn resnet(list: &mut Specs, prefix: &str, config: &ResNet3dConfig) {
    list.conv(format!("{prefix}.conv1.weight"), config.width, config.in_channels, 7);
    list.batch_norm(format!("{prefix}.bn1"), config.width, 1.0);
    let mut channels = config.width;
    for (i, stage) in config.stages().into_iter().enumerate() {
        for block in 0..stage.blocks {
            let path = format!("{prefix}.layer{}.{block}", i + 1);
            let stride = if block == 0 { stage.stride } else { 1 };
            list.conv(format!("{path}.conv1.weight"), stage.channels, channels, 3);
            list.batch_norm(format!("{path}.bn1"), stage.channels, 1.0);
            list.conv(format!("{path}.conv2.weight"), stage.channels, stage.channels, 3);
            // Half the gain on the residual branch keeps the sum over all blocks in bounds.
            list.batch_norm(format!("{path}.bn2"), stage.channels, 0.5);
            if config.shortcut == Shortcut::B && (stride != 1 || channels != stage.channels) {
                list.conv(format!("{path}.downsample.0.weight"), stage.channels, channels, 1);
                list.batch_norm(format!("{path}.downsample.1"), stage.channels, 0.5);
            }
            channels = stage.channels;
        }
    }
}

fn resampler(list: &mut Specs, config: &ModelConfig) {
    let r = &config.resampler;
    let (d, inner) = (r.dim, r.inner());
    list.normal("resampler.latents".into(), &[r.tokens, d], 1.0);
    if config.encoder.out_channels() != d {
        list.linear("resampler.proj_in.weight".into(), d, config.encoder.out_channels());
        list.normal("resampler.proj_in.bias".into(), &[d], 0.02);
    }
    if r.position == PositionKind::Learned {
        list.normal("resampler.position".into(), &[config.features(), d], 0.1);
    }
    for i in 0..r.depth {
        let attn = format!("resampler.layers.{i}.attn");
        list.norm(format!("{attn}.norm_media"), d);
        list.norm(format!("{attn}.norm_latents"), d);
        list.linear(format!("{attn}.to_q.weight"), inner, d);
        list.linear(format!("{attn}.to_kv.weight"), 2 * inner, d);
        list.linear(format!("{attn}.to_out.weight"), d, inner);
        let ff = format!("resampler.layers.{i}.ff");
        list.norm(format!("{ff}.norm"), d);
        list.linear(format!("{ff}.fc1.weight"), r.ff_mult * d, d);
        list.linear(format!("{ff}.fc2.weight"), d, r.ff_mult * d);
    }
    list.norm("resampler.norm".into(), d);
}

fn classifier_head(list: &mut Specs, config: &ModelConfig) {
    let backbone = &config.classifier.backbone;
    let (c, labels) = (backbone.out_channels(), config.classifier.labels);
    let voxels: usize = backbone.feature_grid(config.input).iter().product();
    list.normal("classifier.head.weight".into(), &[labels, c, 1, 1, 1], 0.1 / (c as f32).sqrt());
    // Noisy-OR over v voxels starts near a prior of 0.1 if each starts near 0.1 / v.
    let bias = -(voxels as f64 / 0.1).ln() as f32;
    list.push("classifier.head.bias".into(), &[labels], Init::Normal { mean: bias, std: 0.5 });
}

fn difference(list: &mut Specs, config: &ModelConfig) {
    let (diff, d, d_llm) = (&config.difference, config.resampler.dim, config.decoder.hidden_size);
    if diff.global {
        list.normal("difference.query".into(), &[d], 1.0);
        if diff.positions {
            list.normal("difference.position".into(), &[1 + 2 * config.resampler.tokens, d], 0.1);
        }
        let t = "difference.transformer";
        list.linear(format!("{t}.self_attn.in_proj_weight"), 3 * d, d);
        list.normal(format!("{t}.self_attn.in_proj_bias"), &[3 * d], 0.02);
        list.linear(format!("{t}.self_attn.out_proj.weight"), d, d);
        list.normal(format!("{t}.self_attn.out_proj.bias"), &[d], 0.02);
        list.linear(format!("{t}.linear1.weight"), diff.ff_mult * d, d);
        list.normal(format!("{t}.linear1.bias"), &[diff.ff_mult * d], 0.02);
        list.linear(format!("{t}.linear2.weight"), d, diff.ff_mult * d);
        list.normal(format!("{t}.linear2.bias"), &[d], 0.02);
        list.norm(format!("{t}.norm1"), d);
        list.norm(format!("{t}.norm2"), d);
    }
    if diff.prefix_tokens > 0 {
        let (p, input, out) = ("difference.projector", diff.projector_input(d), diff.prefix_tokens * d_llm);
        list.linear(format!("{p}.fc1.weight"), d_llm, input);
        list.normal(format!("{p}.fc1.bias"), &[d_llm], 0.02);
        match diff.projector_rank {
            None => list.linear(format!("{p}.fc2.weight"), out, d_llm),
            Some(rank) => {
                list.linear(format!("{p}.fc2_down.weight"), rank, d_llm);
                list.linear(format!("{p}.fc2_up.weight"), out, rank);
            }
        }
        let last = if diff.projector_rank.is_some() { "fc2_up" } else { "fc2" };
        list.normal(format!("{p}.{last}.bias"), &[out], 0.02);
    }
    if diff.pixel_level {
        let [s, h, w] = config.input;
        list.normal(REFERENCE_VOLUME.into(), &[config.encoder.in_channels, s, h, w], 1.0);
    }
    list.linear("visual_proj.weight".into(), d_llm, d);
}

fn llama(list: &mut Specs, c: &LlamaConfig) {
    let (h, q, kv) = (c.hidden_size, c.query_size(), c.key_value_size());
    // The sum of 2 · layers residual branches keeps the scale of one.
    let residual = |fan_in: usize| (fan_in as f32 * 2.0 * c.layers as f32).powi(-1).sqrt();
    list.normal("model.embed_tokens.weight".into(), &[c.vocab_size, h], 0.5);
    for i in 0..c.layers {
        let p = format!("model.layers.{i}");
        list.push(format!("{p}.input_layernorm.weight"), &[h], Init::Normal { mean: 1.0, std: 0.05 });
        list.linear(format!("{p}.self_attn.q_proj.weight"), q, h);
        list.linear(format!("{p}.self_attn.k_proj.weight"), kv, h);
        list.linear(format!("{p}.self_attn.v_proj.weight"), kv, h);
        list.normal(format!("{p}.self_attn.o_proj.weight"), &[h, q], residual(q));
        list.push(format!("{p}.post_attention_layernorm.weight"), &[h], Init::Normal { mean: 1.0, std: 0.05 });
        list.linear(format!("{p}.mlp.gate_proj.weight"), c.intermediate_size, h);
        list.linear(format!("{p}.mlp.up_proj.weight"), c.intermediate_size, h);
        list.normal(format!("{p}.mlp.down_proj.weight"), &[h, c.intermediate_size], residual(c.intermediate_size));
    }
    list.push("model.norm.weight".into(), &[h], Init::Normal { mean: 1.0, std: 0.05 });
    if !c.tie_word_embeddings {
        list.linear("lm_head.weight".into(), c.vocab_size, h);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_llama_has_its_size() {
        let specs = tensor_specs(&ModelConfig::paper());
        let names: HashSet<_> = specs.iter().map(|s| &s.name).collect();
        assert_eq!(names.len(), specs.len());
        let count = |prefixes: &[&str]| -> usize {
            specs
                .iter()
                .filter(|s| prefixes.iter().any(|p| s.name.starts_with(p)))
                .map(|s| s.shape.iter().product::<usize>())
                .sum()
        };
        assert_eq!(count(&["model.", "lm_head."]), 6_738_415_616);
        // torchvision's r3d has other stems; MedicalNet's ResNet-18 with type A shortcuts has this many
        // convolution weights: 7³·64 + 4·27·64² + 27·(64·128 + 3·128² + 128·256 + 3·256² + 256·512 + 3·512²).
        let convs: usize = specs
            .iter()
            .filter(|s| s.name.starts_with("encoder.") && s.shape.len() == 5)
            .map(|s| s.shape.iter().product::<usize>())
            .sum();
        assert_eq!(convs, 343 * 64 + 4 * 27 * 4096 + 27 * (8192 + 49_152 + 32_768 + 196_608 + 131_072 + 786_432));
    }

    #[test]
    fn switches_add_and_remove_weights() {
        let mut config = ModelConfig::demo(600);
        let has = |c: &ModelConfig, name: &str| tensor_specs(c).iter().any(|s| s.name == name);
        assert!(has(&config, "difference.query") && has(&config, "lm_head.weight"));
        assert!(!has(&config, "resampler.proj_in.weight"), "8 · width equals d");
        config.difference.global = false;
        config.decoder.tie_word_embeddings = true;
        config.resampler.dim = 32;
        config.difference.projector_rank = Some(4);
        config.encoder.shortcut = Shortcut::B;
        assert!(!has(&config, "difference.query") && !has(&config, "lm_head.weight"));
        assert!(has(&config, "resampler.proj_in.bias") && has(&config, "difference.projector.fc2_up.bias"));
        assert!(
            has(&config, "encoder.layer2.0.downsample.0.weight")
                && !has(&config, "encoder.layer1.0.downsample.0.weight")
        );
    }
}
