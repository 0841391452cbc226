//! DICOM: headers of all files → series → the best stack → one volume.

mod assemble;
mod codec;
mod coded;
mod decode;
mod element;
mod file;
mod frames;
mod kernel;
mod pixels;
mod probe;
mod repair;
mod rle;
mod sequence;
mod series;
mod stack;
mod syntax;
mod values;

use rayon::prelude::*;

pub(super) use file::Input;

use super::{Scan, ScanFormat, ScanOptions, ScanSource};
use crate::{Error, Result, Warning, WarningCode};
use assemble::assemble;
use file::{FileHeader, Parsed, read_header};
use series::{Candidate, candidates};
use stack::Stack;

/// Loads the best series, or the one that the options name, out of DICOM files.
pub(super) fn load(inputs: &[Input], mut warnings: Vec<Warning>, options: &ScanOptions) -> Result<Scan> {
    let (headers, used) = read_headers(inputs, &mut warnings)?;
    let mut found = candidates(&headers)?;
    if options.series_instance_uid.is_none() {
        probe::look(inputs, &used, &headers, &mut found);
    }
    let chosen = choose(&found, options)?;
    explain(&found, chosen, options, &mut warnings);
    found[chosen].summary.chosen = true;

    let candidate = &found[chosen];
    let stack =
        candidate.outcome.as_ref().map_err(|_| Error::Internal { detail: "an unusable series was chosen".into() })?;
    let volume = assemble(inputs, &used, &headers, candidate, stack, options, &mut warnings)?;
    describe(&headers, candidate, stack, &mut warnings);
    if options.volume.is_some() {
        warnings.push(Warning::new(
            WarningCode::IgnoredContent,
            "the number of a volume was given, which has no meaning for DICOM",
        ));
    }

    let multi_frame = headers[candidate.slices[0].file].planes.len() > 1;
    let format = if multi_frame { ScanFormat::DicomMultiFrame } else { ScanFormat::Dicom };
    let series = found.into_iter().map(|candidate| candidate.summary).collect();
    Ok(Scan::new(volume, warnings, ScanSource { format, files: inputs.len(), series }))
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
            // Without a preamble, any bytes can look like the start of a data set.
            Err(Error::Corrupt { .. }) if inputs.len() > 1 && !inputs[index].has_preamble() => {
                without_image += 1;
            }
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
            format!("{without_image} files without a DICOM image were left out"),
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
    let mut why = match options.series_instance_uid {
        Some(_) => "as asked for".to_string(),
        None => format!("score {}", summary.score),
    };
    if let Some(lungs) = summary.lungs {
        why += &format!(", {:.0} mm of lungs", lungs.height_mm);
    }
    if let Some(kernel) = &summary.kernel {
        why += &format!(", kernel {kernel}");
    }
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
    if let Some(repair) = &stack.repair {
        if let Some([angle, shift_mm]) = repair.tilt {
            warn(
                WarningCode::TiltCorrected,
                format!(
                    "the gantry was tilted by {angle:.1}°: slices were moved sideways by up to {shift_mm:.2} mm, with linear interpolation"
                ),
            );
        }
        if let Some(moved_mm) = repair.moved_mm {
            warn(
                WarningCode::SlicesResampled,
                format!(
                    "the distance between slices varies from {:.3} to {:.3} mm: they were interpolated to {:.3} mm, slices lay up to {moved_mm:.3} mm off",
                    stack.gaps_mm[0], stack.gaps_mm[1], stack.spacing_mm[2]
                ),
            );
        }
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
