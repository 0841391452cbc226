//! A folder of phantoms with the tables that training reads.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use diffvp::files::write_atomic;
use diffvp::{Error, Result, Volume};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::organs::ORGANS_FOLDER;
use super::phantom::{Phantom, PhantomOptions, phantom, truth};
use super::sentences::report;
use super::truth::Truth;
use crate::labels::FINDINGS;

/// Raised whenever the same seed gives other voxels or words than before.
const GENERATOR: u32 = 1;

/// Written to `synth.json`: what the volumes of a folder were made with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    generator: u32,
    seed: u64,
    options: PhantomOptions,
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

/// Writes the phantoms `0..scans` of a seed into a folder, in parallel, with their tables:
///
/// * `{name}.nii.gz`: the volumes;
/// * `organs/{name}.nii.gz`: the organ of each voxel, see [`ORGANS`](super::ORGANS);
/// * `labels.csv`: `VolumeName` and the 18 labels;
/// * `region_report.csv`: `Volumename,Anatomy,Sentence`, one row per scan and region;
/// * `truth.jsonl`: one [`Truth`] a line; `normal.txt`: the names of the normal scans, one a line;
/// * `synth.json`: seed and options.
///
/// Volumes that are there are kept, so a call that was broken off can be made again, and a data set can
/// grow. `progress` is called after each volume, from any thread, with the number done and `scans`.
///
/// # Errors
/// [`Error::InvalidOption`] where the folder holds phantoms of another seed or other options, or for zero
/// scans; [`Error::Write`], [`Error::Read`] and [`Error::Corrupt`] from the folder.
pub fn write_dataset(
    folder: &Path,
    scans: u64,
    seed: u64,
    options: &PhantomOptions,
    progress: impl Fn(u64, u64) + Sync,
) -> Result<Summary> {
    let start = Instant::now();
    if scans == 0 {
        return Err(Error::InvalidOption { name: "scans", detail: "0 given, at least 1 is needed".into() });
    }
    let truths = (0..scans).map(|index| truth(seed, index, options)).collect::<Result<Vec<_>>>()?;
    std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_path_buf(), source })?;
    claim(folder, Made { generator: GENERATOR, seed, options: options.clone() })?;
    let organs_folder = folder.join(ORGANS_FOLDER);
    std::fs::create_dir_all(&organs_folder).map_err(|source| Error::Write { path: organs_folder.clone(), source })?;
    let (done, written) = (AtomicU64::new(0), AtomicU64::new(0));
    truths.par_iter().try_for_each(|truth| {
        let path = folder.join(format!("{}.nii.gz", truth.name));
        // Volumes appear whole or not at all, so one that is there is complete; its organs are written first.
        if !path.exists() {
            let made = phantom(seed, truth.index, options)?;
            write_organs(&organs_folder, &made)?;
            diffvp::scan::write_nifti(&made.volume, &path)?;
            written.fetch_add(1, Ordering::Relaxed);
        }
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, scans);
        Ok(())
    })?;
    tables(folder, &truths)?;
    let written = written.into_inner();
    Ok(Summary { written, kept: scans - written, elapsed_seconds: start.elapsed().as_secs_f64() })
}

fn write_organs(folder: &Path, made: &Phantom) -> Result<()> {
    let (v, classes) = (&made.volume, made.organs.iter().map(|&c| f32::from(c)).collect());
    let mask = Volume::new(classes, v.dims(), v.spacing_mm(), v.origin_mm(), v.direction())?;
    diffvp::scan::write_nifti(&mask, folder.join(format!("{}.nii.gz", made.truth.name)))
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

fn tables(folder: &Path, truths: &[Truth]) -> Result<()> {
    write_atomic(folder.join("labels.csv"), |out| {
        writeln!(out, "VolumeName,{}", FINDINGS.join(","))?;
        for truth in truths {
            let labels: Vec<String> = truth.labels().iter().map(u8::to_string).collect();
            writeln!(out, "{}.nii.gz,{}", truth.name, labels.join(","))?;
        }
        Ok(())
    })?;
    write_atomic(folder.join("region_report.csv"), |out| {
        writeln!(out, "Volumename,Anatomy,Sentence")?;
        for truth in truths {
            for part in report(truth) {
                // Sentences hold commas and no quotes.
                writeln!(out, "{}.nii.gz,{},\"{}\"", truth.name, part.region, part.text)?;
            }
        }
        Ok(())
    })?;
    write_atomic(folder.join("truth.jsonl"), |out| {
        for truth in truths {
            serde_json::to_writer(&mut *out, truth)?;
            writeln!(out)?;
        }
        Ok(())
    })?;
    write_atomic(folder.join("normal.txt"), |out| {
        truths.iter().filter(|t| t.normal).try_for_each(|t| writeln!(out, "{}", t.name))
    })
}
