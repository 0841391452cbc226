//! The way from voxels of the scan to voxels of the model input and back.

/// Maps voxel indices of the scan's own grid to continuous indices of the model input, axis by axis.
///
/// For model axis `a` (0 slices, 1 rows, 2 columns):
/// `input[a] = scale[a] · scan[source_axis[a]] + offset[a]`, with voxel centres at integers.
#[derive(Debug, Clone, PartialEq)]
pub struct GridMap {
    /// Scan axis (0 x, 1 y, 2 z) behind each model axis.
    pub source_axis: [usize; 3],
    /// Model voxels per scan voxel; negative where the axis is flipped.
    pub scale: [f64; 3],
    /// Model index of scan index 0.
    pub offset: [f64; 3],
}

impl GridMap {
    /// The map of a volume that is used as stored: slices are z, rows y, columns x.
    pub(super) fn identity() -> Self {
        GridMap { source_axis: [2, 1, 0], scale: [1.0; 3], offset: [0.0; 3] }
    }

    /// Follows `new = factor · old + shift` along a model axis.
    pub(super) fn follow(&mut self, axis: usize, factor: f64, shift: f64) {
        self.scale[axis] *= factor;
        self.offset[axis] = factor * self.offset[axis] + shift;
    }

    /// Continuous index `[slice, row, column]` of the model input at a scan index `[x, y, z]`.
    pub fn to_input(&self, scan: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|a| self.scale[a] * scan[self.source_axis[a]] + self.offset[a])
    }

    /// Continuous scan index `[x, y, z]` at a model input index `[slice, row, column]`.
    pub fn to_scan(&self, input: [f64; 3]) -> [f64; 3] {
        let mut scan = [0.0; 3];
        for a in 0..3 {
            scan[self.source_axis[a]] = (input[a] - self.offset[a]) / self.scale[a];
        }
        scan
    }
}
