//! Slices that do not lie on a regular grid, moved onto one: sideways where the gantry was tilted, along the
//! normal where distances are uneven. Linear interpolation; nothing is made up between slices that lie too far apart,
//! which `stack` refuses.

use rayon::prelude::*;

use crate::scan::content::AIR_HU;
use crate::{Result, memory};

/// What is to be done to the slices of a stack.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Repair {
    /// For each slice, its place along the normal in units of the new spacing, and its first pixel's place
    /// along rows and columns in pixels of the new grid.
    pub places: Vec<[f64; 3]>,
    /// Pixels that the new slices have more, in columns and rows.
    pub wider: [usize; 2],
    /// Angle of the gantry in degrees, and the largest sideways shift in mm.
    pub tilt: Option<[f64; 2]>,
    /// Largest distance of a slice from its place on the regular grid in mm, where slices were resampled.
    pub moved_mm: Option<f64>,
}

impl Repair {
    /// Columns and rows of the repaired slices.
    pub(super) fn size(&self, [columns, rows]: [usize; 2]) -> [usize; 2] {
        [columns + self.wider[0], rows + self.wider[1]]
    }

    /// Moves slices of `columns` × `rows` pixels onto the regular grid.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where there is no memory for the result.
    pub(super) fn apply(&self, voxels: &[f32], [columns, rows]: [usize; 2]) -> Result<Vec<f32>> {
        let [width, height] = self.size([columns, rows]);
        let slice = |k: usize| &voxels[k * columns * rows..(k + 1) * columns * rows];
        let mut repaired = memory::zeros(width * height * self.places.len())?;
        repaired.par_chunks_mut(width * height).enumerate().for_each(|(k, out)| {
            out.fill(AIR_HU);
            let (before, share) = self.neighbours(k);
            self.shift(slice(before), before, [columns, rows], out);
            if share > 0.0 {
                let mut after = vec![AIR_HU; out.len()];
                self.shift(slice(before + 1), before + 1, [columns, rows], &mut after);
                for (value, after) in out.iter_mut().zip(after) {
                    *value = (*value as f64 * (1.0 - share) + after as f64 * share) as f32;
                }
            }
        });
        Ok(repaired)
    }

    /// The slice at or before place `k` along the normal, and the weight of the one behind it.
    fn neighbours(&self, k: usize) -> (usize, f64) {
        if self.moved_mm.is_none() {
            return (k, 0.0);
        }
        let last = self.places.len() - 1;
        let before = self.places.partition_point(|p| p[0] <= k as f64).clamp(1, last) - 1;
        let (from, to) = (self.places[before][0], self.places[before + 1][0]);
        let share = ((k as f64 - from) / (to - from)).clamp(0.0, 1.0);
        // A slice that lies on its place is kept as it is.
        match share {
            s if s < 1e-6 => (before, 0.0),
            s if s > 1.0 - 1e-6 => (before + 1, 0.0),
            s => (before, s),
        }
    }

    /// Writes a slice into the wider one, moved sideways by its own place.
    fn shift(&self, slice: &[f32], k: usize, [columns, rows]: [usize; 2], out: &mut [f32]) {
        let width = columns + self.wider[0];
        let [_, x, y] = self.places[k];
        let across: Vec<Option<(usize, usize, f32)>> = (0..width).map(|i| tap(i as f64 - x, columns)).collect();
        for (j, out) in out.chunks_mut(width).enumerate() {
            let Some((above, below, down)) = tap(j as f64 - y, rows) else { continue };
            let (above, below) = (&slice[above * columns..][..columns], &slice[below * columns..][..columns]);
            for (out, tap) in out.iter_mut().zip(&across) {
                let Some((left, right, along)) = *tap else { continue };
                let top = above[left] + (above[right] - above[left]) * along;
                let bottom = below[left] + (below[right] - below[left]) * along;
                *out = top + (bottom - top) * down;
            }
        }
    }
}

/// The two pixels around a place and the weight of the second; `None` outside the slice.
fn tap(at: f64, size: usize) -> Option<(usize, usize, f32)> {
    // Rounding must not blend pixels that lie exactly on the grid.
    let at = if (at - at.round()).abs() < 1e-6 { at.round() } else { at };
    if at < -0.5 || at > size as f64 - 0.5 {
        return None;
    }
    let at = at.clamp(0.0, (size - 1) as f64);
    let first = at as usize;
    Some((first, (first + 1).min(size - 1), (at - first as f64) as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repair(places: &[[f64; 3]], wider: [usize; 2], moved_mm: Option<f64>) -> Repair {
        Repair { places: places.to_vec(), wider, tilt: None, moved_mm }
    }

    #[test]
    fn a_sheared_ramp_becomes_straight() {
        // Pixel (i, j) of slice k shows i − 10 j at its true place, which lies 0.75 k rows further back.
        let value = |i: f64, j: f64| (i - 10.0 * j) as f32;
        let voxels: Vec<f32> = (0..3)
            .flat_map(|k| (0..4).flat_map(move |j| (0..5).map(move |i| value(i as f64, j as f64 + 0.75 * k as f64))))
            .collect();
        let places: Vec<[f64; 3]> = (0..3).map(|k| [k as f64, 0.0, 0.75 * k as f64]).collect();
        let straight = repair(&places, [0, 2], None).apply(&voxels, [5, 4]).unwrap();
        for (index, found) in straight.iter().enumerate() {
            let (i, j, k) = (index % 5, index / 5 % 6, index / 30);
            let within = (j as f64) >= 0.75 * k as f64 && j as f64 <= 3.0 + 0.75 * k as f64;
            if within {
                assert!((found - value(i as f64, j as f64)).abs() < 1e-4, "{found} at {i} {j} {k}");
            }
        }
        assert_eq!(straight[60..65], [AIR_HU; 5], "nothing is known in front of the last slice");
    }

    #[test]
    fn uneven_slices_are_interpolated_and_those_in_place_kept() {
        let places = [[0.0; 3], [0.8, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]];
        let voxels: Vec<f32> = places.iter().flat_map(|p| [100.0 * p[0] as f32; 6]).collect();
        let even = repair(&places, [0, 0], Some(0.2)).apply(&voxels, [3, 2]).unwrap();
        for (k, slice) in even.chunks(6).enumerate() {
            assert!(slice.iter().all(|v| (v - 100.0 * k as f32).abs() < 1e-4), "{slice:?}");
        }
        assert_eq!(even[12..], voxels[12..]);
    }
}
