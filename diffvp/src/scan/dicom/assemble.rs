//! The slices of a stack → one volume.

use std::collections::HashMap;

use rayon::prelude::*;

use super::file::{FileHeader, Input};
use super::pixels::PixelFile;
use super::series::{Candidate, Slice, in_file};
use super::stack::Stack;
use crate::scan::{ScanOptions, hu};
use crate::{Error, Result, Volume, Warning, WarningCode};

/// Decoded bytes for every byte of compressed pixel data beyond which sizes are not believed: the most that
/// the lossless codecs reach on real slices is below 100.
const MAX_RATIO: usize = 1000;

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
    let dims = [format.columns as usize, format.rows as usize, stack.slices.len()];
    let voxels = plane as u64 * dims[2] as u64;
    if voxels > options.max_voxels {
        return Err(Error::LimitExceeded { what: "number of voxels".into(), found: voxels, limit: options.max_voxels });
    }
    let mut files: Vec<usize> = candidate.slices.iter().map(|s| s.file).collect();
    files.dedup();
    let packed: usize = files.iter().map(|f| headers[*f].pixel_bytes).sum();
    if packed.saturating_mul(MAX_RATIO) < voxels as usize {
        return Err(Error::Corrupt { detail: format!("{packed} bytes of pixel data cannot hold {voxels} pixels") });
    }
    // Whether the memory is there is asked first; zeroed pages are then only touched by the decoding threads.
    Vec::<f32>::new().try_reserve_exact(voxels as usize).map_err(|_| Error::LimitExceeded {
        what: "memory for voxels, in bytes".into(),
        found: 4 * voxels,
        limit: 0,
    })?;
    let mut values = vec![0f32; voxels as usize];

    // A file of many frames is read once; files of one frame are read where they are decoded.
    let shared: HashMap<usize, _> = files
        .iter()
        .filter(|f| headers[**f].planes.len() > 1)
        .map(|f| Ok((*f, read_all(&inputs[used[*f]])?)))
        .collect::<Result<_>>()?;
    let count = candidate.slices.len();
    let one = |index: usize, out: &mut [f32]| -> Result<usize> {
        let Slice { file, frame } = candidate.slices[index];
        let header = &headers[file];
        let mut decode = || {
            let bytes = match shared.get(&file) {
                Some(bytes) => bytes,
                None => &read_all(&inputs[used[file]])?,
            };
            PixelFile::new(bytes, header)?.frame(header, frame, &header.planes[frame], out)
        };
        decode().map_err(|error| in_file(error, index, count))
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
            format!("{replaced} voxels of padding or below {} HU were set to {} HU", hu::AIR_HU, hu::AIR_HU),
        ));
    }
    if doubled > 0 {
        warnings.push(Warning::new(
            WarningCode::DuplicateSlices,
            format!("{doubled} slices were there twice, with the same pixels; one of each was used"),
        ));
    }
    Volume::new(values, dims, stack.spacing_mm, stack.origin_mm, stack.direction)
}

fn read_all<'a>(input: &Input<'a>) -> Result<std::borrow::Cow<'a, [u8]>> {
    input.read().map_err(|e| Error::Corrupt { detail: format!("cannot be read: {}", e.kind()) })
}
