//! Volume → findings, by Noisy-OR over feature voxels.

use diffvp_exporter::ModelConfig;
use tch::{Kind, Tensor};

use super::{Mode, Parameters, ResNet3d};
use crate::Result;

/// A cell is inside a finding from this part of the fullest cell's share on.
const LEAST_SHARE: f64 = 0.25;

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
        Self::over_cells(&self.cells(volume, mode))
    }

    /// `volume [b, channels, s, h, w]` → the logits z of each feature cell `[b, labels, s', h', w']`.
    pub fn cells(&self, volume: &Tensor, mode: Mode) -> Tensor {
        let features = self.backbone.forward(volume, mode);
        features.conv3d(&self.weight, Some(&self.bias), [1; 3], [0; 3], [1; 3], 1)
    }

    /// Logits of cells → evidence `[b, labels]`.
    pub fn over_cells(z: &Tensor) -> Tensor {
        z.softplus().flatten(2, -1).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
    }

    /// How far cells are from the findings' masks, summed over scans and averaged over labels.
    ///
    /// `shares [b, labels, s', h', w']` is the part of each cell inside the mask. Cells outside ask for z = −∞ with the weight
    /// they have in the Noisy-OR; those inside together weigh as one cell, however large the finding is. Cells that hold
    /// little of it are not asked, and nor are labels that are there without a mask.
    pub fn cell_loss(z: &Tensor, shares: &Tensor, labels: &Tensor) -> Tensor {
        let (z, shares) = (z.flatten(2, -1), shares.flatten(2, -1));
        let most = shares.amax([-1i64].as_slice(), true);
        let inside = shares.ge_tensor(&(&most * LEAST_SHARE)).logical_and(&shares.gt(0.0)).to_kind(Kind::Float);
        let outside = shares.eq(0.0).to_kind(Kind::Float);
        let over = |t: Tensor| t.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
        let absent = over(z.softplus() * outside);
        let present = over((-&z).softplus() * &inside) / over(inside).clamp_min(1.0);
        let masked = most.squeeze_dim(-1).gt(0.0).to_kind(Kind::Float);
        let asked: Tensor = 1.0 - labels * (1.0 - masked);
        let each: Tensor = (absent + present) * asked;
        each.mean_dim([-1i64].as_slice(), false, Kind::Float).sum(Kind::Float)
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
