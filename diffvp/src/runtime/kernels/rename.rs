//! Which nodes of a decoder the operator takes over.
//!
//! Reads the protobuf of `onnx.proto3` and changes nothing but the domain of those nodes, in place.

use std::collections::HashSet;
use std::ops::Range;

use super::DOMAIN;
use super::layout::Layout;

const REPLACED: &str = "com.microsoft";
const _: () = assert!(DOMAIN.len() == REPLACED.len());

/// Gives the operator every `MatMulNBits` that it computes: float32, weights of four or eight bits in blocks of 32 or 128, and
/// activations rounded to eight bits (`accuracy_level` 4). Returns how many; a model that it cannot read stays as it is.
pub(in crate::runtime) fn rename(model: &mut Vec<u8>) -> usize {
    let places = places(model).unwrap_or_default();
    for place in &places {
        model[place.clone()].copy_from_slice(DOMAIN.as_bytes());
    }
    if !places.is_empty() {
        // One more opset_import (field 8): a repeated field may go on anywhere in a message.
        let import = [&[0x0a, DOMAIN.len() as u8], DOMAIN.as_bytes(), &[0x10, 1]].concat();
        model.extend([&[0x42, import.len() as u8], import.as_slice()].concat());
    }
    places.len()
}

/// Where the domains of those nodes are written.
fn places(model: &[u8]) -> Option<Vec<Range<usize>>> {
    let graph = fields(model, 0..model.len())?.into_iter().find(|f| f.number == 7)?.bytes?;
    let (mut nodes, mut floats) = (Vec::new(), HashSet::new());
    for field in fields(model, graph)? {
        match (field.number, field.bytes) {
            (1, Some(node)) => nodes.push(node),
            (5, Some(tensor)) => {
                let parts = fields(model, tensor)?;
                let is_float = parts.iter().any(|f| f.number == 2 && f.integer == 1);
                let name = parts.iter().find(|f| f.number == 8).and_then(|f| f.bytes.clone());
                floats.extend(name.filter(|_| is_float).map(|name| &model[name]));
            }
            _ => {}
        }
    }
    let mut places = Vec::new();
    for node in nodes {
        places.extend(fitting(model, &fields(model, node)?, &floats));
    }
    Some(places)
}

/// The domain of a node that fits.
fn fitting(model: &[u8], node: &[Field], floats: &HashSet<&[u8]>) -> Option<Range<usize>> {
    let of = |number: u64| node.iter().filter(move |f| f.number == number).filter_map(|f| f.bytes.clone());
    let text = |number: u64| of(number).next().map(|range| &model[range]);
    if text(4)? != b"MatMulNBits" || text(7)? != REPLACED.as_bytes() {
        return None;
    }
    let inputs: Vec<&[u8]> = of(1).map(|range| &model[range]).collect();
    if !(3..=4).contains(&inputs.len()) || inputs.iter().any(|i| i.is_empty()) || !floats.contains(inputs[2]) {
        return None;
    }
    let mut attributes = Vec::new();
    for range in of(5) {
        let parts = fields(model, range)?;
        let name = parts.iter().find(|f| f.number == 1)?.bytes.clone()?;
        attributes.push((&model[name], parts.iter().find(|f| f.number == 3).map_or(0, |f| f.integer)));
    }
    let integer = |name: &str| attributes.iter().find(|a| a.0 == name.as_bytes()).map(|a| a.1);
    let size = |name: &str| usize::try_from(integer(name)?).ok().filter(|&v| v > 0);
    let layout = Layout {
        n: size("N")?,
        k: size("K")?,
        bits: size("bits")?,
        block: size("block_size")?,
        symmetric: inputs.len() == 3,
    };
    (layout.is_known() && integer("accuracy_level") == Some(4)).then(|| of(7).next())?
}

/// A field of a message.
struct Field {
    number: u64,
    /// Value of a varint.
    integer: u64,
    /// Where the content of a field with a length lies.
    bytes: Option<Range<usize>>,
}

/// The fields of the message in a range; `None` where it is damaged.
fn fields(model: &[u8], range: Range<usize>) -> Option<Vec<Field>> {
    let (mut at, mut found) = (range.start, Vec::new());
    while at < range.end {
        let tag = varint(model, &mut at, range.end)?;
        let mut field = Field { number: tag >> 3, integer: 0, bytes: None };
        match tag & 7 {
            0 => field.integer = varint(model, &mut at, range.end)?,
            1 => at = at.checked_add(8)?,
            5 => at = at.checked_add(4)?,
            2 => {
                let length = usize::try_from(varint(model, &mut at, range.end)?).ok()?;
                let end = at.checked_add(length)?;
                field.bytes = Some(at..end);
                at = end;
            }
            _ => return None,
        }
        if at > range.end {
            return None;
        }
        found.push(field);
    }
    Some(found)
}

fn varint(model: &[u8], at: &mut usize, end: usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *model[..end].get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
