//! What is wrong with a data set: tables, volumes, spacing, Hounsfield units.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use diffvp::WarningCode;
use rayon::prelude::*;
use serde::Serialize;

use super::{DataSet, LabelSource, Layout, Normals, OpenOptions, Problem, Sample, Split};
use crate::Result;
use crate::labels::FINDINGS;

/// What [`check`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Layout of the folder.
    pub layout: Layout,
    /// Scans for training, validation (where the layout names such) and testing.
    pub scans: [usize; 3],
    /// What makes a scan a normal reference.
    pub normals: Normals,
    /// Of the scans for training and of the others, those that can be normal references.
    pub normal: [usize; 2],
    /// The same counts by each way to choose them.
    pub normal_by: BTreeMap<&'static str, [usize; 2]>,
    /// Scans whose labels come from a table, from the report, and from nowhere.
    pub labels_from: [usize; 3],
    /// Scans with each finding.
    pub findings: Vec<Prevalence>,
    /// Scans whose file was opened; 0 where volumes were not looked at.
    pub opened: usize,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// Changes whenever a table or the list of scans does.
    pub fingerprint: String,
}

/// How often a finding is in the labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prevalence {
    /// Name of the finding.
    pub finding: String,
    /// Scans that have it.
    pub scans: usize,
    /// Scans with labels.
    pub of: usize,
}

/// Checks a data set. With `volumes` every scan is opened, on all cores; `progress` hears of each, from any thread
/// (number done, number of all).
///
/// Reported: tables and rows that cannot be used, missing and unreadable volumes, volumes without spacing, and volumes
/// that are not in Hounsfield units, as after a second rescaling.
///
/// # Errors
/// [`crate::Error::Data`] for a folder of no known layout and for tables that cannot be read at all.
pub fn check(
    folder: &Path,
    options: &OpenOptions,
    volumes: bool,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Checked> {
    let set = DataSet::read(folder, options)?;
    let mut problems = set.skipped.clone();
    for sample in &set.samples {
        if !sample.is_reported() {
            problems.push(Problem::no_report(sample));
        }
    }
    if volumes {
        let (done, all) = (AtomicUsize::new(0), set.samples.len());
        let found: Vec<Vec<Problem>> = set
            .samples
            .par_iter()
            .map(|sample| {
                let found = examine(sample);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
                found
            })
            .collect();
        problems.extend(found.into_iter().flatten());
    }
    let count = |split| set.samples.iter().filter(|s| s.split == split).count();
    let normal = |normals: Normals| {
        let accepted = set.samples.par_iter().filter(|s| normals.accepts(s));
        let train: Vec<bool> = accepted.map(|s| s.split == Split::Train).collect();
        let of_train = train.iter().filter(|t| **t).count();
        [of_train, train.len() - of_train]
    };
    let labels = |source| set.samples.iter().filter(|s| s.label_source == source).count();
    let labelled: Vec<&Sample> = set.samples.iter().filter(|s| !s.labels.is_empty()).collect();
    let prevalence = |(index, finding): (usize, &str)| Prevalence {
        finding: finding.to_owned(),
        scans: labelled.iter().filter(|s| s.labels[index] == 1).count(),
        of: labelled.len(),
    };
    Ok(Checked {
        layout: set.layout,
        scans: [count(Split::Train), count(Split::Validation), count(Split::Test)],
        normals: options.normals,
        normal: normal(options.normals),
        normal_by: Normals::ALL.into_iter().map(|(normals, name)| (name, normal(normals))).collect(),
        labels_from: [LabelSource::Table, LabelSource::Text, LabelSource::Missing].map(labels),
        findings: FINDINGS.into_iter().enumerate().map(prevalence).collect(),
        opened: if volumes { set.samples.len() } else { 0 },
        problems,
        fingerprint: set.fingerprint,
    })
}

/// Opens one scan and looks whether it is what the layout says.
fn examine(sample: &Sample) -> Vec<Problem> {
    let problem = |detail: String| Problem { path: sample.scan.path.clone(), detail };
    let scan = match sample.open() {
        Ok(scan) => scan,
        Err(crate::Error::Scan { source, .. }) => return vec![problem(format!("cannot be loaded: {source}"))],
        Err(other) => return vec![problem(other.to_string())],
    };
    let mut problems = Vec::new();
    for warning in scan.warnings() {
        match warning.code {
            WarningCode::SuspiciousHu => problems.push(problem(warning.message.clone())),
            // A layout whose headers are blank tells the spacing elsewhere.
            WarningCode::InferredHeader if sample.scan.intensities.spacing_mm.is_none() => {
                problems.push(problem(format!("without spacing: {}", warning.message)))
            }
            _ => {}
        }
    }
    if let Some(share) = below_air(scan.volume().voxels_hu()) {
        let detail = "of the voxels are below −1100 HU, where nothing is: slope and intercept were applied twice";
        problems.push(problem(format!("{:.0} % {detail}", 100.0 * share)));
    }
    problems
}

/// The share of voxels below −1100 HU, where padding (one value) does not explain it.
fn below_air(hu: &[f32]) -> Option<f64> {
    let low: Vec<f32> = hu.iter().copied().filter(|v| *v < -1100.0).collect();
    let share = low.len() as f64 / hu.len() as f64;
    let padding = low.iter().all(|v| *v == low[0]);
    (share > 0.02 && !padding).then_some(share)
}
