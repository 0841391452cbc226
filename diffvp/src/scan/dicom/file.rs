//! The header of one DICOM file: everything about its frames but their pixels.

use super::data_set::{data_set, meta};
use super::element::{Element, PIXEL_DATA, PixelHeader, Step, Tag, Walker};
use super::frames::{self, Plane};
use super::syntax::Syntax;
use super::values;
use crate::{Error, Result};

pub(super) const SERIES_INSTANCE_UID: Tag = 0x0020_000e;

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
    /// SeriesInstanceUID, for display and choice.
    pub series_uid: Option<String>,
    /// Tells series apart, also where the UID is no UID.
    pub series: Option<u64>,
    /// Tell studies, patients and frames of reference apart.
    pub study: Option<u64>,
    pub patient: Option<u64>,
    pub frame_of_reference: Option<u64>,
    pub modality: Option<&'static str>,
    pub has_modality: bool,
    /// Whether the SOP class is present and not one of a CT.
    pub foreign_class: bool,
    pub localizer: bool,
    /// Whether the pixels are projections through several slices: MIP, MinIP.
    pub projection: bool,
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
    /// A file that breaks off, and the series that it says it is of.
    Damaged {
        /// As [`FileHeader::series`].
        series: Option<u64>,
        /// What is wrong.
        error: Error,
    },
}

/// Parses the header from the first bytes of a file of `total` bytes; `None` if more bytes are needed.
pub(super) fn parse(bytes: &[u8], total: usize) -> Result<Option<Parsed>> {
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
            // Behind the place of PixelData there is none: raw data of a manufacturer can be gigabytes.
            Step::Truncated if walker.next_tag().is_some_and(|tag| tag > PIXEL_DATA) => {
                return Ok(Some(Parsed::NoImage));
            }
            // Zeros behind the last element occur in the wild.
            Step::Truncated if bytes.len() >= total && set[walker.position()..].iter().all(|byte| *byte == 0) => {
                return Ok(Some(Parsed::NoImage));
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
    series: Option<u64>,
    study: Option<u64>,
    patient: Option<u64>,
    frame_of_reference: Option<u64>,
    modality: Option<&'static str>,
    has_modality: bool,
    foreign_class: bool,
    localizer: bool,
    projection: bool,
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
    format: PixelFormat,
    frames: Option<u32>,
    padding: Option<u16>,
    padding_limit: Option<u16>,
    plane: Plane,
    groups: frames::Groups,
}

/// Values of ImageType (PS3.3, C.8.2.1.1.1, and those of manufacturers) for projections through several slices.
const PROJECTIONS: [&str; 6] = ["MIP", "MINIP", "MIN IP", "MAX IP", "PROJECTION IMAGE", "VOLREN"];

/// Frames that a file may announce.
const MAX_FRAMES: u32 = 100_000;

impl Draft {
    fn take(&mut self, e: &Element) -> Result<()> {
        let word = || values::unsigned(e).map(|v| v as u16);
        let tag: Tag = e.tag;
        match tag {
            0x0008_0008 => {
                self.localizer = values::has_code(e, "LOCALIZER");
                self.projection = PROJECTIONS.iter().any(|code| values::has_code(e, code));
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
            0x0010_0020 => self.patient = values::key(e),
            0x0018_1060 | 0x0020_0100 => self.phase = self.phase.or(values::decimal(e)),
            0x0020_9241 => self.phase = self.phase.or(values::float(e)),
            0x0020_000d => self.study = values::key(e),
            SERIES_INSTANCE_UID => (self.series_uid, self.series) = (values::uid(e), values::key(e)),
            0x0020_0012 => self.acquisition = values::decimal(e).map(|v| v as i64),
            0x0020_0013 => self.has_instance_number = values::decimal(e).is_some(),
            0x0020_0052 => self.frame_of_reference = values::key(e),
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
        let (groups_thickness, groups_not_hu) = (self.groups.thickness_mm(), self.groups.not_hu());
        let planes = self.groups.planes(&self.plane, frames as usize)?;
        Ok(FileHeader {
            lossy: self.lossy || syntax.is_lossy(),
            syntax,
            series_uid: self.series_uid,
            series: self.series,
            study: self.study,
            patient: self.patient,
            frame_of_reference: self.frame_of_reference,
            modality: self.modality,
            has_modality: self.has_modality,
            foreign_class: self.foreign_class,
            localizer: self.localizer,
            projection: self.projection,
            derived: self.derived,
            not_hu: self.not_hu || groups_not_hu,
            kernel: self.kernel,
            kernel_hash: self.kernel_hash,
            contrast: self.contrast,
            phase: self.phase,
            thickness_mm: self.thickness_mm.or(groups_thickness),
            acquisition: self.acquisition,
            has_instance_number: self.has_instance_number,
            format: self.format,
            padding: self.padding.map(|low| [low, self.padding_limit.unwrap_or(low)]),
            pixel_bytes: pixels.length.map_or(behind, |length| length.min(behind)),
            pixels,
            planes,
        })
    }
}
