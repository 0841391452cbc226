//! The header of one DICOM file: everything about its frames but their pixels.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::DeflateDecoder;

use super::element::{Element, Encoding, PixelHeader, Step, Tag, Walker};
use super::frames::{self, Plane};
use super::syntax::Syntax;
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
/// The most that a deflated data set may inflate to.
const MAX_INFLATED: u64 = 256 << 20;

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

/// Form of the pixels (PS3.3, C.7.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PixelFormat {
    pub rows: u16,
    pub columns: u16,
    pub samples: u16,
    pub monochrome: bool,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    /// Absent in some files; then it follows from the bits stored.
    pub high_bit: Option<u16>,
    pub signed: bool,
}

impl PixelFormat {
    /// Pixels of a frame.
    pub(super) fn pixels(&self) -> usize {
        self.rows as usize * self.columns as usize
    }

    /// Bytes of a frame that is not compressed.
    pub(super) fn frame_bytes(&self) -> usize {
        self.pixels() * self.samples as usize * (self.bits_allocated as usize).div_ceil(8)
    }
}

/// The header of a DICOM image file.
#[derive(Debug, Clone)]
pub(super) struct FileHeader {
    pub syntax: Syntax,
    pub series_uid: Option<String>,
    pub modality: Option<&'static str>,
    pub has_modality: bool,
    /// Whether the SOP class is present and not one of a CT.
    pub foreign_class: bool,
    pub localizer: bool,
    pub derived: bool,
    pub lossy: bool,
    pub not_hu: bool,
    pub kernel: Option<String>,
    /// Tells kernels apart whose names are not known.
    pub kernel_hash: u64,
    /// Whether the header names a contrast agent.
    pub contrast: bool,
    pub thickness_mm: Option<f64>,
    pub acquisition: Option<i64>,
    /// Time within a heart beat or a perfusion series: TemporalPositionIdentifier, cardiac phase, trigger time.
    pub phase: Option<f64>,
    pub has_instance_number: bool,
    pub has_frame_of_reference: bool,
    pub format: PixelFormat,
    /// PixelPaddingValue and PixelPaddingRangeLimit as stored bits.
    pub padding: Option<[u16; 2]>,
    pub pixels: PixelHeader,
    /// Bytes of the pixel data; for encapsulated data all bytes behind its start.
    pub pixel_bytes: usize,
    /// One entry a frame.
    pub planes: Vec<Plane>,
}

/// What reading a header found.
#[derive(Debug)]
pub(super) enum Parsed {
    Image(Box<FileHeader>),
    /// A DICOM file without pixels: a report, a structure set, a presentation state.
    NoImage,
}

/// Reads the header of a file, and no more of the file than that needs.
///
/// # Errors
/// [`Error::Read`] is not used: the file's name may identify a patient, so an error of the operating system
/// is reported as [`Error::Corrupt`] with its kind.
pub(super) fn read_header(input: &Input) -> Result<Parsed> {
    let unreadable = |e: std::io::Error| Error::Corrupt { detail: format!("cannot be read: {}", e.kind()) };
    match input {
        Input::Buffer(bytes) => parse(bytes, bytes.len())?.ok_or_else(breaks_off),
        Input::File(path) => {
            let mut file = File::open(path).map_err(unreadable)?;
            let total = file.metadata().map_err(unreadable)?.len() as usize;
            let mut bytes = Vec::new();
            let mut wanted = FIRST_READ;
            loop {
                file.by_ref().take((wanted - bytes.len()) as u64).read_to_end(&mut bytes).map_err(unreadable)?;
                let whole = bytes.len() < wanted || bytes.len() >= total;
                if let Some(parsed) = parse(&bytes, total.max(bytes.len()))? {
                    return Ok(parsed);
                }
                if whole {
                    return Err(breaks_off());
                }
                wanted *= 8;
            }
        }
    }
}

fn breaks_off() -> Error {
    Error::Corrupt { detail: "the file breaks off inside its header".into() }
}

/// The data set of a file: its bytes without preamble and meta group, inflated where needed.
pub(super) fn data_set<'a>(bytes: &'a [u8], syntax: &Syntax, start: usize) -> Result<Cow<'a, [u8]>> {
    let raw = bytes.get(start..).unwrap_or_default();
    if !syntax.deflated {
        return Ok(Cow::Borrowed(raw));
    }
    let mut inflated = Vec::new();
    let damaged = DeflateDecoder::new(raw).take(MAX_INFLATED + 1).read_to_end(&mut inflated).is_err();
    if inflated.len() as u64 > MAX_INFLATED {
        return Err(Error::LimitExceeded {
            what: "size of the inflated data set, in bytes".into(),
            found: inflated.len() as u64,
            limit: MAX_INFLATED,
        });
    }
    if damaged {
        return Err(Error::Corrupt { detail: "the deflated data set is damaged or breaks off".into() });
    }
    Ok(Cow::Owned(inflated))
}

/// Start of the data set and its transfer syntax; `None` if the bytes break off.
pub(super) fn meta(bytes: &[u8]) -> Result<Option<(usize, Syntax)>> {
    let start = match bytes {
        _ if bytes.get(128..132) == Some(b"DICM") => 132,
        _ if bytes.starts_with(b"DICM") => 4,
        _ => 0,
    };
    let rest = &bytes[start.min(bytes.len())..];
    let mut walker = Walker::new(rest, Encoding::EXPLICIT_LE);
    let mut uid = None;
    while rest.get(walker.position()..walker.position() + 2) == Some(&[2, 0]) {
        match walker.step()? {
            Step::Element(element) if element.tag == 0x0002_0010 => uid = Some(values::uid(&element)),
            Step::Element(_) => {}
            _ => return Ok(None),
        }
    }
    let at = start + walker.position();
    let syntax = match uid {
        Some(Some(uid)) => Syntax::from_uid(&uid),
        Some(None) => {
            return Err(Error::Corrupt { detail: "the transfer syntax is not a UID".into() });
        }
        None => guess_syntax(&bytes[at.min(bytes.len())..]),
    };
    Ok(Some((at, syntax)))
}

/// Without a meta group the first element shows the encoding.
fn guess_syntax(bytes: &[u8]) -> Syntax {
    let explicit = bytes.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
    let big = bytes.first() == Some(&0) && bytes.get(1).is_some_and(|b| *b != 0);
    Syntax::from_uid(match (explicit, big) {
        (true, true) => "1.2.840.10008.1.2.2",
        (true, false) => "1.2.840.10008.1.2.1",
        _ => "1.2.840.10008.1.2",
    })
}

/// Parses the header from the first bytes of a file of `total` bytes; `None` if more bytes are needed.
fn parse(bytes: &[u8], total: usize) -> Result<Option<Parsed>> {
    let Some((start, syntax)) = meta(bytes)? else {
        return Ok(None);
    };
    if syntax.deflated && bytes.len() < total {
        return Ok(None);
    }
    let set = data_set(bytes, &syntax, start)?;
    let set_bytes = if syntax.deflated { set.len() } else { total.saturating_sub(start) };
    let mut walker = Walker::new(&set, syntax.encoding);
    let mut draft = Draft::default();
    loop {
        match walker.step()? {
            Step::Element(element) => draft.take(&element)?,
            Step::Pixels(pixels) => {
                let behind = set_bytes.saturating_sub(pixels.start);
                return Ok(Some(Parsed::Image(Box::new(draft.finish(syntax, pixels, behind)?))));
            }
            Step::Truncated => return Ok(None),
            Step::End if bytes.len() < total && !syntax.deflated => return Ok(None),
            Step::End => return Ok(Some(Parsed::NoImage)),
        }
    }
}

/// Values gathered so far.
#[derive(Default)]
struct Draft {
    series_uid: Option<String>,
    modality: Option<&'static str>,
    has_modality: bool,
    foreign_class: bool,
    localizer: bool,
    derived: bool,
    lossy: bool,
    not_hu: bool,
    kernel: Option<String>,
    kernel_hash: u64,
    contrast: bool,
    thickness_mm: Option<f64>,
    acquisition: Option<i64>,
    phase: Option<f64>,
    has_instance_number: bool,
    has_frame_of_reference: bool,
    format: PixelFormat,
    frames: Option<u32>,
    padding: Option<u16>,
    padding_limit: Option<u16>,
    plane: Plane,
    groups: frames::Groups,
}

/// Frames that a file may announce.
const MAX_FRAMES: u32 = 100_000;

impl Draft {
    fn take(&mut self, e: &Element) -> Result<()> {
        let word = || values::unsigned(e).map(|v| v as u16);
        let tag: Tag = e.tag;
        match tag {
            0x0008_0008 => {
                self.localizer = values::has_code(e, "LOCALIZER");
                self.derived = !values::has_code(e, "ORIGINAL");
            }
            // CT, Enhanced CT and Legacy Converted Enhanced CT Image Storage.
            0x0008_0016 => {
                self.foreign_class = values::uid(e).is_some_and(|uid| {
                    !matches!(
                        uid.as_str(),
                        "1.2.840.10008.5.1.4.1.1.2" | "1.2.840.10008.5.1.4.1.1.2.1" | "1.2.840.10008.5.1.4.1.1.2.2"
                    )
                });
            }
            0x0008_0060 => {
                self.has_modality = values::is_present(e);
                self.modality = values::modality(e);
            }
            0x0018_0050 => self.thickness_mm = values::decimal(e).filter(|t| *t > 0.0),
            0x0018_0010 => self.contrast = values::is_present(e),
            0x0018_1210 => {
                self.kernel = values::kernel(e);
                self.kernel_hash = values::hash(e);
            }
            0x0018_1060 | 0x0020_0100 | 0x0020_9241 => self.phase = self.phase.or(values::decimal(e)),
            0x0020_000e => self.series_uid = values::uid(e),
            0x0020_0012 => self.acquisition = values::decimal(e).map(|v| v as i64),
            0x0020_0013 => self.has_instance_number = values::decimal(e).is_some(),
            0x0020_0052 => self.has_frame_of_reference = values::uid(e).is_some(),
            0x0028_0002 => self.format.samples = word().unwrap_or(0),
            0x0028_0004 => {
                self.format.monochrome = values::has_code(e, "MONOCHROME2") || values::has_code(e, "MONOCHROME1");
            }
            0x0028_0008 => self.frames = values::decimal(e).map(|v| v.clamp(0.0, u32::MAX as f64) as u32),
            0x0028_0010 => self.format.rows = word().unwrap_or(0),
            0x0028_0011 => self.format.columns = word().unwrap_or(0),
            0x0028_0100 => self.format.bits_allocated = word().unwrap_or(0),
            0x0028_0101 => self.format.bits_stored = word().unwrap_or(0),
            0x0028_0102 => self.format.high_bit = word(),
            0x0028_0103 => self.format.signed = word() == Some(1),
            0x0028_0120 => self.padding = word(),
            0x0028_0121 => self.padding_limit = word(),
            0x0028_1054 => {
                self.not_hu = values::is_present(e) && !values::has_code(e, "HU") && !values::has_code(e, "US")
            }
            0x0028_2110 => self.lossy = values::has_code(e, "01"),
            0x5200_9229 => self.groups.take_shared(e)?,
            0x5200_9230 => self.groups.take_per_frame(e, MAX_FRAMES as usize)?,
            _ => self.plane.take(e),
        }
        Ok(())
    }

    fn finish(self, syntax: Syntax, pixels: PixelHeader, behind: usize) -> Result<FileHeader> {
        let frames = self.frames.unwrap_or(1).max(1);
        if frames > MAX_FRAMES {
            return Err(Error::LimitExceeded {
                what: "number of frames of a file".into(),
                found: frames as u64,
                limit: MAX_FRAMES as u64,
            });
        }
        let planes = self.groups.planes(&self.plane, frames as usize)?;
        let groups_thickness = self.groups.thickness_mm();
        Ok(FileHeader {
            lossy: self.lossy || syntax.is_lossy(),
            syntax,
            series_uid: self.series_uid,
            modality: self.modality,
            has_modality: self.has_modality,
            foreign_class: self.foreign_class,
            localizer: self.localizer,
            derived: self.derived,
            not_hu: self.not_hu || self.groups.not_hu(),
            kernel: self.kernel,
            kernel_hash: self.kernel_hash,
            contrast: self.contrast,
            phase: self.phase,
            thickness_mm: self.thickness_mm.or(groups_thickness),
            acquisition: self.acquisition,
            has_instance_number: self.has_instance_number,
            has_frame_of_reference: self.has_frame_of_reference,
            format: self.format,
            padding: self.padding.map(|low| [low, self.padding_limit.unwrap_or(low)]),
            pixel_bytes: pixels.length.map_or(behind, |length| length.min(behind)),
            pixels,
            planes,
        })
    }
}
