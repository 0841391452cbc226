//! Data sets as training sees them: scans with labels and region reports, whatever layout they lie in.
//!
//! A reader of a layout gives a [`DataSet`]; nothing behind this module knows file names or tables.

mod synthetic;

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// One scan with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Unique name in the data set.
    pub name: String,
    /// The scan: a NIfTI file or a DICOM folder.
    pub volume: PathBuf,
    /// Organ classes on the scan's grid, where the data set has them.
    pub organs: Option<PathBuf>,
    /// 0 or 1 for each finding, in the order of [`FINDINGS`](crate::labels::FINDINGS).
    pub labels: Vec<u8>,
    /// Region, as [`REGIONS`](crate::labels::REGIONS) spells it, and its sentences; at most one entry a region.
    pub regions: Vec<(String, String)>,
    /// Whether the scan can be a normal reference.
    pub normal: bool,
    /// What the data set says the scan is for.
    pub split: Split,
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

/// The scans of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSet {
    /// In the order of the data set's tables.
    pub samples: Vec<Sample>,
    /// Changes whenever a table or the list of scans does.
    pub fingerprint: String,
}

impl DataSet {
    /// Reads the tables of a folder; no scan is opened.
    ///
    /// Where the layout names no validation scans, `validation_fraction` of the training scans become them, chosen
    /// by name so that a data set that grows keeps its choice.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file and the line: a missing table or volume, a label that is not 0 or 1, a
    /// name twice, or no training scan, no validation scan or no normal training scan.
    pub fn open(folder: &Path, validation_fraction: f64) -> Result<DataSet> {
        let mut set = synthetic::read(folder)?;
        if !set.samples.iter().any(|s| s.split == Split::Validation) {
            for sample in set.samples.iter_mut().filter(|s| s.split == Split::Train) {
                if share(&sample.name) < validation_fraction {
                    sample.split = Split::Validation;
                }
            }
        }
        set.check(folder)?;
        Ok(set)
    }

    /// The scans of a split, in order.
    pub fn of(&self, split: Split) -> Vec<Sample> {
        self.samples.iter().filter(|s| s.split == split).cloned().collect()
    }

    fn check(&self, folder: &Path) -> Result<()> {
        for (split, name) in [(Split::Train, "training"), (Split::Validation, "validation")] {
            if !self.samples.iter().any(|s| s.split == split) {
                return Err(Error::data(folder, format!("no {name} scan among {} scans", self.samples.len())));
            }
        }
        if !self.samples.iter().any(|s| s.split == Split::Train && s.normal) {
            return Err(Error::data(folder, "no normal scan for training: the reference pool would be empty"));
        }
        Ok(())
    }
}

/// A number from 0 to 1 that depends on the name only.
fn share(name: &str) -> f64 {
    let hash = diffvp::files::sha256(name.as_bytes());
    u32::from_str_radix(&hash[..8], 16).unwrap_or(0) as f64 / (f64::from(u32::MAX) + 1.0)
}
