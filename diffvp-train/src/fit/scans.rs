//! The scans of a data set that a run can be trained on.

use std::path::Path;

use diffvp::package::manifest::ReportForm;

use super::config::FitConfig;
use super::text::lack;
use crate::data::{DataSet, LabelSource, OpenOptions, Sample, Split};
use crate::{Error, Result};

/// Scans by what they are for.
pub(super) struct Scans {
    pub(super) train: Vec<Sample>,
    pub(super) validation: Vec<Sample>,
    /// What was left out, and why.
    pub(super) skipped: Vec<String>,
    pub(super) fingerprint: String,
}

impl Scans {
    /// Reads the tables of a data set.
    ///
    /// # Errors
    /// Those of [`DataSet::open`], and without `skip_bad` [`Error::Training`] where a scan has not the kind of report
    /// that the config's form needs: found before anything is trained.
    pub(super) fn open(folder: &Path, config: &FitConfig, skip_bad: bool) -> Result<Scans> {
        let options = OpenOptions {
            validation_fraction: config.validation_fraction,
            skip_bad,
            normals: config.normals,
            spacing_mm: config.spacing_mm,
        };
        let data = DataSet::open(folder, &options)?;
        let mut lacking = Vec::new();
        let [train, validation] = [Split::Train, Split::Validation]
            .map(|split| writable(data.of(split), &config.generation.form, &mut lacking));
        if let (Some(first), false) = (lacking.first(), skip_bad) {
            let more = match lacking.len() - 1 {
                0 => String::new(),
                n => format!(" ({n} scans more lack it too; --skip-bad leaves such scans out)"),
            };
            return Err(Error::training(format!("{first}{more}")));
        }
        let unusable = data.skipped.iter().map(|problem| format!("{}: {}", problem.path.display(), problem.detail));
        Ok(Scans { train, validation, skipped: unusable.chain(lacking).collect(), fingerprint: data.fingerprint })
    }
}

/// The scans that a form of report can be trained on; what the others lack is put behind `lacking`.
fn writable(samples: Vec<Sample>, form: &ReportForm, lacking: &mut Vec<String>) -> Vec<Sample> {
    let good = samples.into_iter().filter(|sample| {
        let lack = lack(sample, form);
        lacking.extend(lack.map(|lack| format!("{}: {lack}", sample.name)));
        lack.is_none()
    });
    good.collect()
}

/// Scans whose labels were read from their reports.
pub(super) fn labelled_by_text(samples: &[Sample]) -> usize {
    samples.iter().filter(|sample| sample.label_source == LabelSource::Text).count()
}
