//! Label maps of a scan as shares of feature cells.

use diffvp::Volume;
use diffvp::volume::GridMap;

/// For each voxel of the model input the scan voxel nearest to it, and the cell that it is in.
pub(super) struct CellGrid {
    /// Index of the scan voxel, and of the cell.
    voxels: Vec<(u32, u32)>,
    counts: Vec<u32>,
}

impl CellGrid {
    /// `shape [channels, s, h, w]` is the model input, `grid` the feature cells, and `map` leads from the input to a scan of `dims`.
    pub(super) fn new([_, s, h, w]: [usize; 4], grid: [usize; 3], dims: [usize; 3], map: &GridMap) -> Self {
        let mut voxels = Vec::with_capacity(s * h * w);
        let mut counts = vec![0u32; grid.iter().product()];
        for i in 0..s {
            for j in 0..h {
                for k in 0..w {
                    let at = map.to_scan([i as f64, j as f64, k as f64]);
                    let index: [usize; 3] = std::array::from_fn(|a| (at[a].round().max(0.0) as usize).min(dims[a] - 1));
                    let cell = |at: usize, size: usize, axis: usize| at * grid[axis] / size;
                    let cell = (cell(i, s, 0) * grid[1] + cell(j, h, 1)) * grid[2] + cell(k, w, 2);
                    voxels.push((((index[2] * dims[1] + index[1]) * dims[0] + index[0]) as u32, cell as u32));
                    counts[cell] += 1;
                }
            }
        }
        CellGrid { voxels, counts }
    }

    /// Number of cells.
    pub(super) fn count(&self) -> usize {
        self.counts.len()
    }

    /// Share of each class in each cell, of 255, `[classes, s', h', w']`; at least 1 where a class has a voxel.
    ///
    /// # Errors
    /// A value of the map that is no class.
    pub(super) fn shares(&self, mask: &Volume, classes: usize) -> Result<Vec<u8>, String> {
        let cells = self.count();
        let mut votes = vec![0u32; classes * cells];
        for &(voxel, cell) in &self.voxels {
            let class = mask.voxels_hu()[voxel as usize];
            if class < 0.0 || class.fract() != 0.0 || class >= classes as f32 {
                return Err(format!("{class} is no class of a mask with {classes}"));
            }
            votes[class as usize * cells + cell as usize] += 1;
        }
        let share = |(i, &votes): (usize, &u32)| {
            let count = self.counts[i % cells].max(1);
            ((votes * 255 + count / 2) / count).max(votes.min(1)) as u8
        };
        Ok(votes.iter().enumerate().map(share).collect())
    }
}
