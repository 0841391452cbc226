//! One scan of a data set.

use std::path::{Path, PathBuf};

use diffvp::{Scan, ScanOptions, Volume};
use serde::{Deserialize, Serialize};

use super::Normals;
use crate::eval::clinical::builtin::RuleLabeller;
use crate::{Error, Result};

/// One scan with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Unique name in the data set.
    pub name: String,
    /// The scan: a NIfTI file, and how its numbers become a volume in HU.
    pub scan: ScanFile,
    /// Organ classes on the scan's grid, where the data set has them.
    pub organs: Option<PathBuf>,
    /// Folder with a mask for each finding, `{finding}.nii.gz`, where the data set has such masks. A scan without findings has
    /// no folder.
    pub finding_masks: Option<PathBuf>,
    /// 0 or 1 for each finding, in the order of [`FINDINGS`](crate::labels::FINDINGS); empty where nothing is known.
    pub labels: Vec<u8>,
    /// Where the labels come from.
    pub label_source: LabelSource,
    /// Region, as [`REGIONS`](crate::labels::REGIONS) spells it, and its sentences; at most one entry a region.
    pub regions: Vec<(String, String)>,
    /// The report as one text, where the data set has it.
    pub report: Option<String>,
    /// Whether the scan can be a normal reference.
    pub normal: bool,
    /// What the data set says the scan is for.
    pub split: Split,
}

/// Where the labels of a scan come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LabelSource {
    /// The data set's own table.
    Table,
    /// The report, read by the built-in labeller, because no table has the scan.
    Text,
    /// Neither: the labels are empty.
    Missing,
}

/// What a scan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Training.
    Train,
    /// Early stopping and thresholds.
    Validation,
    /// Neither: measuring.
    Test,
}

/// A file with what it takes to open it, apart from a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanFile {
    /// The scan.
    pub path: PathBuf,
    /// How its numbers become a volume in HU.
    #[serde(default)]
    pub intensities: Intensities,
}

impl From<PathBuf> for ScanFile {
    fn from(path: PathBuf) -> Self {
        ScanFile { path, intensities: Intensities::default() }
    }
}

impl ScanFile {
    /// Opens the scan in HU with its spacing.
    ///
    /// # Errors
    /// Those of [`Scan::open_with`].
    pub fn open(&self) -> diffvp::Result<Scan> {
        self.intensities.open(&self.path)
    }
}

/// How the numbers of a file become a volume in HU.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Intensities {
    /// Spacing x, y, z in mm where the header has none.
    pub spacing_mm: Option<[f64; 3]>,
    /// Slope and intercept that the file's numbers still need (CT-RATE v1), from the table of metadata.
    pub rescale: Option<[f64; 2]>,
}

impl Sample {
    /// Opens the scan in HU with its spacing.
    ///
    /// # Errors
    /// [`Error::Scan`] naming the file.
    pub fn open(&self) -> Result<Scan> {
        self.scan.open().map_err(|source| Error::Scan { path: self.scan.path.clone(), source })
    }

    /// The scan apart from the data set, by its absolute path.
    pub fn file(&self) -> ScanFile {
        let path = self.scan.path.canonicalize().unwrap_or_else(|_| self.scan.path.clone());
        ScanFile { path, ..self.scan.clone() }
    }

    /// Everything that is said about the scan: the report, then each region with its name before it, a line each.
    pub fn text(&self) -> String {
        let regions = self.regions.iter().map(|(region, text)| format!("{region}: {text}"));
        self.report.iter().cloned().chain(regions).collect::<Vec<_>>().join("\n")
    }

    /// Whether anything is said about the scan.
    pub(crate) fn is_reported(&self) -> bool {
        self.report.is_some() || !self.regions.is_empty()
    }

    /// Takes labels that no table has from what is said about the scan, and decides whether it is a normal reference.
    pub(super) fn complete(&mut self, normals: Normals) {
        let text = if self.labels.is_empty() { self.text() } else { String::new() };
        self.label_source = match (self.labels.is_empty(), text.is_empty()) {
            (false, _) => LabelSource::Table,
            (true, false) => LabelSource::Text,
            (true, true) => LabelSource::Missing,
        };
        if self.label_source == LabelSource::Text {
            self.labels = RuleLabeller::get().label(&text).map(u8::from).to_vec();
        }
        self.normal = normals.accepts(self);
    }
}

impl Intensities {
    /// Opens a scan in HU.
    ///
    /// # Errors
    /// Those of [`Scan::open_with`].
    pub fn open(&self, path: &Path) -> diffvp::Result<Scan> {
        let mut options = ScanOptions::default();
        options.spacing_mm = self.spacing_mm;
        let scan = Scan::open_with(path, &options)?;
        let Some([slope, intercept]) = self.rescale else { return Ok(scan) };
        let volume = scan.volume();
        let hu = volume.voxels_hu().iter().map(|v| (slope * f64::from(*v) + intercept) as f32).collect();
        let rescaled = Volume::new(hu, volume.dims(), volume.spacing_mm(), volume.origin_mm(), volume.direction())?;
        Ok(Scan::from_voxels(rescaled))
    }
}
