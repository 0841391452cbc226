//! `fit encoder`: organs, as MedicalNet was pretrained on them.
//!
//! The task is set per feature cell: which share of it each organ has, and the mean, spread, least and greatest of its
//! voxels. The first makes features know where they are, the second keeps them open for what is no organ. No finding is
//! taught, so that the difference of two scans is news to the rest of the model.

use tch::{Kind, Tensor};

use super::prepared::Prepared;
use super::trainer::{MicroBatch, Stage};
use crate::Result;
use crate::data::Sample;
use crate::model::{CellHead, Mode, Parameters, ResNet3d};

/// The stage.
pub(super) struct EncoderStage {
    parameters: Parameters,
    backbone: ResNet3d,
    head: CellHead,
    prepared: Prepared,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    appearance_weight: f64,
}

impl EncoderStage {
    /// From parameters `encoder.*` and `cells.*`, trained, and prepared scans.
    pub(super) fn new(
        parameters: Parameters,
        (backbone, head): (ResNet3d, CellHead),
        prepared: Prepared,
        [train, validation]: [Vec<Sample>; 2],
        appearance_weight: f64,
    ) -> Self {
        EncoderStage { parameters, backbone, head, prepared, train, validation, appearance_weight }
    }

    /// Cross-entropy of the organ shares and squared error of the statistics, summed over scans.
    fn losses(&self, samples: &[&Sample], mode: Mode) -> Result<(Tensor, Tensor)> {
        let device = self.parameters.device();
        let volume = self.prepared.volumes(samples)?.to_device(device);
        let organs = self.prepared.organs(samples)?.to_device(device);
        let (logits, found) = self.head.forward(&self.backbone.forward(&volume, mode));
        let cells = organs.size()[2..].iter().product::<i64>() as f64;
        let organ_loss = -(organs * logits.log_softmax(1, Kind::Float)).sum(Kind::Float) / cells;
        let error = (found - statistics(&volume, &logits.size()[2..])).square();
        let appearance = error.sum(Kind::Float) / (cells * CellHead::STATISTICS as f64);
        Ok((organ_loss, appearance))
    }
}

/// Mean, standard deviation, least and greatest voxel of each cell, `[b, 4, s', h', w']`, of the first channel.
fn statistics(volume: &Tensor, grid: &[i64]) -> Tensor {
    let x = volume.narrow(1, 0, 1);
    let mean = x.adaptive_avg_pool3d(grid);
    let square = x.square().adaptive_avg_pool3d(grid);
    let deviation = (square - mean.square()).clamp_min(0.0).sqrt();
    let greatest = x.adaptive_max_pool3d(grid).0;
    let least = -(-&x).adaptive_max_pool3d(grid).0;
    Tensor::cat(&[mean, deviation, least, greatest], 1)
}

impl Stage for EncoderStage {
    fn name(&self) -> &'static str {
        "encoder"
    }

    fn samples(&self) -> usize {
        self.train.len()
    }

    fn parameters(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn changes_statistics(&self, name: &str) -> bool {
        name.starts_with("encoder.")
    }

    fn micro_batch(&mut self, part: &MicroBatch<'_>) -> Result<Vec<(&'static str, f64)>> {
        let samples: Vec<&Sample> = part.scans.iter().map(|&i| &self.train[i]).collect();
        let (organs, appearance) = self.losses(&samples, Mode::Train)?;
        let whole = part.whole.len() as f64;
        let loss = (&organs + &appearance * self.appearance_weight) / whole;
        loss.backward();
        let value = |t: &Tensor| f64::try_from(t).unwrap_or(f64::NAN) / whole;
        Ok(vec![("loss", value(&organs) + self.appearance_weight * value(&appearance)), ("organs", value(&organs))])
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        let (mut organs, mut appearance) = (0.0, 0.0);
        let all: Vec<&Sample> = self.validation.iter().collect();
        for samples in all.chunks(8) {
            let (a, b) = self.losses(samples, Mode::Evaluate)?;
            (organs, appearance) = (organs + f64::try_from(a)?, appearance + f64::try_from(b)?);
        }
        let n = all.len() as f64;
        let loss = (organs + self.appearance_weight * appearance) / n;
        Ok(vec![("loss".into(), loss), ("organs".into(), organs / n), ("appearance".into(), appearance / n)])
    }
}
