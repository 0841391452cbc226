//! Where a volume came from, without anything that identifies a patient.

use serde::Serialize;

use super::content::Lungs;

/// Where a volume came from.
///
/// Holds no patient name, identifier, date or free text. `series_instance_uid` of a [`SeriesSummary`]
/// identifies the series inside an archive (not the patient to an outsider): it is what
/// [`ScanOptions::series_instance_uid`](crate::ScanOptions::series_instance_uid) takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScanSource {
    /// Format of the files.
    pub format: ScanFormat,
    /// Files that were looked at: 1 for NIfTI, all DICOM files of a folder.
    pub files: usize,
    /// The series that were seen, best first; empty for NIfTI.
    pub series: Vec<SeriesSummary>,
}

/// Format of the files of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScanFormat {
    /// NIfTI-1.
    Nifti1,
    /// NIfTI-2.
    Nifti2,
    /// DICOM, one frame a file.
    Dicom,
    /// DICOM, several frames in a file.
    DicomMultiFrame,
    /// No file: voxels that the caller handed over.
    Memory,
}

/// The body plane that the slices of a series are closest to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Normal within 45° of head–foot.
    Axial,
    /// Normal nearest to front–back.
    Coronal,
    /// Normal nearest to left–right.
    Sagittal,
    /// The header does not say.
    Unknown,
}

/// One series of a study. A DICOM series whose slices differ in direction, size or pixel spacing is listed
/// as several of these.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SeriesSummary {
    /// SeriesInstanceUID, if it is a well-formed one.
    pub series_instance_uid: Option<String>,
    /// Modality, if it is one that the standard defines.
    pub modality: Option<String>,
    /// Number of slices or frames.
    pub slices: usize,
    /// Columns and rows of a slice.
    pub slice_size: [usize; 2],
    /// Spacing x, y, z in mm; z is the median distance between slices. `None` where positions are missing.
    pub spacing_mm: Option<[f64; 3]>,
    /// SliceThickness in mm.
    pub thickness_mm: Option<f64>,
    /// Extent along the normal, in mm.
    pub coverage_mm: Option<f64>,
    /// Reconstruction kernel, if it is one of the known names.
    pub kernel: Option<String>,
    /// Whether the header names a contrast agent.
    pub contrast: bool,
    /// The lungs in a sample of the slices, where several series had to be compared.
    pub lungs: Option<Lungs>,
    /// Plane of the slices.
    pub orientation: Orientation,
    /// Score by which series are compared, higher is better; see `docs/scan.md`.
    pub score: f64,
    /// Whether this series was loaded.
    pub chosen: bool,
    /// Why the series cannot be used.
    pub refused: Option<String>,
}

impl ScanSource {
    pub(super) fn new(format: ScanFormat, files: usize) -> Self {
        ScanSource { format, files, series: Vec::new() }
    }
}
