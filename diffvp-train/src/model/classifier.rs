//! Volume → findings, by Noisy-OR over feature voxels.

use diffvp_exporter::ModelConfig;
use tch::{Kind, Tensor};

use super::{Mode, Parameters, ResNet3d};
use crate::Result;

/// The classifier that predicts the findings E: `classifier.onnx`.
pub struct Classifier {
    backbone: ResNet3d,
    weight: Tensor,
    bias: Tensor,
}

impl Classifier {
    /// From the parameters `classifier.*`.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters, config: &ModelConfig, kind: Kind) -> Result<Self> {
        Ok(Classifier {
            backbone: ResNet3d::new(p, "classifier", &config.classifier.backbone, kind)?,
            weight: p.get("classifier.head.weight")?,
            bias: p.get("classifier.head.bias")?,
        })
    }

    /// `volume [b, channels, s, h, w]` → the evidence `−log(1 − p)` `[b, labels]`:
    /// `p = 1 − Π(1 − σ(z_v))`, so that the evidence is `Σ softplus(z_v)`.
    pub fn evidence(&self, volume: &Tensor, mode: Mode) -> Tensor {
        let features = self.backbone.forward(volume, mode);
        let z = features.conv3d(&self.weight, Some(&self.bias), [1; 3], [0; 3], [1; 3], 1);
        z.softplus().flatten(2, -1).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
    }

    /// Probabilities `[b, labels]` from evidence.
    pub fn probabilities(evidence: &Tensor) -> Tensor {
        -(-evidence).expm1()
    }

    /// Binary cross-entropy in log space, summed over scans and averaged over labels:
    /// `−y log p − (1 − y) log(1 − p)` with `log(1 − p) = −evidence`.
    pub fn loss(evidence: &Tensor, labels: &Tensor) -> Tensor {
        // Below the smallest evidence of a float, log p would be −∞ and its gradient not a number.
        let evidence = evidence.clamp_min(1e-7);
        let log_p = (-(-&evidence).expm1()).log();
        let one = labels * log_p;
        let none = (labels - 1.0) * &evidence;
        -(one + none).mean_dim([-1i64].as_slice(), false, Kind::Float).sum(Kind::Float)
    }
}
