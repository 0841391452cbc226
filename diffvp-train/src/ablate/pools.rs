//! Reference banks of the ablation.

use std::path::{Path, PathBuf};

use super::variants::{Bank, REFERENCES};
use crate::data::{DataSet, OpenOptions, Sample, Split};
use crate::synth::{DatasetOptions, Domain, PhantomOptions, Size, write_dataset};
use crate::{Error, Result};

/// Scans of a bank, from the training scans of a data set; those of the other scanner are phantoms made in `work`.
///
/// # Errors
/// Those of the data set; [`Error::Training`] where it has too few scans of a kind.
pub(super) fn scans(bank: Bank, data: &Path, work: &Path, seed: u64) -> Result<Vec<PathBuf>> {
    let (count, normal) = (REFERENCES, training(data, true)?);
    match bank {
        Bank::Normal(count) => spread(&normal, count, "normal training scans"),
        Bank::Abnormal(share) => {
            let wrong = (share * count as f64).round() as usize;
            let mut scans = spread(&training(data, false)?, wrong, "abnormal training scans")?;
            scans.extend(spread(&normal, count - wrong, "normal training scans")?);
            Ok(scans)
        }
        Bank::OtherScanner(share) => {
            let other = (share * count as f64).round() as usize;
            let folder = work.join("other_scanner");
            let options = PhantomOptions { size: Size::Demo, normal_fraction: 1.0, domain: Domain::B };
            let set = DatasetOptions { train: count as u64, valid: 0, masks: false };
            write_dataset(&folder, seed, &options, &set, |_, _| ())?;
            let mut scans = spread(&training(&folder, true)?, other, "scans of the other scanner")?;
            if other < count {
                scans.extend(spread(&normal, count - other, "normal training scans")?);
            }
            Ok(scans)
        }
    }
}

/// Training scans that are normal, or those that are not.
fn training(data: &Path, normal: bool) -> Result<Vec<Sample>> {
    let set = DataSet::read(data, &OpenOptions::default())?;
    Ok(set.samples.into_iter().filter(|s| s.split == Split::Train && s.normal == normal).collect())
}

fn spread(samples: &[Sample], count: usize, what: &str) -> Result<Vec<PathBuf>> {
    if samples.len() < count {
        return Err(Error::training(format!("the ablation needs {count} {what}, and there are {}", samples.len())));
    }
    Ok((0..count).map(|i| samples[i * samples.len() / count].file().path).collect())
}
