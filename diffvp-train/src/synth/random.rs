//! Random numbers: one independent stream per scan and purpose, so that a draw more in one place does not
//! change anything elsewhere.

use rand::RngExt;
use rand_pcg::Pcg64;

/// What a stream of random numbers is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Anatomy = 1,
    Findings = 2,
    Vessels = 3,
    Grid = 4,
    Sentences = 5,
    Texture = 6,
    Protocol = 7,
}

/// A stream of random numbers.
pub(crate) struct Draw(Pcg64);

impl Draw {
    /// The stream of a scan for a purpose.
    pub(crate) fn new(seed: u64, index: u64, purpose: Purpose) -> Self {
        // The golden ratio spreads small seeds over the state; the stream keeps scans and purposes apart.
        let state = (u128::from(seed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Draw(Pcg64::new(state, (u128::from(index) << 8) | purpose as u128))
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    /// Uniform in `0..count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    /// One of some values.
    pub(crate) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Standard normal, by Box and Muller: both of a pair.
    pub(crate) fn normal_pair(&mut self) -> (f32, f32) {
        let radius = (-2.0 * (1.0 - self.0.random::<f32>()).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * self.0.random::<f32>()).sin_cos();
        (radius * cos, radius * sin)
    }

    /// A direction, uniform on the sphere.
    pub(crate) fn direction(&mut self) -> [f64; 3] {
        let z = self.uniform(-1.0, 1.0);
        let (sin, cos) = self.uniform(0.0, std::f64::consts::TAU).sin_cos();
        let r = (1.0 - z * z).sqrt();
        [r * cos, r * sin, z]
    }
}
