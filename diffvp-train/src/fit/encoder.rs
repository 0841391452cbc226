//! `fit encoder`: organs and lesions, as MedicalNet was pretrained on them.
//!
//! The tasks are set per feature cell: which share of it each organ has; the mean, spread, least and greatest of its voxels; and,
//! where `finding_weight` is not 0, which findings are in it. The first makes features know where they are, the second keeps
//! them open for what is no organ, the third is what the difference of two scans is to tell. Without the third no finding is
//! taught before the resampler.

use tch::{Kind, Tensor};

use super::classifier::labels;
use super::prepared::Prepared;
use super::reading::{Wanted, each};
use super::trainer::{MicroBatch, Stage, told};
use crate::Result;
use crate::data::Sample;
use crate::model::{CellHead, Classifier, Mode, Parameters, ResNet3d};

/// Weights of the tasks beside the organs, which weigh 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    /// Statistics of the cells' voxels.
    pub(super) appearance: f64,
    /// Findings in the cells.
    pub(super) findings: f64,
}

/// The stage.
pub(super) struct EncoderStage {
    parameters: Parameters,
    backbone: ResNet3d,
    head: CellHead,
    prepared: Prepared,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    weights: Weights,
}

/// Losses of some scans, each summed over them.
struct Losses {
    organs: Tensor,
    appearance: Tensor,
    findings: Option<Tensor>,
}

impl EncoderStage {
    /// From parameters `encoder.*` and `cells.*`, trained, and prepared scans.
    pub(super) fn new(
        parameters: Parameters,
        (backbone, head): (ResNet3d, CellHead),
        prepared: Prepared,
        [train, validation]: [Vec<Sample>; 2],
        weights: Weights,
    ) -> Self {
        EncoderStage { parameters, backbone, head, prepared, train, validation, weights }
    }

    /// Cross-entropy of the organ shares, squared error of the statistics, and what the classifier's cells are asked.
    fn losses(&self, samples: &[&Sample], read: &[Tensor], mode: Mode) -> Losses {
        let (volume, organs, shares) = (&read[0], &read[1], read.get(2));
        let labels = labels(samples).to_device(self.parameters.device());
        let found = self.head.forward(&self.backbone.forward(volume, mode));
        let grid = &found.organs.size()[2..];
        let cells = grid.iter().product::<i64>() as f64;
        let organ_loss = -(organs * found.organs.log_softmax(1, Kind::Float)).sum(Kind::Float) / cells;
        let error = (&found.appearance - statistics(volume, grid)).square();
        let appearance = error.sum(Kind::Float) / (cells * found.appearance.size()[1] as f64);
        let findings = shares.map(|shares| Classifier::cell_loss(&found.findings, shares, &labels));
        Losses { organs: organ_loss, appearance, findings }
    }

    fn files(&self, samples: &[&Sample]) -> Vec<Wanted> {
        let mut files = vec![self.prepared.volumes(samples), self.prepared.organs(samples)];
        if self.weights.findings > 0.0 {
            files.push(self.prepared.findings(samples));
        }
        files
    }

    fn whole(&self, losses: &Losses) -> Tensor {
        let two = &losses.organs + &losses.appearance * self.weights.appearance;
        losses.findings.as_ref().map_or_else(|| two.shallow_clone(), |f| &two + f * self.weights.findings)
    }
}

/// Mean, standard deviation, least and greatest voxel of each cell in each channel, `[b, 4 · channels, s', h', w']`.
fn statistics(x: &Tensor, grid: &[i64]) -> Tensor {
    let mean = x.adaptive_avg_pool3d(grid);
    let square = x.square().adaptive_avg_pool3d(grid);
    let deviation = (square - mean.square()).clamp_min(0.0).sqrt();
    let greatest = x.adaptive_max_pool3d(grid).0;
    let least = -(-x).adaptive_max_pool3d(grid).0;
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

    fn wanted(&self, part: &MicroBatch<'_>) -> Vec<Wanted> {
        self.files(&part.scans.iter().map(|&i| &self.train[i]).collect::<Vec<_>>())
    }

    fn micro_batch(&mut self, part: &MicroBatch<'_>, read: Vec<Tensor>) -> Result<Vec<(&'static str, Tensor)>> {
        let samples: Vec<&Sample> = part.scans.iter().map(|&i| &self.train[i]).collect();
        let losses = self.losses(&samples, &read, Mode::Train);
        let scans = part.whole.len() as f64;
        let loss = self.whole(&losses) / scans;
        loss.backward();
        let mut all = vec![("loss", told(&loss)), ("organs", told(&losses.organs) / scans)];
        all.extend(losses.findings.map(|findings| ("findings", told(&findings) / scans)));
        Ok(all)
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        let (mut loss, mut organs, mut appearance, mut findings) = (0.0, 0.0, 0.0, 0.0);
        let (all, device): (Vec<&Sample>, _) = (self.validation.iter().collect(), self.parameters.device());
        let batches = all.chunks(self.prepared.at_once(device));
        each(
            batches,
            device,
            |samples| self.files(samples),
            |samples, read| {
                let losses = self.losses(samples, &read, Mode::Evaluate);
                loss += f64::try_from(self.whole(&losses))?;
                organs += f64::try_from(losses.organs)?;
                appearance += f64::try_from(losses.appearance)?;
                findings += losses.findings.map_or(Ok(0.0), f64::try_from)?;
                Ok(())
            },
        )?;
        let mean = |sum: f64| sum / all.len() as f64;
        let mut told =
            vec![("loss".into(), mean(loss)), ("organs".into(), mean(organs)), ("appearance".into(), mean(appearance))];
        if self.weights.findings > 0.0 {
            told.push(("findings".into(), mean(findings)));
        }
        Ok(told)
    }
}
