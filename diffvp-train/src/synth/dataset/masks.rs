//! Masks beside the volumes of a data set, on the same grid.

use std::path::{Path, PathBuf};

use diffvp::scan::write_nifti;
use diffvp::{Error, Result, Volume};

use crate::data::VolumeName;
use crate::labels::{FINDINGS, REGIONS};
use crate::synth::{Organ, Phantom};

/// Label maps of organs.
const ORGANS: &str = "organ_mask";

fn organs(folder: &Path, name: &VolumeName) -> PathBuf {
    folder.join(ORGANS).join(name.file_name())
}

/// Whether all masks of a volume are there: the label map is written last.
pub(super) fn complete(folder: &Path, name: &VolumeName) -> bool {
    organs(folder, name).exists()
}

/// Writes the masks of regions, findings and organs.
pub(super) fn write(folder: &Path, name: &VolumeName, phantom: &Phantom) -> Result<()> {
    let seg = format!("seg_{}", name.stem());
    let regions = folder.join(format!("{}_region_mask", name.split)).join(&seg);
    for region in REGIONS {
        let of_region: Vec<u8> =
            Organ::ALL.into_iter().filter(|organ| organ.region() == Some(region)).map(Organ::label).collect();
        let inside = phantom.organs.iter().map(|label| u8::from(of_region.contains(label)));
        save(&regions.join(format!("{region}.nii.gz")), &phantom.volume, inside)?;
    }
    let findings = folder.join("finding_mask").join(&seg);
    for (index, finding) in FINDINGS.iter().enumerate() {
        if phantom.truth.has(finding) {
            let inside = phantom.findings.iter().map(|bits| (bits >> index & 1) as u8);
            save(&findings.join(format!("{finding}.nii.gz")), &phantom.volume, inside)?;
        }
    }
    save(&organs(folder, name), &phantom.volume, phantom.organs.iter().copied())
}

fn save(path: &Path, like: &Volume, values: impl Iterator<Item = u8>) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|source| Error::Write { path: parent.to_path_buf(), source })?;
    let mask = Volume::new(
        values.map(f32::from).collect(),
        like.dims(),
        like.spacing_mm(),
        like.origin_mm(),
        like.direction(),
    )?;
    write_nifti(&mask, path)
}
