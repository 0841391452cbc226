//! A data set of phantoms, in the layout of RadGenome-ChestCT with the tables of CT-RATE.

mod masks;
mod tables;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use diffvp::files::write_atomic;
use diffvp::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::phantom::{PhantomOptions, phantom, truth};
use super::truth::Truth;
use crate::data::VolumeName;

/// Raised whenever the same seed gives other voxels or words than before.
const GENERATOR: u32 = 2;

/// Number of the first phantom of the validation split: both splits can grow without meeting.
const VALID_BASE: u64 = 1 << 40;

/// Written to `synth.json`: what the volumes of a folder were made with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    generator: u32,
    seed: u64,
    options: PhantomOptions,
}

/// How large a data set is, and what lies beside its volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetOptions {
    /// Scans for training.
    pub train: u64,
    /// Scans for validation, which is what papers report on.
    pub valid: u64,
    /// Whether masks of organs, regions and findings are written.
    pub masks: bool,
}

/// What [`write_dataset`] did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Volumes made by this call.
    pub written: u64,
    /// Volumes that were there already.
    pub kept: u64,
    /// Wall-clock time.
    pub elapsed_seconds: f64,
}

/// One scan to make.
struct Scan {
    name: VolumeName,
    truth: Truth,
}

/// Writes the phantoms of a seed into a folder, in parallel, with their tables:
///
/// * `dataset/{train,valid}_preprocessed/train_1/train_1a/train_1_a_1.nii.gz`: the volumes in HU, with their geometry;
/// * `multi_abnormality_labels/`, `radiology_text_reports/`, `metadata/`: tables as CT-RATE has them;
/// * `radgenome_files/{train,validation}_region_report.csv`: one row for each scan and region;
/// * `truth/{train,valid}.jsonl`: one [`Truth`] a line;
/// * `organ_mask/{volume}`: label map of [`Organ`](super::Organ)s;
///   `{train,valid}_region_mask/seg_{volume}/{region}.nii.gz` and `finding_mask/seg_{volume}/{finding}.nii.gz`: 0 and 1;
/// * `synth.json`: seed and options.
///
/// Volumes that are there are kept, so a call that was broken off can be made again, and a data set can
/// grow. `progress` is called after each volume, from any thread, with the number done and the number of all.
///
/// # Errors
/// [`Error::InvalidOption`] where the folder holds phantoms of another seed or other options, or for zero
/// scans; [`Error::Write`], [`Error::Read`] and [`Error::Corrupt`] from the folder.
pub fn write_dataset(
    folder: &Path,
    seed: u64,
    options: &PhantomOptions,
    set: &DatasetOptions,
    progress: impl Fn(u64, u64) + Sync,
) -> Result<Summary> {
    let start = Instant::now();
    if set.train == 0 {
        return Err(Error::InvalidOption { name: "scans", detail: "0 given, at least 1 is needed".into() });
    }
    if set.train.max(set.valid) >= VALID_BASE {
        let detail = format!("{} given, more than a seed has", set.train.max(set.valid));
        return Err(Error::InvalidOption { name: "scans", detail });
    }
    let splits = [plan("train", 0, set.train, seed, options)?, plan("valid", VALID_BASE, set.valid, seed, options)?];
    std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_path_buf(), source })?;
    claim(folder, Made { generator: GENERATOR, seed, options: options.clone() })?;
    let (done, written) = (AtomicU64::new(0), AtomicU64::new(0));
    let all = set.train + set.valid;
    splits.par_iter().flatten().try_for_each(|scan| {
        if make(folder, scan, seed, options, set.masks)? {
            written.fetch_add(1, Ordering::Relaxed);
        }
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
        Ok(())
    })?;
    for (split, scans) in ["train", "valid"].into_iter().zip(&splits) {
        tables::write(folder, split, scans, options)?;
    }
    let written = written.into_inner();
    Ok(Summary { written, kept: all - written, elapsed_seconds: start.elapsed().as_secs_f64() })
}

fn plan(split: &str, base: u64, scans: u64, seed: u64, options: &PhantomOptions) -> Result<Vec<Scan>> {
    let scan = |number: u64| {
        let name = VolumeName {
            split: split.to_owned(),
            patient: (number + 1).to_string(),
            scan: "a".into(),
            reconstruction: "1".into(),
        };
        let mut truth = truth(seed, base + number, options)?;
        truth.name = name.stem();
        Ok(Scan { name, truth })
    };
    (0..scans).map(scan).collect()
}

/// Makes volume and masks where the volume is not there; true where it was made.
fn make(folder: &Path, scan: &Scan, seed: u64, options: &PhantomOptions, with_masks: bool) -> Result<bool> {
    let path = folder.join("dataset").join(scan.name.in_radgenome());
    // The volume comes last and appears whole or not at all, so one that is there is complete with its masks.
    if path.exists() && (!with_masks || masks::complete(folder, &scan.name)) {
        return Ok(false);
    }
    let made = phantom(seed, scan.truth.index, options)?;
    if with_masks {
        masks::write(folder, &scan.name, &made)?;
    }
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).map_err(|source| Error::Write { path: parent.to_path_buf(), source })?;
    diffvp::scan::write_nifti(&made.volume, &path)?;
    Ok(true)
}

/// Makes sure that the folder's volumes, if there are any, are of this kind.
fn claim(folder: &Path, wanted: Made) -> Result<()> {
    let path = folder.join("synth.json");
    match std::fs::read(&path) {
        Ok(bytes) => {
            let found: Made = serde_json::from_slice(&bytes).map_err(|e| Error::Corrupt {
                detail: format!("synth.json does not say what the folder holds: {e}"),
            })?;
            if found == wanted {
                return Ok(());
            }
            let detail = format!("the folder holds phantoms of {found:?}, not of {wanted:?}: choose another folder");
            Err(Error::InvalidOption { name: "out", detail })
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            write_atomic(&path, |out| Ok(serde_json::to_writer_pretty(out, &wanted)?))
        }
        Err(source) => Err(Error::Read { path, source }),
    }
}
