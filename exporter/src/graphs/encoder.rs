//! `encoder.onnx`: volume → tokens and attention.

use super::resampler::{feature_attention, flatten_features, resampler};
use super::resnet::resnet;
use crate::config::ModelConfig;
use crate::onnx::graph::{int, ints};
use crate::onnx::{DataType, Dim, Graph};
use crate::weights::{REFERENCE_VOLUME, Weights};

/// `volume [b, channels, s, h, w]` → `tokens` I `[b, n, d]` and `attention` A `[b, n, v]`.
///
/// A is the last resampler layer's cross-attention, its mean over heads, without the keys that are
/// latents: a row sums to at most 1. Needs the weights `encoder.*` and `resampler.*`.
pub fn encoder<'w>(config: &ModelConfig, weights: &'w dyn Weights) -> Graph<'w> {
    let mut g = Graph::new("encoder");
    let volume = volume_input(&mut g, config);
    if config.difference.pixel_level {
        pixel_level(&mut g, &volume, config, weights);
    } else {
        tokens_of(&mut g, &volume, config, weights, ["tokens", "attention"]);
    }
    let [n, width, v] = [config.resampler.tokens, config.token_width(), config.features()].map(Dim::Size);
    g.output("tokens", DataType::Float, &[Dim::Name("b"), n, width]);
    g.output("attention", DataType::Float, &[Dim::Name("b"), n, v]);
    g
}

/// Tokens and attention of a volume, under these names.
fn tokens_of<'w>(
    g: &mut Graph<'w>,
    volume: &str,
    config: &ModelConfig,
    weights: &'w dyn Weights,
    [tokens, attention]: [&str; 2],
) {
    let v = config.features();
    let features = resnet(g, volume, "encoder", &config.encoder, weights);
    let features = flatten_features(g, "/encoder/features", &features, config.encoder.out_channels(), v);
    let of_last_layer = resampler(g, &features, tokens, config, weights);
    feature_attention(g, &of_last_layer, v, attention);
}

/// `tokens` `[I ; I_d]` `[b, n, 2 d]`, where I_d are the tokens of X − X_ref, and the `attention` of I_d: both volumes go through
/// encoder and resampler as one batch.
fn pixel_level<'w>(g: &mut Graph<'w>, volume: &str, config: &ModelConfig, weights: &'w dyn Weights) {
    let (n, d, v) = (config.resampler.tokens, config.resampler.dim, config.features());
    let [s, h, w] = config.input;
    let shape = [config.encoder.in_channels, s, h, w];
    let reference = g.weight(REFERENCE_VOLUME, &shape, move || weights.tensor(REFERENCE_VOLUME, &shape));
    let difference = g.op("Sub", "/encoder/difference/Sub", &[volume, &reference], vec![]);
    let both = g.op("Concat", "/encoder/both/Concat", &[volume, &difference], vec![int("axis", 0)]);
    tokens_of(g, &both, config, weights, ["tokens_of_both", "attention_of_both"]);

    let shape = g.ints("shape.tokens_of_both", &[2, -1, n as i64, d as i64]);
    let tokens = g.op("Reshape", "/tokens_of_both/Reshape", &["tokens_of_both", &shape], vec![]);
    let tokens = g.op("Transpose", "/tokens_of_both/Transpose", &[&tokens], vec![ints("perm", &[1, 2, 0, 3])]);
    let shape = g.ints("shape.tokens", &[-1, n as i64, 2 * d as i64]);
    g.op_to("Reshape", "/tokens/Reshape", &[&tokens, &shape], "tokens", vec![]);

    let shape = g.ints("shape.attention_of_both", &[2, -1, n as i64, v as i64]);
    let attention = g.op("Reshape", "/attention_of_both/Reshape", &["attention_of_both", &shape], vec![]);
    let [zero, one, two] = [("zero", 0), ("one", 1), ("two", 2)].map(|(name, value)| g.ints(name, &[value]));
    let second = g.op("Slice", "/attention_of_both/Slice", &[&attention, &one, &two, &zero], vec![]);
    let shape = g.ints("shape.attention", &[-1, n as i64, v as i64]);
    g.op_to("Reshape", "/attention_of_both/second/Reshape", &[&second, &shape], "attention", vec![]);
}

/// The input `volume [b, channels, s, h, w]`.
pub(super) fn volume_input(g: &mut Graph<'_>, config: &ModelConfig) -> String {
    let [s, h, w] = config.input.map(Dim::Size);
    g.input("volume", DataType::Float, &[Dim::Name("b"), Dim::Size(config.encoder.in_channels), s, h, w])
}
