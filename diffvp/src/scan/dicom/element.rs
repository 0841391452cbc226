//! Walks the elements of a DICOM data set without copying, recursing or trusting a length
//! (DICOM PS3.5, section 7).
//!
//! The general readers of the `dicom` crates allocate what a length announces before they read, and recurse
//! into nested sequences; a hostile file can exhaust memory or the stack that way. Here a value is a slice of
//! the bytes at hand, and a sequence is stepped over in a loop. Only the few elements that a CT needs are kept,
//! so that the headers of a large study cost little.

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
const ITEM: Tag = 0xfffe_e000;
const ITEM_END: Tag = 0xfffe_e00d;
const SEQUENCE_END: Tag = 0xfffe_e0dd;
/// Items inside items that are stepped over; real files have fewer than ten.
const MAX_DEPTH: usize = 64;

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
struct Header {
    tag: Tag,
    vr: [u8; 2],
    length: u32,
    /// Position of the value.
    value: usize,
}

const UNDEFINED: u32 = u32::MAX;

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8], encoding: Encoding) -> Self {
        Walker { bytes, at: 0, encoding }
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
        let Some(header) = header(self.bytes, self.at, self.encoding) else { return Ok(Step::Truncated) };
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
fn inner_encoding(header: &Header, encoding: Encoding) -> Encoding {
    if encoding.explicit_vr && header.vr == *b"UN" && header.length == UNDEFINED {
        Encoding::IMPLICIT_LE
    } else {
        encoding
    }
}

fn header(bytes: &[u8], at: usize, encoding: Encoding) -> Option<Header> {
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

/// Steps over a sequence of undefined length whose items start at `at`.
///
/// Returns where the items end and where the next element starts, or `None` if the bytes break off.
fn skip_undefined(bytes: &[u8], mut at: usize, encoding: Encoding) -> Result<Option<(usize, usize)>> {
    /// What is open around the current position.
    enum Open {
        Sequence(Encoding),
        Item(Encoding),
    }
    let mut open = vec![Open::Sequence(encoding)];
    loop {
        if open.len() > MAX_DEPTH {
            return Err(Error::Corrupt { detail: format!("sequences are nested more than {MAX_DEPTH} deep") });
        }
        match *open.last().expect("the outermost sequence is left by returning") {
            Open::Sequence(encoding) => {
                let Some(item) = header(bytes, at, encoding) else { return Ok(None) };
                match (item.tag, item.length) {
                    (SEQUENCE_END, _) => {
                        open.pop();
                        if open.is_empty() {
                            return Ok(Some((at, item.value)));
                        }
                        at = item.value;
                    }
                    (ITEM, UNDEFINED) => {
                        open.push(Open::Item(encoding));
                        at = item.value;
                    }
                    (ITEM, length) => at = item.value.saturating_add(length as usize),
                    _ => {
                        return Err(Error::Corrupt {
                            detail: "an element stands where a sequence item should be".into(),
                        });
                    }
                }
            }
            Open::Item(encoding) => {
                let Some(element) = header(bytes, at, encoding) else { return Ok(None) };
                if element.tag == ITEM_END {
                    open.pop();
                    at = element.value;
                } else if element.tag >> 16 == 0xfffe {
                    return Err(Error::Corrupt { detail: "a sequence item is not closed".into() });
                } else if element.length == UNDEFINED {
                    open.push(Open::Sequence(inner_encoding(&element, encoding)));
                    at = element.value;
                } else {
                    at = element.value.saturating_add(element.length as usize);
                }
            }
        }
    }
}

/// The items of a sequence, or the fragments of encapsulated pixel data (the first is the offset table).
///
/// # Errors
/// [`Error::Corrupt`] where an item reaches beyond the bytes.
pub(super) fn items<'a>(sequence: &'a [u8], encoding: Encoding) -> Result<Vec<&'a [u8]>> {
    let broken = || Error::Corrupt { detail: "a sequence breaks off inside an item".into() };
    let mut items = Vec::new();
    let mut at = 0;
    while at < sequence.len() {
        let item = header(sequence, at, encoding).ok_or_else(broken)?;
        match (item.tag, item.length) {
            (SEQUENCE_END, _) => break,
            (ITEM, UNDEFINED) => {
                // An item of undefined length is stepped over as a sequence of this one item.
                let (end, next) = skip_item(sequence, item.value, encoding)?.ok_or_else(broken)?;
                items.push(&sequence[item.value..end]);
                at = next;
            }
            (ITEM, length) => {
                let end = item.value.saturating_add(length as usize);
                items.push(sequence.get(item.value..end).ok_or_else(broken)?);
                at = end;
            }
            _ => return Err(Error::Corrupt { detail: "an element stands where an item should be".into() }),
        }
    }
    Ok(items)
}

fn skip_item(bytes: &[u8], mut at: usize, encoding: Encoding) -> Result<Option<(usize, usize)>> {
    loop {
        let Some(element) = header(bytes, at, encoding) else { return Ok(None) };
        if element.tag == ITEM_END {
            return Ok(Some((at, element.value)));
        }
        if element.tag >> 16 == 0xfffe {
            return Err(Error::Corrupt { detail: "a sequence item is not closed".into() });
        }
        at = if element.length == UNDEFINED {
            match skip_undefined(bytes, element.value, inner_encoding(&element, encoding))? {
                Some((_, next)) => next,
                None => return Ok(None),
            }
        } else {
            element.value.saturating_add(element.length as usize)
        };
    }
}

/// The elements of one level that a function cares for, such as the items of functional groups.
///
/// # Errors
/// [`Error::Corrupt`] where the level breaks off.
pub(super) fn elements<'a>(bytes: &'a [u8], encoding: Encoding) -> Result<Vec<Element<'a>>> {
    let mut walker = Walker::new(bytes, encoding);
    let mut found = Vec::new();
    loop {
        match walker.step()? {
            Step::Element(element) => found.push(element),
            Step::End | Step::Pixels(_) => return Ok(found),
            Step::Truncated => return Err(Error::Corrupt { detail: "a sequence item breaks off".into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Explicit little endian: SQ of undefined length with one item that holds an SQ, then Rows = 7.
    fn nested(depth: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            bytes.extend(b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff");
        }
        for _ in 0..depth {
            bytes.extend(b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0");
        }
        bytes.extend(b"\x28\0\x10\0US\x02\0\x07\0");
        bytes
    }

    #[test]
    fn sequences_are_stepped_over() {
        let bytes = nested(5);
        let found = elements(&bytes, Encoding::EXPLICIT_LE).unwrap();
        assert_eq!(found.iter().map(|e| e.tag).collect::<Vec<_>>(), [0x0008_1140, 0x0028_0010]);
        assert_eq!(found[1].value, [7, 0]);
        assert_eq!(items(found[0].value, found[0].encoding).unwrap().len(), 1);
    }

    #[test]
    fn a_million_levels_are_refused_without_a_stack() {
        assert!(matches!(elements(&nested(1_000_000), Encoding::EXPLICIT_LE), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn lengths_beyond_the_bytes_are_truncation() {
        let bytes = b"\x28\0\x10\0UT\0\0\xf0\xff\xff\xff\x07\0";
        assert_eq!(Walker::new(bytes, Encoding::EXPLICIT_LE).step().unwrap(), Step::Truncated);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), explicit_vr: bool, big_endian: bool) {
            let encoding = Encoding { explicit_vr, big_endian };
            let _ = elements(&bytes, encoding);
            let _ = items(&bytes, encoding);
        }

        #[test]
        fn damaged_nesting_never_panics(at in 0usize..100, value: u8) {
            let mut bytes = nested(4);
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = elements(&bytes, Encoding::EXPLICIT_LE);
        }
    }
}
