//! The slices of a stack → one volume.

use rayon::prelude::*;

use super::decode::Decoder;
use super::file::FileHeader;
use super::input::Input;
use super::series::{Candidate, in_file};
use super::stack::Stack;
use crate::scan::ScanOptions;
use crate::scan::content::AIR_HU;
use crate::{Error, Result, Volume, Warning, WarningCode, memory};

/// Decoded bytes for every byte of compressed pixel data beyond which sizes are not believed: the most that
/// the lossless codecs reach on real slices is below 100.
const MAX_RATIO: usize = 1000;

/// Whether the pixel data of some files (frames of one file follow each other) are long enough to hold the voxels.
pub(super) fn believable(files: impl Iterator<Item = usize>, headers: &[FileHeader], voxels: usize) -> bool {
    let mut files: Vec<usize> = files.collect();
    files.dedup();
    let packed = files.iter().map(|f| headers[*f].pixel_bytes).fold(0usize, usize::saturating_add);
    packed.saturating_mul(MAX_RATIO) >= voxels
}

/// Decodes the slices of a stack, in parallel, into one volume.
pub(super) fn assemble(
    inputs: &[Input],
    used: &[usize],
    headers: &[FileHeader],
    candidate: &Candidate,
    stack: &Stack,
    options: &ScanOptions,
    warnings: &mut Vec<Warning>,
) -> Result<Volume> {
    let format = &headers[candidate.slices[0].file].format;
    let plane = format.pixels();
    let size = [format.columns as usize, format.rows as usize];
    let voxels = plane as u64 * stack.slices.len() as u64;
    let [width, height] = stack.repair.as_ref().map_or(size, |repair| repair.size(size));
    let dims = [width, height, stack.slices.len()];
    let repaired = (width as u64).saturating_mul(height as u64).saturating_mul(stack.slices.len() as u64);
    if repaired > options.max_voxels {
        let what = "number of voxels".into();
        return Err(Error::LimitExceeded { what, found: repaired, limit: options.max_voxels });
    }
    // Slices that are there twice are decoded too.
    let decoded = (plane as u64).saturating_mul(candidate.slices.len() as u64);
    options.admit(decoded)?;
    if !believable(candidate.slices.iter().map(|s| s.file), headers, decoded as usize) {
        return Err(Error::Corrupt { detail: format!("the pixel data are too short to hold {decoded} pixels") });
    }
    let mut values = memory::zeros(voxels as usize)?;

    let decoder = Decoder::new(inputs, used, headers, &candidate.slices)?;
    let count = candidate.slices.len();
    let one = |index: usize, out: &mut [f32]| {
        decoder.slice(candidate.slices[index], out).map_err(|error| in_file(error, index, count))
    };
    let outcomes: Vec<(usize, usize)> = values
        .par_chunks_mut(plane)
        .zip(&stack.slices)
        .map(|(out, same)| {
            let replaced = one(same[0], out)?;
            for duplicate in &same[1..] {
                let mut other = vec![0.0; plane];
                one(*duplicate, &mut other)?;
                if other != out {
                    return Err(Error::Geometry {
                        detail: format!(
                            "slices {} and {} of the series lie at the same place and differ: several scans or phases in one series",
                            same[0] + 1,
                            duplicate + 1
                        ),
                    });
                }
            }
            Ok((replaced, same.len() - 1))
        })
        .collect::<Result<_>>()?;
    let replaced: usize = outcomes.iter().map(|o| o.0).sum();
    let doubled: usize = outcomes.iter().map(|o| o.1).sum();
    if replaced > 0 {
        warnings.push(Warning::new(
            WarningCode::PaddingReplaced,
            format!("{replaced} voxels of padding or below {} HU were set to {} HU", AIR_HU, AIR_HU),
        ));
    }
    if doubled > 0 {
        warnings.push(Warning::new(
            WarningCode::DuplicateSlices,
            format!("{doubled} slices were there twice, with the same pixels; one of each was used"),
        ));
    }
    if let Some(repair) = &stack.repair {
        values = repair.apply(&values, size)?;
    }
    Volume::new(values, dims, stack.spacing_mm, stack.origin_mm, stack.direction)
}
