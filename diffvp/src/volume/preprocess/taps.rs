//! Which voxels of an axis make each voxel of the resized axis, and with what weights.

use crate::volume::Interpolation;

/// Resizing of one axis.
#[derive(Debug, Clone)]
pub(super) struct Taps {
    /// Size before.
    pub input: usize,
    /// For each voxel after: the first voxel before, and where its weights lie.
    windows: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<f64>,
    /// `after = factor · before + shift` for voxel centres.
    pub factor: f64,
    pub shift: f64,
}

impl Taps {
    /// Resizing to a size, outer edges (or, for [`Interpolation::NearestCorners`], outer centres) coinciding.
    ///
    /// Positions are computed in f32 with a fused multiply-add, as PyTorch's kernels do, so that the same voxels
    /// get the same weights.
    pub(super) fn to_size(input: usize, output: usize, interpolation: Interpolation) -> Taps {
        let ratio = output as f64 / input as f64;
        let mut taps = Taps::empty(input, output, ratio, 0.5 * ratio - 0.5);
        let step = input as f32 / output as f32;
        match interpolation {
            Interpolation::Area => {
                for i in 0..output {
                    let start = (i as u128 * input as u128 / output as u128) as usize;
                    let end = ((i as u128 + 1) * input as u128).div_ceil(output as u128) as usize;
                    taps.push(start, (start..end).map(|_| 1.0 / (end - start) as f64));
                }
            }
            Interpolation::Trilinear => {
                for i in 0..output {
                    taps.push_linear(step.mul_add(i as f32 + 0.5, -0.5).max(0.0) as f64);
                }
            }
            Interpolation::Nearest => {
                for i in 0..output {
                    taps.push(((i as f32 * step) as usize).min(input - 1), [1.0]);
                }
            }
            Interpolation::NearestCorners => {
                let step = if output > 1 { (input - 1) as f64 / (output - 1) as f64 } else { 0.0 };
                if step > 0.0 {
                    (taps.factor, taps.shift) = (step.recip(), 0.0);
                }
                for i in 0..output {
                    taps.push(((i as f64 * step + 0.5) as usize).min(input - 1), [1.0]);
                }
            }
        }
        taps
    }

    /// Resampling with `step` voxels before to one after, first centres coinciding.
    pub(super) fn from_first_centre(input: usize, output: usize, step: f64, interpolation: Interpolation) -> Taps {
        let mut taps = Taps::empty(input, output, step.recip(), 0.0);
        for i in 0..output {
            let at = (i as f64 * step).min((input - 1) as f64);
            match interpolation {
                Interpolation::Trilinear => taps.push_linear(at),
                _ => taps.push(at.round_ties_even() as usize, [1.0]),
            }
        }
        taps
    }

    fn empty(input: usize, output: usize, factor: f64, shift: f64) -> Taps {
        Taps { input, windows: Vec::with_capacity(output), weights: Vec::with_capacity(2 * output), factor, shift }
    }

    fn push(&mut self, start: usize, weights: impl IntoIterator<Item = f64>) {
        let from = self.weights.len();
        self.weights.extend(weights);
        self.windows.push((start, from..self.weights.len()));
    }

    fn push_linear(&mut self, at: f64) {
        let start = (at as usize).min(self.input - 1);
        let right = at - start as f64;
        if start + 1 < self.input && right > 0.0 {
            self.push(start, [1.0 - right, right]);
        } else {
            self.push(start, [1.0]);
        }
    }

    /// Size after.
    pub(super) fn output(&self) -> usize {
        self.windows.len()
    }

    /// First voxel before and the weights from there on, for voxel `i` after.
    pub(super) fn window(&self, i: usize) -> (usize, &[f64]) {
        let (start, range) = &self.windows[i];
        (*start, &self.weights[range.clone()])
    }

    /// Whether every voxel stays what it is.
    pub(super) fn is_identity(&self) -> bool {
        self.output() == self.input && (0..self.input).all(|i| self.window(i) == (i, &[1.0]))
    }
}
