//! Volume → model input: voxels in Hounsfield units on a known grid, and the manifest's preprocessing of them.
//!
//! This room knows no file format (see [`crate::scan`]) and no network.

mod preprocess;
mod presets;
mod steps;
mod validate;

pub use preprocess::{GridMap, ModelInput};
pub use steps::{Axes, Fit, Interpolation, Preprocessing, Step, Window};

use rayon::prelude::*;

use crate::error::{Error, Result};

/// Voxels that one thread looks at in a row.
const CHUNK: usize = 1 << 18;

/// A CT volume in Hounsfield units on a regular grid, in the patient coordinates of DICOM and ITK
/// (LPS: +x to the patient's left, +y to the back, +z to the head).
///
/// Voxel `(i, j, k)` lies at `origin_mm + direction · (i·spacing_x, j·spacing_y, k·spacing_z)`
/// (DICOM PS3.3 C.7.6.2.1.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    voxels_hu: Vec<f32>,
    dims: [usize; 3],
    spacing_mm: [f64; 3],
    origin_mm: [f64; 3],
    direction: [[f64; 3]; 3],
}

impl Volume {
    /// A volume from its voxels, `x` fastest, then `y`, then `z`.
    ///
    /// * `dims`, `spacing_mm`, `origin_mm`: in the order x, y, z.
    /// * `direction`: rows are patient axes, columns are grid axes: column `a` is the unit vector of grid axis `a`.
    ///
    /// # Errors
    /// [`Error::Geometry`] for sizes that do not match, spacing that is not positive and finite, or a
    /// direction that is not orthonormal within 1e-3; [`Error::InvalidVoxels`] for NaN or infinite values.
    pub fn new(
        voxels_hu: Vec<f32>,
        dims: [usize; 3],
        spacing_mm: [f64; 3],
        origin_mm: [f64; 3],
        direction: [[f64; 3]; 3],
    ) -> Result<Self> {
        let geometry = |detail: String| Err(Error::Geometry { detail });
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count != Some(voxels_hu.len()) || voxels_hu.is_empty() {
            return geometry(format!("{} voxels do not fill {} × {} × {}", voxels_hu.len(), dims[0], dims[1], dims[2]));
        }
        if !spacing_mm.iter().all(|s| s.is_finite() && *s > 0.0) {
            return geometry(format!("spacing {spacing_mm:?} mm is not positive"));
        }
        if !origin_mm.iter().all(|o| o.is_finite()) {
            return geometry(format!("origin {origin_mm:?} mm is not finite"));
        }
        for a in 0..3 {
            for b in a..3 {
                let dot: f64 = (0..3).map(|r| direction[r][a] * direction[r][b]).sum();
                let expected = if a == b { 1.0 } else { 0.0 };
                if (dot - expected).abs().is_nan() || (dot - expected).abs() > 1e-3 {
                    return geometry(format!("direction {direction:?} is not orthonormal"));
                }
            }
        }
        let bad: usize = voxels_hu.par_chunks(CHUNK).map(|chunk| chunk.iter().filter(|v| !v.is_finite()).count()).sum();
        if bad > 0 {
            return Err(Error::InvalidVoxels {
                detail: format!("{bad} of {} voxels are NaN or infinite", voxels_hu.len()),
            });
        }
        Ok(Volume { voxels_hu, dims, spacing_mm, origin_mm, direction })
    }

    /// Voxels in Hounsfield units, `x` fastest, then `y`, then `z`.
    pub fn voxels_hu(&self) -> &[f32] {
        &self.voxels_hu
    }

    /// Number of voxels along x, y, z.
    pub fn dims(&self) -> [usize; 3] {
        self.dims
    }

    /// Distance between voxel centres along x, y, z, in mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.spacing_mm
    }

    /// Centre of voxel (0, 0, 0) in LPS patient coordinates, in mm.
    pub fn origin_mm(&self) -> [f64; 3] {
        self.origin_mm
    }

    /// Direction cosines: column `a` is the unit vector of grid axis `a` in LPS coordinates.
    pub fn direction(&self) -> [[f64; 3]; 3] {
        self.direction
    }

    /// Lowest and highest value in HU.
    pub fn range_hu(&self) -> (f32, f32) {
        let widest = |a: (f32, f32), b: (f32, f32)| (a.0.min(b.0), a.1.max(b.1));
        let none = (f32::INFINITY, f32::NEG_INFINITY);
        self.voxels_hu
            .par_chunks(CHUNK)
            .map(|chunk| chunk.iter().fold(none, |range, &v| widest(range, (v, v))))
            .reduce(|| none, widest)
    }
}
