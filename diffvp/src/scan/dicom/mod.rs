//! DICOM: headers of all files → series → the best stack → one volume.

mod coded;
mod element;
mod file;
mod frames;
mod kernel;
mod pixels;
mod rle;
mod series;
mod stack;
mod syntax;
mod values;

use std::collections::HashMap;

use rayon::prelude::*;

pub(super) use file::Input;

use super::{Scan, ScanFormat, ScanOptions, ScanSource, hu};
use crate::{Error, Result, Volume, Warning, WarningCode};
use file::{FileHeader, Parsed, read_header};
use pixels::PixelFile;
use series::{Candidate, Slice, candidates, in_file};
use stack::Stack;

/// Decoded bytes for every byte of compressed pixel data beyond which sizes are not believed: the most that
/// the lossless codecs reach on real slices is below 100.
const MAX_RATIO: usize = 1000;

/// Loads the best series, or the one that the options name, out of DICOM files.
pub(super) fn load(inputs: &[Input], mut warnings: Vec<Warning>, options: &ScanOptions) -> Result<Scan> {
    let (headers, used) = read_headers(inputs, &mut warnings)?;
    let mut found = candidates(&headers)?;
    let chosen = choose(&found, options)?;
    explain(&found, chosen, options, &mut warnings);
    found[chosen].summary.chosen = true;

    let candidate = &found[chosen];
    let stack =
        candidate.outcome.as_ref().map_err(|_| Error::Internal { detail: "an unusable series was chosen".into() })?;
    let volume = decode(inputs, &used, &headers, candidate, stack, options, &mut warnings)?;
    describe(&headers, candidate, stack, &mut warnings);
    hu::check(&volume, &mut warnings);
    hu::check_oblique(&volume, &mut warnings);

    let multi_frame = headers[candidate.slices[0].file].planes.len() > 1;
    let format = if multi_frame { ScanFormat::DicomMultiFrame } else { ScanFormat::Dicom };
    let series = found.into_iter().map(|candidate| candidate.summary).collect();
    Ok(Scan { volume, warnings, source: ScanSource { format, files: inputs.len(), series } })
}

/// Headers of the files with pixels, and the index of each one's input.
fn read_headers(inputs: &[Input], warnings: &mut Vec<Warning>) -> Result<(Vec<FileHeader>, Vec<usize>)> {
    let parsed: Vec<Result<Parsed>> = inputs.par_iter().map(read_header).collect();
    let (mut headers, mut used) = (Vec::with_capacity(inputs.len()), Vec::with_capacity(inputs.len()));
    let mut without_image = 0;
    for (index, parsed) in parsed.into_iter().enumerate() {
        match parsed {
            Ok(Parsed::Image(header)) => {
                headers.push(*header);
                used.push(index);
            }
            Ok(Parsed::NoImage) => without_image += 1,
            Err(Error::Corrupt { detail }) if inputs.len() > 1 => {
                return Err(Error::Corrupt {
                    detail: format!("DICOM file {} of {} in the sorted listing: {detail}", index + 1, inputs.len()),
                });
            }
            Err(error) => return Err(error),
        }
    }
    if headers.is_empty() {
        return Err(Error::NotAVolume { detail: format!("{without_image} DICOM files, none with an image") });
    }
    if without_image > 0 {
        warnings.push(Warning::new(
            WarningCode::FilesSkipped,
            format!("{without_image} DICOM files without an image were left out"),
        ));
    }
    Ok((headers, used))
}

/// Index of the candidate to load.
fn choose(found: &[Candidate], options: &ScanOptions) -> Result<usize> {
    let wanted = |c: &Candidate| match &options.series_instance_uid {
        Some(uid) => c.summary.series_instance_uid.as_deref() == Some(uid.trim()),
        None => true,
    };
    let matching: Vec<usize> = (0..found.len()).filter(|i| wanted(&found[*i])).collect();
    if matching.is_empty() {
        return Err(Error::NoUsableSeries {
            detail: format!("none of the {} series has the SeriesInstanceUID that was asked for", found.len()),
        });
    }
    if let Some(usable) = matching.iter().copied().find(|i| found[*i].outcome.is_ok()) {
        return Ok(usable);
    }
    if let [only] = matching[..] {
        return Err(again(&found[only]));
    }
    let reasons: Vec<String> = matching
        .iter()
        .take(10)
        .map(|i| {
            let s = &found[*i].summary;
            format!(
                "{} slices of {} × {}: {}",
                s.slices,
                s.slice_size[0],
                s.slice_size[1],
                s.refused.as_deref().unwrap_or("")
            )
        })
        .collect();
    Err(Error::NoUsableSeries { detail: format!("{} series were seen; {}", matching.len(), reasons.join("; ")) })
}

/// The error of a refused candidate, made anew because errors cannot be cloned.
fn again(candidate: &Candidate) -> Error {
    match &candidate.outcome {
        Err(Error::Unsupported { detail }) => Error::Unsupported { detail: detail.clone() },
        Err(Error::Corrupt { detail }) => Error::Corrupt { detail: detail.clone() },
        Err(Error::NotAVolume { detail }) => Error::NotAVolume { detail: detail.clone() },
        Err(Error::Geometry { detail }) => Error::Geometry { detail: detail.clone() },
        Err(other) => Error::NoUsableSeries { detail: other.to_string() },
        Ok(_) => Error::Internal { detail: "a usable series was refused".into() },
    }
}

/// Says which series was chosen where there was a choice.
fn explain(found: &[Candidate], chosen: usize, options: &ScanOptions, warnings: &mut Vec<Warning>) {
    if found.len() < 2 {
        return;
    }
    let summary = &found[chosen].summary;
    let refused = found.iter().filter(|c| c.outcome.is_err()).count();
    let why = match options.series_instance_uid {
        Some(_) => "as asked for".to_string(),
        None => format!("score {}", summary.score),
    };
    let next = found.iter().enumerate().find(|(i, c)| *i != chosen && c.outcome.is_ok());
    let next = next.map_or(String::new(), |(_, c)| format!("; the next has score {}", c.summary.score));
    warnings.push(Warning::new(
        WarningCode::SeriesChosen,
        format!(
            "of {} series the one with {} slices over {:.0} mm was chosen ({why}{next}; {refused} cannot be used)",
            found.len(),
            summary.slices,
            summary.coverage_mm.unwrap_or(0.0)
        ),
    ));
}

/// Decodes the slices of a stack, in parallel, into one volume.
fn decode(
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
    let mut values = Vec::new();
    values.try_reserve_exact(voxels as usize).map_err(|_| Error::LimitExceeded {
        what: "memory for voxels, in bytes".into(),
        found: 4 * voxels,
        limit: 0,
    })?;
    values.resize(voxels as usize, 0f32);

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

/// Warnings about what the headers of the chosen series lack or say.
fn describe(headers: &[FileHeader], candidate: &Candidate, stack: &Stack, warnings: &mut Vec<Warning>) {
    let chosen: Vec<&FileHeader> = candidate.slices.iter().filter(|s| s.frame == 0).map(|s| &headers[s.file]).collect();
    let count = |lacks: &dyn Fn(&FileHeader) -> bool| chosen.iter().filter(|h| lacks(h)).count();
    let mut warn = |code, text: String| warnings.push(Warning::new(code, text));
    if let Some(jitter) = stack.jitter_mm {
        warn(
            WarningCode::UnevenSpacing,
            format!(
                "the distance between slices varies from {:.4} to {:.4} mm; {:.4} mm is used, slices lie up to {jitter:.4} mm off",
                stack.gaps_mm[0], stack.gaps_mm[1], stack.spacing_mm[2]
            ),
        );
    }
    let missing = [
        ("Modality", count(&|h| !h.has_modality), "CT is assumed"),
        ("InstanceNumber", count(&|h| !h.has_instance_number && h.planes.len() == 1), "positions give the order"),
        ("FrameOfReferenceUID", count(&|h| !h.has_frame_of_reference), "the slices are taken to share one"),
        ("SeriesInstanceUID", count(&|h| h.series_uid.is_none()), "the files are taken to be one series"),
        (
            "a rescale slope or intercept",
            count(&|h| h.planes.iter().any(|p| p.slope.is_none() || p.intercept.is_none())),
            "1 and 0 are used",
        ),
    ];
    for (what, files, instead) in missing {
        if files > 0 {
            warn(WarningCode::InferredHeader, format!("{files} of {} files lack {what}: {instead}", chosen.len()));
        }
    }
    if count(&|h| h.lossy) > 0 {
        warn(WarningCode::LossyCompression, "the pixels were compressed with loss".into());
    }
}

#[cfg(test)]
mod tests;
