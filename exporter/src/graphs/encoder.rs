//! `encoder.onnx`: volume → tokens and attention.

use super::resampler::{feature_attention, flatten_features, resampler};
use super::resnet::resnet;
use crate::config::ModelConfig;
use crate::onnx::{DataType, Dim, Graph};
use crate::weights::Weights;

/// `volume [b, channels, s, h, w]` → `tokens` I `[b, n, d]` and `attention` A `[b, n, v]`.
///
/// A is the last resampler layer's cross-attention, its mean over heads, without the keys that are
/// latents: a row sums to at most 1. Needs the weights `encoder.*` and `resampler.*`.
pub fn encoder<'w>(config: &ModelConfig, weights: &'w dyn Weights) -> Graph<'w> {
    let mut g = Graph::new("encoder");
    let (n, d, v) = (config.resampler.tokens, config.resampler.dim, config.features());
    let volume = volume_input(&mut g, config);
    let features = resnet(&mut g, &volume, "encoder", &config.encoder, weights);
    let features = flatten_features(&mut g, "/encoder/features", &features, config.encoder.out_channels(), v);
    let attention = resampler(&mut g, &features, "tokens", config, weights);
    feature_attention(&mut g, &attention, v, "attention");
    g.output("tokens", DataType::Float, &[Dim::Name("b"), Dim::Size(n), Dim::Size(d)]);
    g.output("attention", DataType::Float, &[Dim::Name("b"), Dim::Size(n), Dim::Size(v)]);
    g
}

/// The input `volume [b, channels, s, h, w]`.
pub(super) fn volume_input(g: &mut Graph<'_>, config: &ModelConfig) -> String {
    let [s, h, w] = config.input.map(Dim::Size);
    g.input("volume", DataType::Float, &[Dim::Name("b"), Dim::Size(config.encoder.in_channels), s, h, w])
}
