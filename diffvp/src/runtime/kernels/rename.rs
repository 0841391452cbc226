//! Which nodes of a decoder the operator takes over.
//!
//! Reads the protobuf of `onnx.proto3` and changes nothing but the domain of those nodes, in place.

use std::collections::HashSet;
use std::ops::Range;

use super::DOMAIN;
use super::layout::Layout;

const OPERATOR: &[u8] = b"MatMulNBits";
const REPLACED: &str = "com.microsoft";
const _: () = assert!(DOMAIN.len() == REPLACED.len());

/// The `MatMulNBits` nodes of a model.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::runtime) struct Nodes {
    /// Where the domains of those are written that the operator computes: float32, weights of four or eight bits in blocks of 32
    /// or 128, activations rounded to eight bits (`accuracy_level` 4).
    fitting: Vec<Range<usize>>,
    /// How many there are beside them.
    pub(in crate::runtime) others: usize,
}

impl Nodes {
    /// Finds them; none in a model that cannot be read.
    pub(in crate::runtime) fn find(model: &[u8]) -> Nodes {
        find(model).unwrap_or_default()
    }

    /// How many the operator can take over.
    pub(in crate::runtime) fn fitting(&self) -> usize {
        self.fitting.len()
    }

    /// Gives those that fit to the operator.
    pub(in crate::runtime) fn rename(&self, model: &mut Vec<u8>) {
        for place in &self.fitting {
            model[place.clone()].copy_from_slice(DOMAIN.as_bytes());
        }
        // One more opset_import (field 8): a repeated field may go on anywhere in a message.
        let import = [&[0x0a, DOMAIN.len() as u8], DOMAIN.as_bytes(), &[0x10, 1]].concat();
        model.extend([&[0x42, import.len() as u8], import.as_slice()].concat());
    }
}

fn find(model: &[u8]) -> Option<Nodes> {
    let graph = fields(model, 0..model.len())?.into_iter().find(|f| f.number == 7)?.bytes?;
    let (mut nodes, mut floats) = (Vec::new(), HashSet::new());
    for field in fields(model, graph)? {
        match (field.number, field.bytes) {
            (1, Some(node)) => nodes.push(fields(model, node)?),
            (5, Some(tensor)) => {
                let parts = fields(model, tensor)?;
                let is_float = parts.iter().any(|f| f.number == 2 && f.integer == 1);
                let name = parts.iter().find(|f| f.number == 8).and_then(|f| f.bytes.clone());
                floats.extend(name.filter(|_| is_float).map(|name| &model[name]));
            }
            _ => {}
        }
    }
    let mut found = Nodes::default();
    for node in &nodes {
        let kind = node.iter().find(|f| f.number == 4).and_then(|f| f.bytes.clone());
        if kind.is_none_or(|kind| &model[kind] != OPERATOR) {
            continue;
        }
        match fitting(model, node, &floats) {
            Some(place) => found.fitting.push(place),
            None => found.others += 1,
        }
    }
    Some(found)
}

/// The domain of a node that fits.
fn fitting(model: &[u8], node: &[Field], floats: &HashSet<&[u8]>) -> Option<Range<usize>> {
    let of = |number: u64| node.iter().filter(move |f| f.number == number).filter_map(|f| f.bytes.clone());
    let text = |number: u64| of(number).next().map(|range| &model[range]);
    if text(7)? != REPLACED.as_bytes() {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(number: u8, payload: &[u8]) -> Vec<u8> {
        let mut head = vec![number << 3 | 2];
        let mut rest = payload.len();
        while rest >= 0x80 {
            head.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        head.push(rest as u8);
        [head, payload.to_vec()].concat()
    }

    fn node(domain: &str, block: u8, scales: &str) -> Vec<u8> {
        let attributes = [("N", 40), ("K", 64), ("bits", 4), ("block_size", block), ("accuracy_level", 4)];
        let attribute = |(name, value): (&str, u8)| field(5, &[field(1, name.as_bytes()), vec![0x18, value]].concat());
        let inputs = ["x", "codes", scales].map(|name| field(1, name.as_bytes())).concat();
        let parts = [inputs, field(4, OPERATOR), attributes.map(attribute).concat(), field(7, domain.as_bytes())];
        field(1, &parts.concat())
    }

    fn model() -> Vec<u8> {
        let tensor = |name: &str, kind: u8| field(5, &[vec![0x10, kind], field(8, name.as_bytes())].concat());
        let nodes = [
            node(REPLACED, 32, "scales"),
            node(REPLACED, 64, "scales"),
            node(REPLACED, 32, "half"),
            node("elsewhere", 32, "scales"),
            field(1, &field(4, b"Add")),
        ];
        let graph = [nodes.concat(), tensor("scales", 1), tensor("half", 10)].concat();
        [vec![0x08, 10], field(7, &graph)].concat()
    }

    #[test]
    fn only_nodes_that_fit_change_their_domain() {
        let mut model = model();
        let nodes = Nodes::find(&model);
        assert_eq!((nodes.fitting(), nodes.others), (1, 3));
        let before = model.len();
        nodes.rename(&mut model);
        assert_eq!(Nodes::find(&model), Nodes { fitting: Vec::new(), others: 4 });
        let count = |text: &str| model.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
        assert_eq!((count(DOMAIN), count(REPLACED)), (2, 2), "a node and the import");
        assert!(model.len() > before);
    }

    proptest! {
        #[test]
        fn damaged_models_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut model = model();
            let at = at.index(model.len());
            model[at] = byte;
            let _ = Nodes::find(&model);
            let _ = Nodes::find(&model[..cut.index(model.len())]);
        }
    }
}
