//! Heads that only training has; none of them is exported.

use diffvp_exporter::ModelConfig;
use diffvp_exporter::weights::{Init, TensorSpec};
use tch::{Kind, Tensor};

use super::layers::Linear;
use super::{Contrast, Parameters};
use crate::Result;

fn normal(name: &str, shape: &[usize], std: f32) -> TensorSpec {
    TensorSpec { name: name.to_string(), shape: shape.to_vec(), init: Init::Normal { mean: 0.0, std } }
}

/// A linear layer's parameters with variance 1 / in.
fn linear(name: &str, out: usize, input: usize) -> [TensorSpec; 2] {
    [
        normal(&format!("{name}.weight"), &[out, input], (input as f32).powf(-0.5)),
        normal(&format!("{name}.bias"), &[out], 0.0),
    ]
}

/// Encoder features → what each feature cell holds: shares of organs, statistics of its voxels and findings.
pub struct CellHead {
    organs: [Tensor; 2],
    appearance: [Tensor; 2],
    findings: [Tensor; 2],
}

/// What [`CellHead`] reads off the features, each `[b, …, s', h', w']`.
pub struct Cells {
    /// Logits of the organ classes.
    pub organs: Tensor,
    /// [`CellHead::STATISTICS`] of the voxels.
    pub appearance: Tensor,
    /// Logits of the findings.
    pub findings: Tensor,
}

/// Bias that the findings' logits start with: in nearly all cells there is none.
const FINDINGS_BIAS: f32 = -6.0;

impl CellHead {
    /// Statistics of a cell's voxels in each channel: mean, standard deviation, least, greatest.
    const STATISTICS: usize = 4;

    /// Parameters for a number of organ classes, background among them.
    pub fn specs(config: &ModelConfig, classes: usize) -> Vec<TensorSpec> {
        let c = config.encoder.out_channels();
        let std = (c as f32).powf(-0.5);
        let findings = config.classifier.labels;
        let statistics = Self::STATISTICS * config.encoder.in_channels;
        vec![
            normal("cells.organs.weight", &[classes, c, 1, 1, 1], std),
            normal("cells.organs.bias", &[classes], 0.0),
            normal("cells.appearance.weight", &[statistics, c, 1, 1, 1], std),
            normal("cells.appearance.bias", &[statistics], 0.0),
            normal("cells.findings.weight", &[findings, c, 1, 1, 1], 0.1 * std),
            TensorSpec {
                name: "cells.findings.bias".into(),
                shape: vec![findings],
                init: Init::Normal { mean: FINDINGS_BIAS, std: 0.0 },
            },
        ]
    }

    /// From the parameters `cells.*`.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters) -> Result<Self> {
        let pair = |of: &str| -> Result<[Tensor; 2]> {
            Ok([p.get(&format!("cells.{of}.weight"))?, p.get(&format!("cells.{of}.bias"))?])
        };
        Ok(CellHead { organs: pair("organs")?, appearance: pair("appearance")?, findings: pair("findings")? })
    }

    /// Features `[b, c, s', h', w']` → what the cells hold.
    pub fn forward(&self, features: &Tensor) -> Cells {
        let one = |[w, b]: &[Tensor; 2]| features.conv3d(w, Some(b), [1; 3], [0; 3], [1; 3], 1);
        Cells { organs: one(&self.organs), appearance: one(&self.appearance), findings: one(&self.findings) }
    }
}

/// Tokens → facts of a report, for the warm-up of the resampler.
pub struct TokensHead {
    fc1: Linear,
    fc2: Linear,
}

impl TokensHead {
    /// Parameters for a hidden width and a number of facts.
    pub fn specs(config: &ModelConfig, hidden: usize, facts: usize) -> Vec<TensorSpec> {
        let input = config.resampler.tokens * config.resampler.dim;
        let mut specs = linear("facts.fc1", hidden, input).to_vec();
        specs.extend(linear("facts.fc2", facts, hidden));
        specs
    }

    /// From the parameters `facts.*`.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters) -> Result<Self> {
        Ok(TokensHead { fc1: Linear::new(p, "facts.fc1", true)?, fc2: Linear::new(p, "facts.fc2", true)? })
    }

    /// Tokens `[b, n, d]` → facts `[b, facts]`.
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        self.fc2.forward(&self.fc1.forward(&tokens.flatten(1, -1)).gelu("none"))
    }
}

/// The auxiliary head of L_cls (paper, equation 11) on the trained visual branch: tokens and differences → findings.
pub struct FindingsHead(Linear);

impl FindingsHead {
    /// Parameters.
    pub fn specs(config: &ModelConfig) -> Vec<TensorSpec> {
        let d = config.resampler.dim;
        let input = config.resampler.tokens * d + config.difference.projector_input(d);
        linear("auxiliary", config.classifier.labels, input).to_vec()
    }

    /// From the parameters `auxiliary.*`.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters) -> Result<Self> {
        Ok(FindingsHead(Linear::new(p, "auxiliary", true)?))
    }

    /// Logits `[b, labels]` from tokens I `[b, n, d]` and what was made of them.
    pub fn forward(&self, tokens: &Tensor, contrast: &Contrast) -> Tensor {
        let mut parts = vec![tokens.flatten(1, -1)];
        parts.extend(contrast.parts.iter().map(Tensor::shallow_clone));
        self.0.forward(&Tensor::cat(&parts, -1))
    }
}

/// Binary cross-entropy of logits `[b, labels]`, averaged over labels and summed over scans.
pub(crate) fn findings_loss(logits: &Tensor, labels: &Tensor) -> Tensor {
    let loss = logits.binary_cross_entropy_with_logits::<Tensor>(labels, None, None, tch::Reduction::None);
    loss.mean_dim([-1i64].as_slice(), false, Kind::Float).sum(Kind::Float)
}
