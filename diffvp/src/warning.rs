//! Things that were done to a scan or a report that a reader must know of.

use serde::{Deserialize, Serialize};

/// The kind of a [`Warning`], stable in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningCode {
    /// One of several series was chosen.
    SeriesChosen,
    /// Files of the folder were left out.
    FilesSkipped,
    /// The files are of several patients or studies; the report is of the one whose series was chosen.
    SeveralStudies,
    /// Two files of the series were the same slice.
    DuplicateSlices,
    /// The distance between slices is not quite constant.
    UnevenSpacing,
    /// Slices lie much further apart than they are thick: what is between them is not shown.
    SliceGaps,
    /// A tilted gantry was corrected by moving each slice sideways.
    TiltCorrected,
    /// Slices at uneven distances were interpolated onto a regular grid.
    SlicesResampled,
    /// The scan does not show the lungs as a whole.
    PartialCoverage,
    /// The scan does not show a chest.
    NotAChest,
    /// Something the file should say was missing and was inferred.
    InferredHeader,
    /// Pixel padding or values below the scale of air were set to air.
    PaddingReplaced,
    /// The voxel values do not look like Hounsfield units.
    SuspiciousHu,
    /// The scan is not oriented along the body axes.
    Oblique,
    /// The pixel data were compressed with loss.
    LossyCompression,
    /// The file says something that was not used.
    IgnoredContent,
    /// The scan is unlike those that the model was trained with.
    UnlikeTraining,
    /// The model package is not trained: its text means nothing.
    UntrainedModel,
    /// A section ended because it ran out of room.
    SectionTruncated,
    /// The report ended because it ran out of room.
    ReportTruncated,
    /// The report's text has no section headings.
    NoSections,
    /// The manifest holds optional fields that this version does not know.
    UnknownManifestField,
    /// The package holds files that its manifest does not list.
    UnlistedFile,
}

/// A remark that travels with a scan and its report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Kind.
    pub code: WarningCode,
    /// One sentence with numbers, without patient data.
    pub message: String,
}

impl Warning {
    /// A warning of the given kind.
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        Warning { code, message: message.into() }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
