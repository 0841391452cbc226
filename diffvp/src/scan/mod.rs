//! Files → volume: NIfTI files, DICOM files and folders become one [`Volume`] in Hounsfield units.
//!
//! The way of a scan through this room:
//! 1. `sniff` decides by content what a file is; names and extensions count for nothing.
//! 2. `nifti` reads a NIfTI-1 or NIfTI-2 file, or `dicom` reads the headers of all files (`listing`),
//!    groups them into series, scores the series and stacks the slices of the chosen one.
//! 3. `content` judges by the voxels whether the values can be Hounsfield units and whether this is a chest.
//! 4. What had to be decided travels as [`Warning`]s and as a [`ScanSource`].
//!
//! Nothing that identifies a patient leaves this room: files inside a study are named by their position in
//! the sorted listing, and free text of a header is never repeated.

mod content;
mod dicom;
mod gzip;
mod listing;
mod nifti;
mod sniff;
mod source;

use std::path::Path;

pub use content::{Lungs, ScanContent};
pub use nifti::write_nifti;
pub use source::{Orientation, ScanFormat, ScanSource, SeriesSummary};

use crate::{Error, Result, Volume, Warning};
use dicom::Input;
use sniff::Format;

/// A CT scan as it was loaded, with what had to be decided on the way.
#[derive(Debug, Clone)]
pub struct Scan {
    volume: Volume,
    warnings: Vec<Warning>,
    source: ScanSource,
    content: ScanContent,
}

/// How a scan is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScanOptions {
    /// Load the DICOM series with this SeriesInstanceUID instead of the best one.
    pub series_instance_uid: Option<String>,
    /// Spacing x, y, z in mm for volumes whose header has none (the lineage's NIfTI files). Their axes are
    /// then taken to run to the left, the back and the head.
    pub spacing_mm: Option<[f64; 3]>,
    /// Which volume of a NIfTI file with four dimensions is loaded, from 0 on. Without it such a file is refused.
    pub volume: Option<usize>,
    /// Largest number of voxels that is loaded.
    pub max_voxels: u64,
}

impl Default for ScanOptions {
    fn default() -> Self {
        ScanOptions { series_instance_uid: None, spacing_mm: None, volume: None, max_voxels: 1 << 30 }
    }
}

impl ScanOptions {
    /// Whether a volume of this many voxels may be loaded.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] above [`max_voxels`](Self::max_voxels).
    pub fn admit(&self, voxels: u64) -> Result<()> {
        if voxels <= self.max_voxels {
            return Ok(());
        }
        Err(Error::LimitExceeded { what: "number of voxels".into(), found: voxels, limit: self.max_voxels })
    }

    /// Checks the numbers before a scan is opened.
    ///
    /// # Errors
    /// [`Error::InvalidOption`].
    pub fn validate(&self) -> Result<()> {
        if let Some(spacing_mm) = self.spacing_mm
            && !spacing_mm.iter().all(|s| s.is_finite() && *s > 0.0)
        {
            return Err(Error::InvalidOption {
                name: "spacing_mm",
                detail: format!("{spacing_mm:?} given, three positive numbers of mm allowed"),
            });
        }
        Ok(())
    }
}

impl Scan {
    /// Opens a NIfTI file, a DICOM file, or a folder with one or many DICOM series.
    ///
    /// # Errors
    /// As [`Scan::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Scan> {
        Scan::open_with(path, &ScanOptions::default())
    }

    /// As [`Scan::open`], with options.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Read`] from the file system; [`Error::EmptyStudy`] for a folder
    /// without DICOM files; [`Error::UnknownFormat`] and [`Error::Unsupported`] for other content;
    /// [`Error::Corrupt`], [`Error::LimitExceeded`], [`Error::NotAVolume`], [`Error::InvalidVoxels`] and
    /// [`Error::Geometry`] for files that do not hold one sound volume; [`Error::NoUsableSeries`] where
    /// several series were seen and none can be used; [`Error::InvalidOption`].
    pub fn open_with(path: impl AsRef<Path>, options: &ScanOptions) -> Result<Scan> {
        let path = path.as_ref();
        options.validate()?;
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound { path: path.to_path_buf() },
            _ => Error::Read { path: path.to_path_buf(), source },
        })?;
        if metadata.is_dir() {
            return open_folder(path, options);
        }
        if !metadata.is_file() {
            return Err(Error::UnknownFormat {
                path: path.to_path_buf(),
                detail: "it is neither a file nor a folder".into(),
            });
        }
        match sniff::file(path)? {
            Format::Nifti { gzip } => nifti::open(path, gzip, options),
            Format::Dicom => dicom::load(&[Input::File(path.to_path_buf())], Vec::new(), options),
            // An index stands for the study beside it; the files themselves say what they are.
            Format::DicomDirectory => {
                let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                open_folder(beside.unwrap_or(Path::new(".")), options)
            }
            Format::Known { detail } => Err(Error::Unsupported { detail }),
            Format::Unknown { detail } => Err(Error::UnknownFormat { path: path.to_path_buf(), detail: detail.into() }),
        }
    }

    /// A scan from a volume that is already in Hounsfield units.
    pub fn from_voxels(volume: Volume) -> Scan {
        Scan::new(volume, Vec::new(), ScanSource::new(ScanFormat::Memory, 0))
    }

    /// A scan from the bytes of DICOM files, in any order; the same rules as for a folder.
    ///
    /// # Errors
    /// As [`Scan::open_with`]; files are named by their position in `buffers`.
    pub fn from_dicom_buffers(buffers: &[&[u8]], options: &ScanOptions) -> Result<Scan> {
        options.validate()?;
        let inputs: Vec<Input> = buffers.iter().map(|bytes| Input::Buffer(bytes)).collect();
        dicom::load(&inputs, Vec::new(), options)
    }

    /// Puts a scan together and looks at what it shows.
    fn new(volume: Volume, mut warnings: Vec<Warning>, source: ScanSource) -> Scan {
        let content = content::look(&volume, &mut warnings);
        Scan { volume, warnings, source, content }
    }

    /// The voxels and their grid.
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// What was decided or noticed while loading.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Where the volume comes from: format, number of files, the table of series.
    pub fn source(&self) -> &ScanSource {
        &self.source
    }

    /// What the voxels show: whether they can be Hounsfield units, and whether they are a chest. A reporter refuses
    /// by it what its model is not for.
    pub fn content(&self) -> &ScanContent {
        &self.content
    }
}

fn open_folder(path: &Path, options: &ScanOptions) -> Result<Scan> {
    let listing = listing::list(path)?;
    let empty = |detail: String| Error::EmptyStudy { path: path.to_path_buf(), detail };
    let seen = listing.files.len();
    if seen == 0 {
        return Err(empty("the folder holds no files".into()));
    }
    let mut dicom_files = Vec::with_capacity(seen);
    let mut nifti_files = 0;
    for file in listing.files {
        match sniff::file(&file) {
            Ok(Format::Dicom) => dicom_files.push(Input::File(file)),
            Ok(Format::Nifti { .. }) => nifti_files += 1,
            Err(Error::Read { source, .. }) => {
                return Err(Error::Read { path: path.to_path_buf(), source });
            }
            // Other formats, and damaged files of them, are none of this study's.
            Ok(_) | Err(_) => {}
        }
    }
    if dicom_files.is_empty() {
        let hint = match nifti_files {
            0 => "none of them is DICOM".to_string(),
            n => format!("{n} of them NIfTI and none DICOM; name the NIfTI file itself"),
        };
        return Err(empty(format!("{seen} files, {hint}")));
    }
    let mut warnings = Vec::new();
    let left_out = seen - dicom_files.len() + listing.skipped;
    if left_out > 0 {
        warnings.push(Warning::new(
            crate::WarningCode::FilesSkipped,
            format!("{left_out} files or folders that are not DICOM images were left out"),
        ));
    }
    dicom::load(&dicom_files, warnings, options)
}
