//! Smooth random fields for texture, and the scanner's noise.

use super::domain::Protocol;
use super::random::Draw;
use super::shapes::V;

const SIDE: usize = 16;

/// A smooth random field of about unit variance, with a given grain.
pub(crate) struct Lattice {
    values: Vec<f32>,
    grain_mm: f64,
}

impl Lattice {
    pub(crate) fn draw(draw: &mut Draw, grain_mm: f64) -> Self {
        let values = (0..SIDE * SIDE * SIDE).map(|_| draw.normal_pair().0 * 1.8).collect();
        Lattice { values, grain_mm }
    }

    /// Value at a point: trilinear between the nodes of a lattice that repeats.
    pub(crate) fn at(&self, p: V) -> f64 {
        let mut low = [0usize; 3];
        let mut part = [0.0; 3];
        for a in 0..3 {
            let at = p[a] / self.grain_mm + 4096.0;
            low[a] = at.floor() as usize;
            part[a] = at - at.floor();
            part[a] = part[a] * part[a] * (3.0 - 2.0 * part[a]);
        }
        let mut sum = 0.0;
        for corner in 0..8usize {
            let (mut node, mut weight) = (0, 1.0);
            for a in 0..3 {
                let up = (corner >> a) & 1;
                node = node * SIDE + (low[a] + up) % SIDE;
                weight *= if up == 1 { part[a] } else { 1.0 - part[a] };
            }
            sum += weight * f64::from(self.values[node]);
        }
        sum
    }
}

/// Adds noise, correlated between neighbours in a slice, and the scanner's error of scale, then rounds to whole
/// HU in the scanner's range of −1024 to 3071.
pub(super) fn finish(hu: &mut [f32], dims: [usize; 3], protocol: &Protocol, draw: &mut Draw) {
    let [columns, rows, _] = dims;
    // Separable [w, 1, w] in both directions; the factor restores unit variance.
    let w = protocol.noise_correlation;
    let scale = protocol.noise_hu as f32 / (1.0 + 2.0 * w * w);
    let (gain, offset) = (protocol.gain as f32, protocol.offset_hu as f32);
    let mut white = vec![0.0f32; columns * rows];
    for slice in hu.chunks_exact_mut(columns * rows) {
        for pair in white.chunks_mut(2) {
            let (a, b) = draw.normal_pair();
            pair[0] = a;
            if let Some(second) = pair.get_mut(1) {
                *second = b;
            }
        }
        for y in 0..rows {
            let (up, down) = ((y + rows - 1) % rows, (y + 1) % rows);
            for x in 0..columns {
                let (left, right) = ((x + columns - 1) % columns, (x + 1) % columns);
                let row =
                    |r: usize| white[r * columns + x] + w * (white[r * columns + left] + white[r * columns + right]);
                let noise = row(y) + w * (row(up) + row(down));
                let value = gain * (slice[y * columns + x] + 1000.0) - 1000.0 + offset + scale * noise;
                slice[y * columns + x] = value.round().clamp(-1024.0, 3071.0);
            }
        }
    }
}
