//! Walks the elements of a DICOM data set without copying, recursing or trusting a length
//! (DICOM PS3.5, section 7).
//!
//! The general readers of the `dicom` crates allocate what a length announces before they read, and recurse
//! into nested sequences; a hostile file can exhaust memory or the stack that way. Here a value is a slice of
//! the bytes at hand, and a sequence is stepped over in a loop. Only the few elements that a CT needs are kept,
//! so that the headers of a large study cost little.

use super::sequence::skip_undefined;
use crate::{Error, Result};

/// How a data set is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    pub explicit_vr: bool,
    pub big_endian: bool,
}

impl Encoding {
    pub(super) const EXPLICIT_LE: Encoding = Encoding { explicit_vr: true, big_endian: false };
    pub(super) const IMPLICIT_LE: Encoding = Encoding { explicit_vr: false, big_endian: false };
    pub(super) const EXPLICIT_BE: Encoding = Encoding { explicit_vr: true, big_endian: true };

    pub(super) fn u16(self, raw: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) }
    }

    pub(super) fn u32(self, raw: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) }
    }
}

/// Group and element number as one number: `0x7fe0_0010` is PixelData.
pub(super) type Tag = u32;

/// PixelData.
pub(super) const PIXEL_DATA: Tag = 0x7fe0_0010;

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub tag: Tag,
    /// The bytes of the value; of a sequence, its items (without the sequence delimiter).
    pub value: &'a [u8],
    /// Whether the length was undefined: a sequence, or encapsulated pixel data.
    pub undefined_length: bool,
    /// Encoding of the value (differs from the data set's inside UN sequences).
    pub encoding: Encoding,
}

/// What stepping ended on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Element(Element<'a>),
    /// PixelData starts here; its value need not be in the bytes at hand.
    Pixels(PixelHeader),
    /// No bytes are left.
    End,
    /// The bytes at hand break off inside an element.
    Truncated,
}

/// Where the value of PixelData lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelHeader {
    /// First byte of the value.
    pub start: usize,
    /// Bytes of the value; `None` for encapsulated data.
    pub length: Option<usize>,
}

/// Steps through the elements of one level.
#[derive(Debug, Clone)]
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
}

/// An element's header.
pub(super) struct Header {
    pub tag: Tag,
    pub vr: [u8; 2],
    pub length: u32,
    /// Position of the value.
    pub value: usize,
}

/// The length of a sequence that ends with a delimiter.
pub(super) const UNDEFINED: u32 = u32::MAX;

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8], encoding: Encoding) -> Self {
        Walker { bytes, at: 0, encoding }
    }

    /// Tag of the next element, where its header is there.
    pub(super) fn next_tag(&self) -> Option<Tag> {
        header(self.bytes, self.at, self.encoding).map(|header| header.tag)
    }

    /// Position of the next element.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next element.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for delimiters where an element should be, or absurd nesting.
    pub(super) fn step(&mut self) -> Result<Step<'a>> {
        if self.at >= self.bytes.len() {
            return Ok(Step::End);
        }
        let Some(header) = header(self.bytes, self.at, self.encoding) else {
            return Ok(Step::Truncated);
        };
        if header.tag >> 16 == 0xfffe {
            // Trailing delimiters and zero padding after the last element occur in the wild.
            return Err(Error::Corrupt { detail: "an item delimiter stands where an element should be".into() });
        }
        let undefined = header.length == UNDEFINED;
        if header.tag == PIXEL_DATA {
            let length = (!undefined).then_some(header.length as usize);
            return Ok(Step::Pixels(PixelHeader { start: header.value, length }));
        }
        let inner = inner_encoding(&header, self.encoding);
        let (end, next) = if undefined {
            match skip_undefined(self.bytes, header.value, inner)? {
                Some(ends) => ends,
                None => return Ok(Step::Truncated),
            }
        } else {
            let end = header.value.saturating_add(header.length as usize);
            if end > self.bytes.len() {
                return Ok(Step::Truncated);
            }
            (end, end)
        };
        self.at = next;
        Ok(Step::Element(Element {
            tag: header.tag,
            value: &self.bytes[header.value..end],
            undefined_length: undefined,
            encoding: inner,
        }))
    }
}

/// A sequence of unknown VR and undefined length is encoded as implicit VR little endian (PS3.5, 6.2.2 note).
pub(super) fn inner_encoding(header: &Header, encoding: Encoding) -> Encoding {
    if encoding.explicit_vr && header.vr == *b"UN" && header.length == UNDEFINED {
        Encoding::IMPLICIT_LE
    } else {
        encoding
    }
}

/// The header of the element at `at`; `None` if the bytes break off.
pub(super) fn header(bytes: &[u8], at: usize, encoding: Encoding) -> Option<Header> {
    let raw = bytes.get(at..at.checked_add(8)?)?;
    let tag = (encoding.u16([raw[0], raw[1]]) as u32) << 16 | encoding.u16([raw[2], raw[3]]) as u32;
    let word = [raw[4], raw[5], raw[6], raw[7]];
    // Items and delimiters never have a VR.
    if !encoding.explicit_vr || tag >> 16 == 0xfffe {
        return Some(Header { tag, vr: [0; 2], length: encoding.u32(word), value: at + 8 });
    }
    let vr = [raw[4], raw[5]];
    let long = matches!(
        &vr,
        b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV"
    );
    if long {
        let length = bytes.get(at + 8..at + 12)?;
        let length = encoding.u32([length[0], length[1], length[2], length[3]]);
        return Some(Header { tag, vr, length, value: at + 12 });
    }
    Some(Header { tag, vr, length: encoding.u16([raw[6], raw[7]]) as u32, value: at + 8 })
}
