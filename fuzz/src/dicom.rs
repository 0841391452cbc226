//! Just enough of DICOM's encoding to change a file and keep its lengths right, and to pack its data set.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};

/// Where an element lies in a file.
#[derive(Debug, Clone)]
pub struct Element {
    pub tag: [u16; 2],
    pub start: usize,
    pub value: usize,
    /// Of a sequence or an item, only its head is meant: what it holds follows as elements of their own.
    pub end: usize,
    /// Place and width of the length, unless it is undefined.
    length: Option<(usize, usize)>,
    parents: Vec<(usize, usize)>,
}

/// What the elements of a file are, as far as they can be walked.
pub struct Walk {
    pub elements: Vec<Element>,
    pub data_set: usize,
    pub deflated: bool,
    big: bool,
}

const LONG: [&[u8]; 12] = [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"];

/// Walks a file from its start.
pub fn walk(file: &[u8]) -> Walk {
    let mut walk = Walk { elements: Vec::new(), data_set: 0, deflated: false, big: false };
    let mut at = if file.get(128..132) == Some(b"DICM") { 132 } else { 0 };
    let (mut explicit, mut meta, mut pixels) = (at > 0, at > 0, false);
    let mut parents: Vec<(usize, usize, usize)> = Vec::new();
    loop {
        if meta && file.get(at..at + 2) != Some(&[2, 0]) {
            meta = false;
            walk.data_set = at;
            let syntax = walk.elements.iter().find(|e| e.tag == [2, 0x10]).map(|e| &file[e.value..e.end]);
            let syntax = syntax.map(|uid| uid.strip_suffix(&[0]).unwrap_or(uid));
            explicit = syntax != Some(b"1.2.840.10008.1.2");
            walk.big = syntax == Some(b"1.2.840.10008.1.2.2");
            walk.deflated = syntax == Some(b"1.2.840.10008.1.2.1.99");
        }
        let Some(head) = file.get(at..at + 8) else { return walk };
        let big = walk.big && !meta;
        let tag = [number(&head[..2], big) as u16, number(&head[2..4], big) as u16];
        let delimiter = tag[0] == 0xfffe;
        let (place, width) = match explicit && !delimiter {
            false => (at + 4, 4),
            true if LONG.contains(&&head[4..6]) => (at + 8, 4),
            true => (at + 6, 2),
        };
        let Some(length) = file.get(place..place + width).map(|raw| number(raw, big)) else { return walk };
        let value = place + width;
        let undefined = width == 4 && length == 0xffff_ffff;
        let holds = undefined || (delimiter && !pixels && tag[1] == 0xe000) || (explicit && &head[4..6] == b"SQ");
        pixels |= tag == [0x7fe0, 0x10];
        let end = if holds { value } else { value.saturating_add(length) };
        if end > file.len() {
            return walk;
        }
        parents.retain(|(_, _, until)| *until > at);
        let above = parents.iter().map(|(place, width, _)| (*place, *width)).collect();
        let length_at = (!undefined).then_some((place, width));
        walk.elements.push(Element { tag, start: at, value, end, length: length_at, parents: above });
        if holds && !undefined {
            parents.push((place, width, value.saturating_add(length)));
        }
        at = end;
    }
}

/// Replaces bytes of an element, `at` within it, and corrects the lengths of what is around them.
pub fn splice(file: &mut Vec<u8>, walk: &Walk, element: &Element, at: std::ops::Range<usize>, new: &[u8]) {
    let delta = new.len() as i64 - at.len() as i64;
    let own = element.length.filter(|_| at.start >= element.value);
    for (place, width) in own.iter().chain(&element.parents) {
        let big = walk.big && *place >= walk.data_set;
        let raw = &mut file[*place..place + width];
        let length = (number(raw, big) as i64 + delta) as u32;
        match (*width, big) {
            (2, false) => raw.copy_from_slice(&(length as u16).to_le_bytes()),
            (2, true) => raw.copy_from_slice(&(length as u16).to_be_bytes()),
            (_, false) => raw.copy_from_slice(&length.to_le_bytes()),
            (_, true) => raw.copy_from_slice(&length.to_be_bytes()),
        }
    }
    file.splice(at, new.iter().copied());
}

fn number(raw: &[u8], big: bool) -> usize {
    let shift = |n: usize, byte: &u8| n << 8 | usize::from(*byte);
    if big { raw.iter().fold(0, shift) } else { raw.iter().rev().fold(0, shift) }
}

/// Packs the data set of a file that says it is deflated and lies there plain, as the seeds do: deflated ones cannot be
/// mutated to any purpose.
pub fn deflate(file: &[u8]) -> Vec<u8> {
    let walk = walk(file);
    if !walk.deflated || file.get(walk.data_set..walk.data_set + 2) != Some(&[8, 0]) {
        return file.to_vec();
    }
    let mut packed = DeflateEncoder::new(file[..walk.data_set].to_vec(), Compression::fast());
    packed.write_all(&file[walk.data_set..]).expect("memory takes all");
    packed.finish().expect("memory takes all")
}
