//! Sequences of items: stepping over them and taking them apart (DICOM PS3.5, section 7.5).

use super::element::{Element, Encoding, Step, Tag, UNDEFINED, Walker, header, inner_encoding};
use crate::{Error, Result};

const ITEM: Tag = 0xfffe_e000;
const ITEM_END: Tag = 0xfffe_e00d;
const SEQUENCE_END: Tag = 0xfffe_e0dd;
/// Items inside items that are stepped over; real files have fewer than ten.
const MAX_DEPTH: usize = 64;

/// Steps over a sequence of undefined length whose items start at `at`.
///
/// Returns where the items end and where the next element starts, or `None` if the bytes break off.
pub(super) fn skip_undefined(bytes: &[u8], mut at: usize, encoding: Encoding) -> Result<Option<(usize, usize)>> {
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
                let Some(item) = header(bytes, at, encoding) else {
                    return Ok(None);
                };
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
                let Some(element) = header(bytes, at, encoding) else {
                    return Ok(None);
                };
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

/// Items of a sequence, or fragments of pixel data: an empty one has 8 bytes, what is kept of it several times that.
const MAX_ITEMS: usize = 1 << 20;

/// The items of a sequence, or the fragments of encapsulated pixel data (the first is the offset table).
///
/// # Errors
/// [`Error::Corrupt`] where an item reaches beyond the bytes, [`Error::LimitExceeded`] beyond 2²⁰ items.
pub(super) fn items(sequence: &[u8], encoding: Encoding) -> Result<Vec<&[u8]>> {
    let broken = || Error::Corrupt { detail: "a sequence breaks off inside an item".into() };
    let mut items = Vec::new();
    let mut at = 0;
    while at < sequence.len() {
        if items.len() > MAX_ITEMS {
            let what = "number of items of a sequence, or of fragments".into();
            return Err(Error::LimitExceeded { what, found: items.len() as u64, limit: MAX_ITEMS as u64 });
        }
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
            _ => {
                return Err(Error::Corrupt { detail: "an element stands where an item should be".into() });
            }
        }
    }
    Ok(items)
}

fn skip_item(bytes: &[u8], mut at: usize, encoding: Encoding) -> Result<Option<(usize, usize)>> {
    loop {
        let Some(element) = header(bytes, at, encoding) else {
            return Ok(None);
        };
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
            Step::Truncated => {
                return Err(Error::Corrupt { detail: "a sequence item breaks off".into() });
            }
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
    fn items_are_counted() {
        let many = b"\xfe\xff\x00\xe0\0\0\0\0".repeat(MAX_ITEMS + 2);
        assert!(matches!(items(&many, Encoding::EXPLICIT_LE), Err(Error::LimitExceeded { .. })));
        assert_eq!(items(&many[..8 * 1000], Encoding::EXPLICIT_LE).unwrap().len(), 1000);
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
