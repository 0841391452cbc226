//! The files of a study before any is decoded: which are images, which are damaged, and whether they belong together.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::file::{FileHeader, Parsed};
use super::input::{Input, read_header};
use crate::scan::ScanOptions;
use crate::{Error, Result, Warning, WarningCode};

/// A file that cannot be read: index of the input, the series that it says it is of, what is wrong.
pub(super) type Damaged = (usize, Option<u64>, Error);

/// What the files of a study are.
pub(super) struct Files {
    /// Of those with pixels.
    pub headers: Vec<FileHeader>,
    /// The index of each header's input.
    pub used: Vec<usize>,
    /// Files that break off or cannot be read.
    pub damaged: Vec<Damaged>,
}

/// Frames of all files together, beyond one for each file: deflated, a hundred thousand take some thousand bytes.
const MAX_FRAMES: usize = 200_000;

/// Reads the headers of all files.
///
/// # Errors
/// Where there is no image; the one file's own error where there is one file; [`Error::LimitExceeded`] beyond 200,000 frames
/// in files of several.
pub(super) fn read_headers(inputs: &[Input], warnings: &mut Vec<Warning>) -> Result<Files> {
    let frames = AtomicUsize::new(0);
    let read = |input: &Input| {
        let parsed = read_header(input);
        if let Ok(Parsed::Image(header)) = &parsed {
            frames.fetch_add(header.planes.len().saturating_sub(1), Ordering::Relaxed);
        }
        match frames.load(Ordering::Relaxed) {
            found if found <= MAX_FRAMES => Ok(parsed),
            found => Err(Error::LimitExceeded {
                what: "number of frames of all files".into(),
                found: found as u64,
                limit: MAX_FRAMES as u64,
            }),
        }
    };
    let parsed: Vec<Result<Parsed>> = inputs.par_iter().map(read).collect::<Result<_>>()?;
    let mut files = Files { headers: Vec::with_capacity(inputs.len()), used: Vec::new(), damaged: Vec::new() };
    let mut without_image = 0;
    for (index, parsed) in parsed.into_iter().enumerate() {
        let (series, error) = match parsed {
            Ok(Parsed::Image(header)) => {
                files.headers.push(*header);
                files.used.push(index);
                continue;
            }
            Ok(Parsed::NoImage) => {
                without_image += 1;
                continue;
            }
            Ok(Parsed::Damaged { series, error }) => (series, error),
            Err(error) => (None, error),
        };
        if inputs.len() == 1 {
            return Err(error);
        }
        // Without a preamble, any bytes can look like the start of a data set.
        if series.is_none() && !inputs[index].has_preamble() {
            without_image += 1;
        } else {
            files.damaged.push((index, series, error));
        }
    }
    if files.headers.is_empty() {
        if let Some((index, _, error)) = files.damaged.into_iter().next() {
            return Err(in_listing(error, index, inputs.len()));
        }
        return Err(Error::NotAVolume { detail: format!("{without_image} DICOM files, none with an image") });
    }
    if without_image > 0 {
        warnings.push(Warning::new(
            WarningCode::FilesSkipped,
            format!("{without_image} files without a DICOM image were left out"),
        ));
    }
    Ok(files)
}

/// Names the file in an error, by its position in the sorted listing.
pub(super) fn in_listing(error: Error, index: usize, count: usize) -> Error {
    match error {
        Error::Corrupt { detail } => {
            Error::Corrupt { detail: format!("DICOM file {} of {count} in the sorted listing: {detail}", index + 1) }
        }
        other => other,
    }
}

/// A damaged file of the chosen series is an error; others are left out, and listed.
pub(super) fn leave_out(
    damaged: Vec<Damaged>,
    chosen: Option<u64>,
    count: usize,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let mut reasons = Vec::new();
    for (index, series, error) in damaged {
        if series.is_some() && series == chosen {
            return Err(in_listing(error, index, count));
        }
        reasons.push(format!("file {} of {count} in the sorted listing: {error}", index + 1));
    }
    if let Some(first) = reasons.first() {
        let text =
            format!("{} damaged files, of other series as far as they tell, were left out; {first}", reasons.len());
        warnings.push(Warning::new(WarningCode::FilesSkipped, text));
    }
    Ok(())
}

/// Warns where the files are not of one study of one patient.
pub(super) fn check_studies(headers: &[FileHeader], options: &ScanOptions, warnings: &mut Vec<Warning>) {
    let several = |of: &dyn Fn(&FileHeader) -> Option<u64>| headers.iter().filter_map(of).collect::<HashSet<_>>().len();
    let (patients, studies) = (several(&|h| h.patient), several(&|h| h.study));
    if patients > 1 || studies > 1 {
        let which = match options.series_instance_uid {
            Some(_) => "the one that was asked for",
            None => "the best of them all: check that it is the one that was meant",
        };
        let text = format!(
            "the files are of {} studies of {} patients, by their identifiers; the series is {which}",
            studies.max(1),
            patients.max(1)
        );
        warnings.push(Warning::new(WarningCode::SeveralStudies, text));
    }
}
