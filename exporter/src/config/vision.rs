//! Resampler, classifier and difference.

use serde::{Deserialize, Serialize};

use super::{ResNet3dConfig, in_range, positive};
use crate::error::{Error, Result};

/// Perceiver resampler: n latents read the features through cross-attention, layer by layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResamplerConfig {
    /// n: number of latent tokens.
    pub tokens: usize,
    /// d: width of a token.
    pub dim: usize,
    /// Layers.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width of the feed-forward layer over d.
    pub ff_mult: usize,
    /// Position of the features.
    pub position: PositionKind,
}

/// How features know where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionKind {
    /// Not at all, beyond what the convolutions see.
    None,
    /// A learned table `[v, d]` is added.
    Learned,
}

/// The classifier: ResNet features → voxel logits → Noisy-OR over voxels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Its own network.
    pub backbone: ResNet3dConfig,
    /// Findings.
    pub labels: usize,
}

/// Difference operators (paper, equations 4 to 8).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifferenceConfig {
    /// Heads of the transformer layer behind Δ_global; they divide d.
    pub heads: usize,
    /// Width of its feed-forward layer over d.
    pub ff_mult: usize,
    /// Whether Δ_global is in the prompt.
    pub global: bool,
    /// Whether Δ_local is in the prompt.
    pub local: bool,
    /// p: prefix tokens; 0 exactly where neither difference is used.
    pub prefix_tokens: usize,
    /// Whether a learned table `[1 + 2n, d]` is added to `[δ; I; Iʳ]`, without which attention cannot
    /// tell I from Iʳ.
    pub positions: bool,
    /// ε of equation 6.
    pub epsilon: f32,
    /// The control of the ablation: every scan is its own reference, whatever reference is given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_reference: bool,
    /// The pixel-level comparison of the ablation: the encoder sees X − X_ref in image space, and its tokens I_d stand for
    /// I − Iʳ. X_ref is the weight `difference.reference_volume`; a token is `[I ; I_d]`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pixel_level: bool,
    /// Rank of the projector's second layer; full where absent.
    pub projector_rank: Option<usize>,
}

impl DifferenceConfig {
    /// Width of the projector's input: d for each difference in use.
    pub fn projector_input(&self, dim: usize) -> usize {
        dim * (usize::from(self.global) + usize::from(self.local))
    }

    pub(super) fn validate(&self, dim: usize) -> Result<()> {
        in_range("difference.heads", self.heads, 1, 256)?;
        if !dim.is_multiple_of(self.heads) {
            return Err(Error::config(
                "difference.heads",
                format!("is {}, which does not divide the token width {dim}", self.heads),
            ));
        }
        in_range("difference.ff_mult", self.ff_mult, 1, 64)?;
        in_range("difference.prefix_tokens", self.prefix_tokens, 0, 1024)?;
        if (self.prefix_tokens > 0) != (self.global || self.local) {
            let detail = format!("is {} with global {} and local {}", self.prefix_tokens, self.global, self.local);
            return Err(Error::config("difference.prefix_tokens", detail));
        }
        if self.pixel_level && (self.own_reference || self.prefix_tokens == 0) {
            return Err(Error::config("difference.pixel_level", "needs a difference, and a reference of another scan"));
        }
        positive("difference.epsilon", self.epsilon)?;
        match self.projector_rank {
            Some(rank) => in_range("difference.projector_rank", rank, 1, 65_536),
            None => Ok(()),
        }
    }
}

impl ResamplerConfig {
    /// Width of all heads together.
    pub fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    pub(super) fn validate(&self) -> Result<()> {
        in_range("resampler.tokens", self.tokens, 1, 1024)?;
        in_range("resampler.dim", self.dim, 1, 16_384)?;
        in_range("resampler.depth", self.depth, 1, 64)?;
        in_range("resampler.heads", self.heads, 1, 256)?;
        in_range("resampler.head_dim", self.head_dim, 1, 1024)?;
        in_range("resampler.ff_mult", self.ff_mult, 1, 64)
    }
}

impl ClassifierConfig {
    pub(super) fn validate(&self) -> Result<()> {
        self.backbone.validate("classifier.backbone")?;
        in_range("classifier.labels", self.labels, 1, 1024)
    }
}
