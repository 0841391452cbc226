//! The bytes of a DICOM file, of which no more is read than its header needs.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use flate2::read::DeflateDecoder;

use super::data_set::meta;
use super::element::{Step, Walker};
use super::file::{Parsed, SERIES_INSTANCE_UID, parse};
use super::values;
use crate::{Error, Result};

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub(in crate::scan) enum Input<'a> {
    File(PathBuf),
    Buffer(&'a [u8]),
}

/// Bytes that a header is first looked for in.
const FIRST_READ: usize = 32 << 10;
/// From here on, headers are read one at a time.
const LARGE_HEADER: usize = 4 << 20;
/// The most that is read of a file to find its pixels; what has none up to there is no image.
const MAX_HEADER: usize = 256 << 20;

impl<'a> Input<'a> {
    /// All bytes of the file.
    pub(super) fn read(&self) -> std::io::Result<Cow<'a, [u8]>> {
        match self {
            Input::Buffer(bytes) => Ok(Cow::Borrowed(bytes)),
            Input::File(path) => std::fs::read(path).map(Cow::Owned),
        }
    }
}

impl Input<'_> {
    /// Whether the file has the preamble of DICOM, which leaves no doubt of what it is.
    pub(super) fn has_preamble(&self) -> bool {
        let mut start = Vec::with_capacity(132);
        let read = match self {
            Input::Buffer(bytes) => bytes.take(132).read_to_end(&mut start),
            Input::File(path) => File::open(path).and_then(|f| f.take(132).read_to_end(&mut start)),
        };
        read.is_ok() && start.get(128..) == Some(b"DICM")
    }
}

/// Reads the header of a file, and no more of the file than that needs.
///
/// # Errors
/// [`Error::Read`] is not used: the file's name may identify a patient, so an error of the operating system
/// is reported as [`Error::Corrupt`] with its kind.
pub(super) fn read_header(input: &Input) -> Result<Parsed> {
    let unreadable = |e: std::io::Error| Error::Corrupt { detail: format!("cannot be read: {}", e.kind()) };
    match input {
        Input::Buffer(bytes) => Ok(match parse(bytes, bytes.len()) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => damaged(bytes, breaks_off()),
            Err(error) => damaged(bytes, error),
        }),
        Input::File(path) => {
            let mut file = File::open(path).map_err(unreadable)?;
            let total = file.metadata().map_err(unreadable)?.len() as usize;
            let mut bytes = Vec::new();
            let mut wanted = FIRST_READ;
            static LARGE: Mutex<()> = Mutex::new(());
            let mut one = None;
            loop {
                if wanted > LARGE_HEADER && one.is_none() {
                    one = Some(LARGE.lock().unwrap_or_else(PoisonError::into_inner));
                }
                file.by_ref().take((wanted - bytes.len()) as u64).read_to_end(&mut bytes).map_err(unreadable)?;
                let whole = bytes.len() < wanted || bytes.len() >= total;
                match parse(&bytes, total.max(bytes.len())) {
                    Ok(Some(parsed)) => return Ok(parsed),
                    Ok(None) if whole => return Ok(damaged(&bytes, breaks_off())),
                    Ok(None) if wanted >= MAX_HEADER => return Ok(Parsed::NoImage),
                    Ok(None) => wanted = (8 * wanted).min(MAX_HEADER),
                    Err(error) => return Ok(damaged(&bytes, error)),
                }
            }
        }
    }
}

fn breaks_off() -> Error {
    Error::Corrupt { detail: "the file breaks off inside its header".into() }
}

/// A file whose header cannot be read to its end, and the series that it names up to there.
fn damaged(bytes: &[u8], error: Error) -> Parsed {
    let series = || {
        let (start, syntax) = meta(bytes).ok()??;
        let raw = bytes.get(start..)?;
        let mut inflated = Vec::new();
        if syntax.deflated {
            // What does inflate is told; an error only ends it.
            let _ = DeflateDecoder::new(raw).take(FIRST_READ as u64).read_to_end(&mut inflated);
        }
        let mut walker = Walker::new(if syntax.deflated { &inflated } else { raw }, syntax.encoding);
        while let Ok(Step::Element(element)) = walker.step() {
            if element.tag == SERIES_INSTANCE_UID {
                return values::key(&element);
            }
        }
        None
    };
    Parsed::Damaged { series: series(), error }
}
