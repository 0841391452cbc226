//! Runs the steps of a [`Preprocessing`](super::Preprocessing) block.

/// What a network sees: `[channels, slices, rows, columns]`, columns fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInput {
    /// Values, in the manifest's units (after clipping and scaling).
    pub values: Vec<f32>,
    /// `[channels, slices, rows, columns]`.
    pub shape: [usize; 4],
    /// Where each voxel of the scan lies in this input.
    pub grid: GridMap,
}

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
