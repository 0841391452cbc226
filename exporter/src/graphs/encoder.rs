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
    let (n, d, v) = (config.resampler.tokens, config.resampler.dim, config.features());
    let volume = volume_input(&mut g, config);
    if config.difference.pixel_level {
        pixel_level(&mut g, &volume, config, weights);
        return g;
    }
    let features = resnet(&mut g, &volume, "encoder", &config.encoder, weights);
    let features = flatten_features(&mut g, "/encoder/features", &features, config.encoder.out_channels(), v);
    let attention = resampler(&mut g, &features, "tokens", config, weights);
    feature_attention(&mut g, &attention, v, "attention");
    g.output("tokens", DataType::Float, &[Dim::Name("b"), Dim::Size(n), Dim::Size(d)]);
    g.output("attention", DataType::Float, &[Dim::Name("b"), Dim::Size(n), Dim::Size(v)]);
    g
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
    let features = resnet(g, &both, "encoder", &config.encoder, weights);
    let features = flatten_features(g, "/encoder/features", &features, config.encoder.out_channels(), v);
    let attention = resampler(g, &features, "tokens_of_both", config, weights);
    feature_attention(g, &attention, v, "attention_of_both");

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
    g.output("tokens", DataType::Float, &[Dim::Name("b"), Dim::Size(n), Dim::Size(2 * d)]);
    g.output("attention", DataType::Float, &[Dim::Name("b"), Dim::Size(n), Dim::Size(v)]);
}

/// The input `volume [b, channels, s, h, w]`.
pub(super) fn volume_input(g: &mut Graph<'_>, config: &ModelConfig) -> String {
    let [s, h, w] = config.input.map(Dim::Size);
    g.input("volume", DataType::Float, &[Dim::Name("b"), Dim::Size(config.encoder.in_channels), s, h, w])
}
