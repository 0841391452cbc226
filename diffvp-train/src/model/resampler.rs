//! Perceiver resampler (Alayrac et al., arXiv 2204.14198).

use diffvp_exporter::ModelConfig;
use diffvp_exporter::config::PositionKind;
use tch::{Kind, Tensor};

use super::Parameters;
use super::layers::{LayerNorm, Linear, attention, attention_weights, join_heads, split_heads};
use crate::Result;

/// Features `[b, v, c]` → tokens `[b, n, d]`, as in the exporter's `resampler`.
pub struct Resampler {
    project: Option<Linear>,
    position: Option<Tensor>,
    latents: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    heads: i64,
}

struct Layer {
    norm_media: LayerNorm,
    norm_latents: LayerNorm,
    to_q: Linear,
    to_kv: Linear,
    to_out: Linear,
    norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Resampler {
    /// From the parameters `resampler.*`.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters, config: &ModelConfig) -> Result<Self> {
        let r = &config.resampler;
        let layer = |i: usize| -> Result<Layer> {
            let (attn, ff) = (format!("resampler.layers.{i}.attn"), format!("resampler.layers.{i}.ff"));
            Ok(Layer {
                norm_media: LayerNorm::new(p, &format!("{attn}.norm_media"))?,
                norm_latents: LayerNorm::new(p, &format!("{attn}.norm_latents"))?,
                to_q: Linear::new(p, &format!("{attn}.to_q"), false)?,
                to_kv: Linear::new(p, &format!("{attn}.to_kv"), false)?,
                to_out: Linear::new(p, &format!("{attn}.to_out"), false)?,
                norm: LayerNorm::new(p, &format!("{ff}.norm"))?,
                fc1: Linear::new(p, &format!("{ff}.fc1"), false)?,
                fc2: Linear::new(p, &format!("{ff}.fc2"), false)?,
            })
        };
        let projects = config.encoder.out_channels() != r.dim;
        let learned = r.position == PositionKind::Learned;
        Ok(Resampler {
            project: projects.then(|| Linear::new(p, "resampler.proj_in", true)).transpose()?,
            position: learned.then(|| p.get("resampler.position")).transpose()?,
            latents: p.get("resampler.latents")?,
            layers: (0..r.depth).map(layer).collect::<Result<_>>()?,
            norm: LayerNorm::new(p, "resampler.norm")?,
            heads: r.heads as i64,
        })
    }

    /// Tokens I `[b, n, d]`.
    pub fn forward(&self, features: &Tensor) -> Tensor {
        self.run(features, false).0
    }

    /// Tokens I `[b, n, d]`, and attention A `[b, n, v]`: the last layer's, its mean over heads, without
    /// the keys that are latents.
    pub fn forward_with_attention(&self, features: &Tensor) -> (Tensor, Tensor) {
        let (tokens, weights) = self.run(features, true);
        let v = features.size()[1];
        let attention = weights.mean_dim([1i64].as_slice(), false, Kind::Float).narrow(2, 0, v);
        (tokens, attention)
    }

    /// The second value is empty unless `want_weights`.
    fn run(&self, features: &Tensor, want_weights: bool) -> (Tensor, Tensor) {
        let mut media = self.project.as_ref().map_or_else(|| features.shallow_clone(), |l| l.forward(features));
        if let Some(position) = &self.position {
            // Not `+=`, which changes the tensor in place and takes its gradient away.
            media = &media + position;
        }
        let b = features.size()[0];
        let mut latents = self.latents.unsqueeze(0).expand([b, -1, -1], false);
        let mut weights = Tensor::new();
        for (i, layer) in self.layers.iter().enumerate() {
            let query = layer.norm_latents.forward(&latents);
            let both = Tensor::cat(&[&layer.norm_media.forward(&media), &query], 1);
            let q = split_heads(&layer.to_q.forward(&query), self.heads);
            let kv = layer.to_kv.forward(&both).chunk(2, -1);
            let (k, v) = (split_heads(&kv[0], self.heads), split_heads(&kv[1], self.heads));
            let read = if want_weights && i + 1 == self.layers.len() {
                weights = attention_weights(&q, &k);
                weights.matmul(&v)
            } else {
                attention(&q, &k, &v, None, false)
            };
            latents = &latents + layer.to_out.forward(&join_heads(&read));
            latents = &latents + layer.fc2.forward(&layer.fc1.forward(&layer.norm.forward(&latents)).gelu("none"));
        }
        (self.norm.forward(&latents), weights)
    }
}
