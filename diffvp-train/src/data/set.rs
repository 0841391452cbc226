//! All scans of a data set, sound ones and others.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::layout::{Layout, Place};
use super::{LabelSource, Normals, Sample, Split, ct_rate, ctrg};
use crate::{Error, Result};

/// The scans of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSet {
    /// In the order of the data set's tables.
    pub samples: Vec<Sample>,
    /// What was left out, and why; empty without [`OpenOptions::skip_bad`].
    pub skipped: Vec<Problem>,
    /// How the folder is laid out.
    pub layout: Layout,
    /// Changes whenever a table, the list of scans, or what rules read from the reports does.
    pub fingerprint: String,
}

/// Something of a data set that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file that it is about.
    pub path: PathBuf,
    /// Line in a table, and what is wrong.
    pub detail: String,
}

impl Problem {
    pub(super) fn no_report(sample: &Sample) -> Problem {
        Problem { path: sample.scan.path.clone(), detail: "no report is known for the volume".into() }
    }
}

/// How a data set is read.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// Share of the training scans that become validation scans where the layout names none; chosen by name, so that
    /// a data set that grows keeps its choice.
    pub validation_fraction: f64,
    /// Leave out what cannot be used instead of refusing the data set.
    pub skip_bad: bool,
    /// Spacing x, y, z in mm of volumes whose layout tells none (CTRG-Chest-548K).
    pub spacing_mm: Option<[f64; 3]>,
    /// What makes a scan a normal reference.
    pub normals: Normals,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { validation_fraction: 0.1, skip_bad: false, spacing_mm: None, normals: Normals::default() }
    }
}

/// What a reader of a layout has found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) samples: Vec<Sample>,
    pub(super) problems: Vec<Problem>,
    /// Tables that were read, for the fingerprint.
    pub(super) tables: Vec<PathBuf>,
}

impl Found {
    pub(super) fn problem(&mut self, path: impl Into<PathBuf>, detail: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), detail: detail.into() });
    }
}

impl DataSet {
    /// Reads the tables of a folder for training; no scan is opened.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file and the line: a missing table or volume, a label that is not 0 or 1, a report
    /// without a volume or a volume without a report, a text that is no report, a name twice, or no training scan, no
    /// validation scan or no normal training scan.
    pub fn open(folder: &Path, options: &OpenOptions) -> Result<DataSet> {
        let mut set = DataSet::read(folder, options)?;
        // Without a report a model would learn to write none.
        let (said, silent): (Vec<_>, _) = set.samples.into_iter().partition(Sample::is_reported);
        set.samples = said;
        set.skipped.extend(silent.iter().map(Problem::no_report));
        if let (Some(first), false) = (set.skipped.first(), options.skip_bad) {
            let more = match set.skipped.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more: `diffvp-train data check` lists them, --skip-bad leaves them out)"),
            };
            return Err(Error::data(&first.path, format!("{}{more}", first.detail)));
        }
        if !set.samples.iter().any(|s| s.split == Split::Validation) {
            for sample in set.samples.iter_mut().filter(|s| s.split == Split::Train) {
                if share(&sample.name) < options.validation_fraction {
                    sample.split = Split::Validation;
                }
            }
        }
        set.sound(folder, options.normals)?;
        Ok(set)
    }

    /// Reads the tables of a folder and keeps what is wrong in [`skipped`](DataSet::skipped).
    ///
    /// # Errors
    /// [`Error::Data`] for a folder of no known layout and for tables that cannot be read at all.
    pub fn read(folder: &Path, options: &OpenOptions) -> Result<DataSet> {
        let place = Place::find(folder)?;
        let mut found = match place.layout {
            Layout::RadGenome | Layout::CtRateV1 | Layout::CtRateV2 => ct_rate::read(&place)?,
            Layout::Ctrg => ctrg::read(&place, options.spacing_mm)?,
        };
        found.samples.par_iter_mut().for_each(|sample| sample.complete(options.normals));
        let mut parts = found.tables.iter().map(diffvp::files::sha256_file).collect::<diffvp::Result<Vec<_>>>()?;
        parts.extend(found.samples.iter().map(|sample| sample.name.clone()));
        // What rules have read from text is part of the data, and changes with the rules.
        if options.normals != Normals::Labels {
            let normal = found.samples.iter().filter(|sample| sample.normal);
            parts.extend(normal.map(|sample| format!("normal {}", sample.name)));
        }
        let from_text = found.samples.iter().filter(|sample| sample.label_source == LabelSource::Text);
        parts.extend(from_text.map(|sample| format!("{:?} {}", sample.labels, sample.name)));
        Ok(DataSet {
            samples: found.samples,
            skipped: found.problems,
            layout: place.layout,
            fingerprint: diffvp::files::sha256(parts.join("\n").as_bytes()),
        })
    }

    /// The scans of a split, in order.
    pub fn of(&self, split: Split) -> Vec<Sample> {
        self.samples.iter().filter(|s| s.split == split).cloned().collect()
    }

    fn sound(&self, folder: &Path, normals: Normals) -> Result<()> {
        for (split, name) in [(Split::Train, "training"), (Split::Validation, "validation")] {
            if !self.samples.iter().any(|s| s.split == split) {
                return Err(Error::data(folder, format!("no {name} scan among {} scans", self.samples.len())));
            }
        }
        if !self.samples.iter().any(|s| s.split == Split::Train && s.normal) {
            let detail = format!(
                "no training scan is normal by {}, so the reference pool would be empty: `diffvp-train data check` counts \
                 the normal scans by labels and by text",
                match normals {
                    Normals::Both => "labels and text".into(),
                    one => one.to_string(),
                }
            );
            return Err(Error::data(folder, detail));
        }
        Ok(())
    }
}

/// A number from 0 to 1 that depends on the name only.
fn share(name: &str) -> f64 {
    let hash = diffvp::files::sha256(name.as_bytes());
    f64::from(u32::from_str_radix(&hash[..8], 16).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}
