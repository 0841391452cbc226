//! Where a scan differs from its reference (paper, figure 5a).

use rayon::prelude::*;

use crate::volume::GridMap;
use crate::{Error, Result, Volume};

/// Token importance carried back to the image by the resampler's own attention:
/// map(v) = Σᵢ Sᵢ · Aᵢ,ᵥ on the feature grid, interpolated on demand to the scan's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct DifferenceMap {
    values: Vec<f32>,
    grid: [usize; 3],
    input: [usize; 3],
    to_input: GridMap,
    dims: [usize; 3],
    spacing_mm: [f64; 3],
    origin_mm: [f64; 3],
    direction: [[f64; 3]; 3],
}

impl DifferenceMap {
    /// * `importance`: S, `[n]`
    /// * `attention`: A, `[n, v]`
    /// * `grid`: feature grid `[slices, rows, columns]`, v its product
    /// * `input`: model input `[slices, rows, columns]`
    pub(crate) fn new(
        importance: &[f32],
        attention: &[f32],
        grid: [usize; 3],
        input: [usize; 3],
        to_input: GridMap,
        scan: &Volume,
    ) -> Result<Self> {
        let v: usize = grid.iter().product();
        if v == 0 || importance.len() * v != attention.len() {
            return Err(Error::Internal {
                detail: format!("attention of {} for {} tokens and {v} features", attention.len(), importance.len()),
            });
        }
        let mut values = vec![0f32; v];
        for (s, row) in importance.iter().zip(attention.chunks_exact(v)) {
            for (value, a) in values.iter_mut().zip(row) {
                *value += s * a;
            }
        }
        Ok(DifferenceMap {
            values,
            grid,
            input,
            to_input,
            dims: scan.dims(),
            spacing_mm: scan.spacing_mm(),
            origin_mm: scan.origin_mm(),
            direction: scan.direction(),
        })
    }

    /// Feature grid, `[slices, rows, columns]`.
    pub fn feature_grid(&self) -> [usize; 3] {
        self.grid
    }

    /// The map on the feature grid, columns fastest.
    pub fn feature_values(&self) -> &[f32] {
        &self.values
    }

    /// Voxels of the scan's grid along x, y, z.
    pub fn dims(&self) -> [usize; 3] {
        self.dims
    }

    /// Spacing of the scan's grid along x, y, z in mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.spacing_mm
    }

    /// Centre of the scan's voxel (0, 0, 0) in LPS patient coordinates, in mm.
    pub fn origin_mm(&self) -> [f64; 3] {
        self.origin_mm
    }

    /// Direction cosines of the scan's grid, as [`Volume::direction`].
    pub fn direction(&self) -> [[f64; 3]; 3] {
        self.direction
    }

    /// The map on the scan's own grid, `x` fastest, then `y`, then `z`; 0 outside the model's field of view.
    ///
    /// Trilinear in the feature grid, with voxel centres at half indices and the outermost features
    /// continued to the edge of the input.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where there is no memory for it.
    pub fn on_scan_grid(&self) -> Result<Vec<f32>> {
        let [nx, ny, nz] = self.dims;
        let axes: [Vec<Option<Sample>>; 3] = std::array::from_fn(|axis| {
            let source = self.to_input.source_axis[axis];
            (0..self.dims[source]).map(|index| self.sample(axis, index as f64)).collect()
        });
        let mut map = crate::memory::zeros(nx * ny * nz)?;
        map.par_chunks_mut(nx * ny).enumerate().for_each(|(z, slice)| {
            for y in 0..ny {
                for x in 0..nx {
                    let index = [x, y, z];
                    let sample = |axis: usize| axes[axis][index[self.to_input.source_axis[axis]]];
                    if let (Some(s), Some(r), Some(c)) = (sample(0), sample(1), sample(2)) {
                        slice[y * nx + x] = self.interpolate(s, r, c);
                    }
                }
            }
        });
        Ok(map)
    }

    /// The map as a volume on the scan's grid, for viewers.
    ///
    /// # Errors
    /// As [`on_scan_grid`](Self::on_scan_grid), and those of [`Volume::new`].
    pub fn to_volume(&self) -> Result<Volume> {
        Volume::new(self.on_scan_grid()?, self.dims, self.spacing_mm, self.origin_mm, self.direction)
    }

    /// Highest value on the feature grid, and the patient coordinates (LPS, mm) of that feature's centre.
    pub fn peak(&self) -> (f32, [f64; 3]) {
        let mut best = 0;
        for (index, value) in self.values.iter().enumerate() {
            if *value > self.values[best] {
                best = index;
            }
        }
        let [_, rows, columns] = self.grid;
        let feature = [best / (rows * columns), best / columns % rows, best % columns];
        let mut index = [0.0; 3];
        for (axis, feature) in feature.into_iter().enumerate() {
            let input = (feature as f64 + 0.5) * self.input[axis] as f64 / self.grid[axis] as f64 - 0.5;
            let scale = self.to_input.scale[axis];
            let source = self.to_input.source_axis[axis];
            index[source] = ((input - self.to_input.offset[axis]) / scale).clamp(0.0, (self.dims[source] - 1) as f64);
        }
        let position = std::array::from_fn(|row| {
            let step = |a: usize| self.direction[row][a] * self.spacing_mm[a] * index[a];
            self.origin_mm[row] + step(0) + step(1) + step(2)
        });
        (self.values[best], position)
    }

    /// Where a scan index falls between two features of an axis; `None` outside the model input.
    fn sample(&self, axis: usize, scan_index: f64) -> Option<Sample> {
        let size = self.input[axis] as f64;
        let input = self.to_input.scale[axis] * scan_index + self.to_input.offset[axis];
        if !(-0.5..=size - 0.5).contains(&input) {
            return None;
        }
        let last = self.grid[axis] - 1;
        let feature = ((input + 0.5) * self.grid[axis] as f64 / size - 0.5).clamp(0.0, last as f64);
        let low = (feature.floor() as usize).min(last);
        Some(Sample { low, high: (low + 1).min(last), weight: (feature - low as f64) as f32 })
    }

    fn interpolate(&self, s: Sample, r: Sample, c: Sample) -> f32 {
        let [_, rows, columns] = self.grid;
        let at = |i: usize, j: usize, k: usize| self.values[(i * rows + j) * columns + k];
        let line = |i: usize, j: usize| at(i, j, c.low) + c.weight * (at(i, j, c.high) - at(i, j, c.low));
        let plane = |i: usize| line(i, r.low) + r.weight * (line(i, r.high) - line(i, r.low));
        plane(s.low) + s.weight * (plane(s.high) - plane(s.low))
    }
}

#[derive(Clone, Copy)]
struct Sample {
    low: usize,
    high: usize,
    weight: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(dims: [usize; 3]) -> Volume {
        let unit = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Volume::new(vec![0.0; dims.iter().product()], dims, [1.0, 2.0, 3.0], [10.0, 20.0, 30.0], unit).unwrap()
    }

    fn identity() -> GridMap {
        GridMap { source_axis: [2, 1, 0], scale: [1.0; 3], offset: [0.0; 3] }
    }

    #[test]
    fn importance_weighs_attention() {
        let scan = volume([2, 1, 1]);
        let map =
            DifferenceMap::new(&[1.0, 3.0], &[0.5, 0.5, 1.0, 0.0], [1, 1, 2], [1, 1, 2], identity(), &scan).unwrap();
        assert_eq!(map.feature_values(), [3.5, 0.5]);
        assert_eq!(map.on_scan_grid().unwrap(), [3.5, 0.5]);
        assert_eq!(map.peak(), (3.5, [10.0, 20.0, 30.0]));
    }

    #[test]
    fn features_are_interpolated_between_their_centres() {
        let scan = volume([8, 1, 1]);
        let map = DifferenceMap::new(&[1.0], &[0.0, 4.0], [1, 1, 2], [1, 1, 8], identity(), &scan).unwrap();
        // Centres of the two features lie at input indices 1.5 and 5.5.
        assert_eq!(map.on_scan_grid().unwrap(), [0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0]);
    }

    #[test]
    fn flipped_axes_and_cropped_borders_find_their_way_back() {
        let scan = volume([6, 1, 1]);
        // The model saw voxels 4, 3, 2, 1 in this order.
        let grid = GridMap { source_axis: [2, 1, 0], scale: [1.0, 1.0, -1.0], offset: [0.0, 0.0, 4.0] };
        let map = DifferenceMap::new(&[1.0], &[1.0, 2.0, 3.0, 4.0], [1, 1, 4], [1, 1, 4], grid, &scan).unwrap();
        assert_eq!(map.on_scan_grid().unwrap(), [0.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
        assert_eq!(map.peak().1[0], 11.0);
    }

    #[test]
    fn sizes_that_do_not_fit_are_an_error() {
        assert!(DifferenceMap::new(&[1.0], &[1.0], [1, 1, 2], [1, 1, 2], identity(), &volume([2, 1, 1])).is_err());
    }
}
