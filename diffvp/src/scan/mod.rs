//! Files → volume: NIfTI files, DICOM files and folders become one [`Volume`](crate::Volume) in Hounsfield units.

use std::path::Path;

use crate::{Error, Result, Volume, Warning};

/// A CT scan as it was loaded, with what had to be decided on the way.
#[derive(Debug, Clone)]
pub struct Scan {
    volume: Volume,
    warnings: Vec<Warning>,
}

/// How a scan is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScanOptions {
    /// Load the DICOM series with this SeriesInstanceUID instead of the best one.
    pub series_instance_uid: Option<String>,
    /// Spacing x, y, z in mm for volumes whose header has none (the lineage's NIfTI files).
    pub spacing_mm: Option<[f64; 3]>,
    /// Largest number of voxels that is loaded.
    pub max_voxels: u64,
}

impl Default for ScanOptions {
    fn default() -> Self {
        ScanOptions { series_instance_uid: None, spacing_mm: None, max_voxels: 1 << 30 }
    }
}

impl Scan {
    /// Opens a NIfTI file, a DICOM file, or a folder with one or many DICOM series.
    pub fn open(path: impl AsRef<Path>) -> Result<Scan> {
        Scan::open_with(path, &ScanOptions::default())
    }

    /// As [`Scan::open`], with options.
    pub fn open_with(path: impl AsRef<Path>, _options: &ScanOptions) -> Result<Scan> {
        Err(Error::NotFound { path: path.as_ref().to_path_buf() })
    }

    /// The voxels and their grid.
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// What was decided or noticed while loading.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
