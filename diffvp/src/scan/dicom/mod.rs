//! DICOM: headers of all files → series → the best stack → one volume.

mod assemble;
mod codec;
mod coded;
mod data_set;
mod decode;
mod element;
mod file;
mod frames;
mod input;
mod jpeg2000;
mod kernel;
mod pixels;
mod probe;
mod repair;
mod rle;
mod sequence;
mod series;
mod stack;
mod study;
mod syntax;
mod values;

use std::collections::HashSet;

pub(super) use input::Input;

use super::{Scan, ScanFormat, ScanOptions, ScanSource};
use crate::{Error, Result, Warning, WarningCode};
use assemble::assemble;
use file::FileHeader;
use series::{Candidate, candidates, headers_of};
use stack::Stack;
use study::{Files, check_studies, in_listing, leave_out, read_headers};

/// Distance between slices, as a multiple of their thickness, beyond which they leave gaps that a reader must know of.
const MAX_SPACING_OF_THICKNESS: f64 = 1.5;

/// Loads the best series, or the one that the options name, out of DICOM files.
pub(super) fn load(inputs: &[Input], mut warnings: Vec<Warning>, options: &ScanOptions) -> Result<Scan> {
    let Files { headers, used, damaged } = read_headers(inputs, &mut warnings)?;
    let mut found = candidates(&headers);
    if options.series_instance_uid.is_none() {
        probe::look(inputs, &used, &headers, &mut found);
    }
    let chosen = match choose(&found, options) {
        Ok(chosen) => chosen,
        // The reason may be that the rest of the series is damaged.
        Err(error) => {
            let asked = |c: &&Candidate| is_wanted(c, options);
            let series: HashSet<u64> =
                found.iter().filter(asked).filter_map(|c| headers[c.slices[0].file].series).collect();
            let damaged = damaged.into_iter().find(|(_, of, _)| of.is_none_or(|of| series.contains(&of)));
            return Err(match damaged {
                Some((index, Some(_), why)) => in_listing(why, index, inputs.len()),
                Some((index, None, why)) if options.series_instance_uid.is_none() => {
                    in_listing(why, index, inputs.len())
                }
                _ => error,
            });
        }
    };
    leave_out(damaged, headers[found[chosen].slices[0].file].series, inputs.len(), &mut warnings)?;
    check_studies(&headers, options, &mut warnings);
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

/// Whether a candidate is of the series that the options name, if they name one.
fn is_wanted(candidate: &Candidate, options: &ScanOptions) -> bool {
    let uid = candidate.summary.series_instance_uid.as_deref();
    options.series_instance_uid.as_ref().is_none_or(|wanted| uid == Some(wanted.trim()))
}

/// Index of the candidate to load.
fn choose(found: &[Candidate], options: &ScanOptions) -> Result<usize> {
    let matching: Vec<usize> = (0..found.len()).filter(|i| is_wanted(&found[*i], options)).collect();
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
        Err(Error::LimitExceeded { what, found, limit }) => {
            Error::LimitExceeded { what: what.clone(), found: *found, limit: *limit }
        }
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
    let chosen: Vec<&FileHeader> = headers_of(headers, &candidate.slices).map(|(_, header)| header).collect();
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
    let thickness_mm = chosen[0].thickness_mm;
    if let Some(thickness) = thickness_mm.filter(|t| stack.spacing_mm[2] > MAX_SPACING_OF_THICKNESS * t) {
        warn(
            WarningCode::SliceGaps,
            format!(
                "slices lie {:.2} mm apart and are {thickness:.2} mm thick: what is between them is not shown",
                stack.spacing_mm[2]
            ),
        );
    }
    let frames_of_reference: HashSet<u64> = chosen.iter().filter_map(|h| h.frame_of_reference).collect();
    if frames_of_reference.len() > 1 {
        let text =
            format!("the slices name {} frames of reference: they are taken to be one", frames_of_reference.len());
        warn(WarningCode::InferredHeader, text);
    }
    let missing = [
        ("Modality", count(&|h| !h.has_modality), "CT is assumed"),
        ("InstanceNumber", count(&|h| !h.has_instance_number && h.planes.len() == 1), "positions give the order"),
        ("FrameOfReferenceUID", count(&|h| h.frame_of_reference.is_none()), "the slices are taken to share one"),
        ("SeriesInstanceUID", count(&|h| h.series.is_none()), "the files are taken to be one series"),
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
