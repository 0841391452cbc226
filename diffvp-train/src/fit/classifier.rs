//! `fit classifier`: the network that predicts the findings E.

use rand::RngExt;
use tch::Tensor;

use super::order;
use super::prepared::Prepared;
use super::reading::{Wanted, each};
use super::thresholds;
use super::trainer::{MicroBatch, Stage, told};
use crate::Result;
use crate::data::Sample;
use crate::model::{Classifier, Mode, Parameters};

/// The stage.
pub(super) struct ClassifierStage {
    parameters: Parameters,
    model: Classifier,
    prepared: Prepared,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    shift_voxels: [usize; 3],
    intensity_jitter: f64,
    mask_weight: f64,
}

/// Settings of the stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Augmentation by shifts.
    pub(super) shift_voxels: [usize; 3],
    /// Augmentation of gain and offset.
    pub(super) intensity_jitter: f64,
    /// Weight of the masks of findings.
    pub(super) mask_weight: f64,
}

impl ClassifierStage {
    /// From parameters `classifier.*`, trained, and prepared scans.
    pub(super) fn new(
        parameters: Parameters,
        model: Classifier,
        prepared: Prepared,
        [train, validation]: [Vec<Sample>; 2],
        settings: Settings,
    ) -> Self {
        let Settings { shift_voxels, intensity_jitter, mask_weight } = settings;
        ClassifierStage { parameters, model, prepared, train, validation, shift_voxels, intensity_jitter, mask_weight }
    }

    /// Probabilities `[samples][labels]`.
    ///
    /// # Errors
    /// Those of the cache.
    pub(super) fn probabilities(&self, samples: &[Sample]) -> Result<Vec<Vec<f32>>> {
        // One buffer for all: small ones that stay would lie between the large ones that come and go, and glibc would take new memory
        // for each batch.
        let mut all: Vec<f32> = Vec::with_capacity(samples.len() * crate::labels::FINDINGS.len());
        let samples: Vec<&Sample> = samples.iter().collect();
        let device = self.parameters.device();
        let batches = samples.chunks(self.prepared.at_once(device));
        each(
            batches,
            device,
            |batch| vec![self.prepared.volumes(batch)],
            |_, read| {
                let p = tch::no_grad(|| Classifier::probabilities(&self.model.evidence(&read[0], Mode::Evaluate)));
                all.extend(Vec::<f32>::try_from(p.flatten(0, 1))?);
                Ok(())
            },
        )?;
        Ok(all.chunks(crate::labels::FINDINGS.len()).map(<[f32]>::to_vec).collect())
    }

    /// Random shift, gain and offset, each scan its own. What is shifted in is the value at the volume's corner, air.
    fn augment(&self, volume: &Tensor, seed: u64) -> Tensor {
        let mut generator = order::generator(seed, 0, 1);
        let one = |x: Tensor| {
            let mut x = x;
            for (axis, &most) in self.shift_voxels.iter().enumerate() {
                let (most, dim) = (most as i64, axis as i64 + 1);
                let shift = generator.random_range(-most..=most);
                if shift != 0 {
                    let size = x.size()[dim as usize];
                    let edge = x.narrow(dim, if shift > 0 { 0 } else { size - 1 }, 1);
                    let mut fill = edge.size();
                    fill[dim as usize] = shift.abs();
                    let fill = edge.expand(fill, false);
                    let kept = x.narrow(dim, (-shift).max(0), size - shift.abs());
                    x = if shift > 0 { Tensor::cat(&[fill, kept], dim) } else { Tensor::cat(&[kept, fill], dim) };
                }
            }
            let mut jitter = || self.intensity_jitter * (2.0 * generator.random::<f64>() - 1.0);
            let (gain, offset) = (1.0 + jitter(), jitter());
            x * gain + offset
        };
        Tensor::stack(&volume.unbind(0).into_iter().map(one).collect::<Vec<_>>(), 0)
    }
}

/// Labels `[b, labels]`.
pub(super) fn labels(samples: &[&Sample]) -> Tensor {
    let flat: Vec<f32> = samples.iter().flat_map(|s| s.labels.iter().map(|&l| f32::from(l))).collect();
    Tensor::from_slice(&flat).view([samples.len() as i64, -1])
}

impl Stage for ClassifierStage {
    fn name(&self) -> &'static str {
        "classifier"
    }

    fn samples(&self) -> usize {
        self.train.len()
    }

    fn parameters(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn changes_statistics(&self, name: &str) -> bool {
        name.starts_with("classifier.")
    }

    fn wanted(&self, part: &MicroBatch<'_>) -> Vec<Wanted> {
        let samples: Vec<&Sample> = part.scans.iter().map(|&i| &self.train[i]).collect();
        let mut files = vec![self.prepared.volumes(&samples)];
        if self.mask_weight != 0.0 {
            files.push(self.prepared.findings(&samples));
        }
        files
    }

    fn micro_batch(&mut self, part: &MicroBatch<'_>, read: Vec<Tensor>) -> Result<Vec<(&'static str, Tensor)>> {
        let samples: Vec<&Sample> = part.scans.iter().map(|&i| &self.train[i]).collect();
        let labels = labels(&samples).to_device(self.parameters.device());
        let z = self.model.cells(&self.augment(&read[0], part.seed), Mode::Train);
        let scans = part.whole.len() as f64;
        let of_scans = Classifier::loss(&Classifier::over_cells(&z), &labels) / scans;
        let Some(shares) = read.get(1) else {
            of_scans.backward();
            return Ok(vec![("loss", told(&of_scans))]);
        };
        let of_cells = Classifier::cell_loss(&z, shares, &labels) / scans;
        let loss = &of_scans + &of_cells * self.mask_weight;
        loss.backward();
        Ok(vec![("loss", told(&loss)), ("scans", told(&of_scans)), ("cells", told(&of_cells))])
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        let probabilities = self.probabilities(&self.validation)?;
        let truth: Vec<Vec<u8>> = self.validation.iter().map(|s| s.labels.clone()).collect();
        let loss = |p: f32, y: u8| -f64::from(if y == 1 { p } else { 1.0 - p }).max(1e-7).ln();
        let pairs = probabilities.iter().flatten().zip(truth.iter().flatten());
        let losses: Vec<f64> = pairs.map(|(&p, &y)| loss(p, y)).collect();
        let chosen = thresholds::choose(&probabilities, &truth, 0.0);
        let f1 = thresholds::scores(&probabilities, &truth, &chosen).f1();
        let auc = thresholds::mean_auc(&probabilities, &truth);
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        Ok(vec![("loss".into(), mean), ("auc".into(), auc), ("f1_micro_at_best_thresholds".into(), f1)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffvp_exporter::ModelConfig;
    use diffvp_exporter::weights::{RandomWeights, tensor_specs};
    use tch::{Device, Kind};

    /// Noisy-OR in log space against the plain formula, where that is exact enough.
    #[test]
    fn the_loss_is_that_of_the_plain_formula() {
        let p = Tensor::from_slice(&[0.2f32, 0.9, 0.5, 0.999]).view([2, 2]);
        let y = Tensor::from_slice(&[0f32, 1.0, 1.0, 0.0]).view([2, 2]);
        let evidence = -p.neg().log1p();
        let found = f64::try_from(Classifier::loss(&evidence, &y)).unwrap();
        let expected = (-(0.8f64.ln()) - 0.9f64.ln()) / 2.0 + (-(0.5f64.ln()) - 0.001f64.ln()) / 2.0;
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        let tiny = Tensor::from_slice(&[1e-12f32]).view([1, 1]).set_requires_grad(true);
        Classifier::loss(&tiny, &Tensor::ones([1, 1], (Kind::Float, Device::Cpu))).backward();
        assert!(f64::try_from(tiny.grad()).unwrap().is_finite());
    }

    /// By hand: one scan, two labels, four cells; the first label is there in two cells, and a third holds little of it.
    #[test]
    fn cells_inside_a_mask_weigh_as_one_and_labels_without_a_mask_are_not_asked() {
        let z = Tensor::from_slice(&[0f32, 2.0, -1.0, 5.0, 1.0, 1.0, 1.0, 1.0]).view([1, 2, 1, 2, 2]);
        let shares = Tensor::from_slice(&[1f32, 0.5, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0]).view([1, 2, 1, 2, 2]);
        let softplus = |x: f64| x.exp().ln_1p();
        let first = (softplus(0.0) + softplus(-2.0)) / 2.0 + softplus(-1.0);
        let loss = |second: f32| {
            let labels = Tensor::from_slice(&[1f32, second]).view([1, 2]);
            f64::try_from(Classifier::cell_loss(&z, &shares, &labels)).unwrap()
        };
        assert!((loss(0.0) - (first + 4.0 * softplus(1.0)) / 2.0).abs() < 1e-5);
        assert!((loss(1.0) - first / 2.0).abs() < 1e-5, "there, but nobody says where");
    }

    #[test]
    fn augmentation_moves_and_depends_on_the_seed_only() {
        let mut model = ModelConfig::demo(300);
        model.input = [8, 16, 16];
        let mut parameters = Parameters::new(Device::Cpu);
        parameters.add(&tensor_specs(&model), &RandomWeights::new(&model, 1), Kind::Float).unwrap();
        let classifier = Classifier::new(&parameters, &model, Kind::Float).unwrap();
        let preprocessing = super::super::presets::demo().preprocessing;
        let prepared = Prepared::new(std::path::Path::new("."), &preprocessing, None, &model);
        let settings = Settings { shift_voxels: [1, 2, 2], intensity_jitter: 0.0, mask_weight: 0.0 };
        let stage = ClassifierStage::new(parameters, classifier, prepared, [vec![], vec![]], settings);
        let x = Tensor::randn([2, 1, 8, 16, 16], (Kind::Float, Device::Cpu));
        let (a, b) = (stage.augment(&x, 3), stage.augment(&x, 3));
        assert!(a.equal(&b) && a.size() == x.size() && !a.equal(&stage.augment(&x, 4)));
        // Without jitter every value is one of the scan's own.
        let middle = a.get(0).get(0).get(4).get(8).get(8).double_value(&[]);
        let near = x.get(0).get(0).narrow(0, 3, 3).narrow(1, 6, 5).narrow(2, 6, 5);
        assert!((near - middle).abs().min().double_value(&[]) == 0.0);
    }
}
