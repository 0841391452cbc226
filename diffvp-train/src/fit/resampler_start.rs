//! Where the resampler starts from, so that its tokens tell scans apart from the first step on.
//!
//! Features of one cell are nearly the same in all scans: what differs between scans is a small part of what differs between
//! cells. From small random positions every token reads the mean of the whole grid, nearly the same for every scan, and the way
//! from there to tokens that tell left from right is flat. So the learned positions start at minus the mean of the
//! features over training scans, cell by cell, plus sines along the three axes (as in Vaswani et al., arXiv 1706.03762) as large
//! as what is left; and queries start twice as large as usual: each head of each token then attends to some twenty cells.

use diffvp_exporter::ModelConfig;
use diffvp_exporter::config::PositionKind;
use diffvp_exporter::weights::{RandomWeights, Weights};

/// How much larger queries start than the other projections.
const QUERY_GAIN: f32 = 2.0;

/// Features of training scans: what they have in common, and how far they differ.
#[derive(Debug, Clone)]
pub(super) struct FeatureStatistics {
    /// Mean over scans `[cells, c]`.
    pub(super) mean: Vec<f32>,
    /// Standard deviation over scans, its root mean square over cells and channels.
    pub(super) deviation: f32,
}

/// Start weights of a model: the resampler's as above where it has learned positions, random ones otherwise.
pub(super) struct ResamplerStart {
    random: RandomWeights,
    config: ModelConfig,
    features: FeatureStatistics,
}

impl ResamplerStart {
    pub(super) fn new(config: &ModelConfig, seed: u64, features: FeatureStatistics) -> Self {
        ResamplerStart { random: RandomWeights::new(config, seed), config: config.clone(), features }
    }

    fn positions(&self) -> diffvp_exporter::Result<Vec<f32>> {
        let (c, d) = (self.config.encoder.out_channels(), self.config.resampler.dim);
        let mut values = sines(self.config.feature_grid(), d);
        values.iter_mut().for_each(|v| *v *= self.features.deviation);
        if c == d {
            values.iter_mut().zip(&self.features.mean).for_each(|(v, mean)| *v -= mean);
            return Ok(values);
        }
        // The mean as the projection in front of the positions gives it.
        let weight = self.random.tensor("resampler.proj_in.weight", &[d, c])?;
        let bias = self.random.tensor("resampler.proj_in.bias", &[d])?;
        for (row, mean) in values.chunks_mut(d).zip(self.features.mean.chunks(c)) {
            for (channel, value) in row.iter_mut().enumerate() {
                let product: f32 = weight[channel * c..][..c].iter().zip(mean).map(|(w, m)| w * m).sum();
                *value -= product + bias[channel];
            }
        }
        Ok(values)
    }
}

impl Weights for ResamplerStart {
    fn tensor(&self, name: &str, shape: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        let mut values = self.random.tensor(name, shape)?;
        if self.config.resampler.position != PositionKind::Learned {
            return Ok(values);
        }
        if name == "resampler.position" {
            return self.positions();
        }
        if name.starts_with("resampler.") && name.ends_with(".to_q.weight") {
            values.iter_mut().for_each(|v| *v *= QUERY_GAIN);
        }
        Ok(values)
    }
}

/// `[cells, d]` of mean square 1: a third of the channels for each axis, sines and cosines from half a wave along the axis to
/// two cells a wave.
fn sines(grid: [usize; 3], d: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(grid.iter().product::<usize>() * d);
    for i in 0..grid[0] {
        for j in 0..grid[1] {
            for k in 0..grid[2] {
                for channel in 0..d {
                    let (axis, index) = (channel % 3, channel / 3);
                    let at = (([i, j, k][axis] as f64) + 0.5) / grid[axis] as f64;
                    let waves = (d.div_ceil(3) / 2).max(2);
                    let share = (index / 2) as f64 / (waves - 1) as f64;
                    let waves_along = 0.5 * (grid[axis] as f64).powf(share.min(1.0));
                    let angle = std::f64::consts::TAU * waves_along * at;
                    let value = if index % 2 == 0 { angle.sin() } else { angle.cos() };
                    values.push((std::f64::consts::SQRT_2 * value) as f32);
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_own_position_of_the_size_of_features() {
        let (grid, d) = ([4, 6, 6], 96);
        let table = sines(grid, d);
        let rows: Vec<&[f32]> = table.chunks(d).collect();
        for (i, a) in rows.iter().enumerate() {
            let size = a.iter().map(|v| v * v).sum::<f32>() / d as f32;
            assert!((0.5..1.5).contains(&size), "{size}");
            for b in &rows[..i] {
                let apart = a.iter().zip(*b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / d as f32;
                assert!(apart > 0.01, "{apart}");
            }
        }
    }

    #[test]
    fn positions_take_the_mean_off_with_and_without_a_projection() {
        let mut config = super::super::presets::demo().model;
        for dim in [config.encoder.out_channels(), 2 * config.encoder.out_channels()] {
            config.resampler.dim = dim;
            let (cells, c) = (config.features(), config.encoder.out_channels());
            let mean: Vec<f32> = (0..cells * c).map(|i| (i % 7) as f32).collect();
            let start = ResamplerStart::new(&config, 3, FeatureStatistics { mean: mean.clone(), deviation: 0.0 });
            let position = start.tensor("resampler.position", &[cells, dim]).unwrap();
            let projected: Vec<f32> = if dim == c {
                mean[..c].to_vec()
            } else {
                let w = start.tensor("resampler.proj_in.weight", &[dim, c]).unwrap();
                let b = start.tensor("resampler.proj_in.bias", &[dim]).unwrap();
                (0..dim).map(|o| b[o] + (0..c).map(|i| w[o * c + i] * mean[i]).sum::<f32>()).collect()
            };
            for (p, m) in position[..dim].iter().zip(&projected) {
                assert!((p + m).abs() < 1e-4, "{p} {m}");
            }
        }
    }

    #[test]
    fn only_the_resampler_of_learned_positions_starts_otherwise() {
        let config = super::super::presets::demo().model;
        let features = FeatureStatistics { mean: vec![0.0; config.features() * 96], deviation: 1.0 };
        let (start, random) = (ResamplerStart::new(&config, 3, features), RandomWeights::new(&config, 3));
        let shape = [config.resampler.inner(), config.resampler.dim];
        let name = "resampler.layers.0.attn.to_q.weight";
        let (a, b) = (start.tensor(name, &shape).unwrap(), random.tensor(name, &shape).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| *a == QUERY_GAIN * b));
        let query = ("difference.query", [config.resampler.dim]);
        assert_eq!(start.tensor(query.0, &query.1).unwrap(), random.tensor(query.0, &query.1).unwrap());
    }
}
