//! Which nodes of a decoder the operators take over.
//!
//! Reads the protobuf of `onnx.proto3` and changes nothing but the domain of those nodes, in place.

use std::collections::HashMap;
use std::ops::Range;

use super::products::Layout;
use super::{DOMAIN, attention};

const PRODUCT: &[u8] = b"MatMulNBits";
const ATTENTION: &[u8] = b"GroupQueryAttention";
const REPLACED: &str = "com.microsoft";
const _: () = assert!(DOMAIN.len() == REPLACED.len());

/// The nodes of a model that there are operators for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::runtime) struct Nodes {
    /// Where the domains of the products are written that the operator computes: float32, weights of four or eight bits in blocks of
    /// 32 or 128, activations rounded to eight bits (`accuracy_level` 4).
    products: Vec<Range<usize>>,
    /// How many products there are beside them.
    pub(in crate::runtime) others: usize,
    /// The same of attention, for all layers or for none: they share a form of the cache.
    attention: Vec<Range<usize>>,
}

impl Nodes {
    /// Finds them; none in a model that cannot be read.
    pub(in crate::runtime) fn find(model: &[u8]) -> Nodes {
        find(model).unwrap_or_default()
    }

    /// How many products the operator can take over.
    pub(in crate::runtime) fn products(&self) -> usize {
        self.products.len()
    }

    /// Whether the operator can take over attention.
    pub(in crate::runtime) fn attention(&self) -> bool {
        !self.attention.is_empty()
    }

    /// Leaves attention to ONNX Runtime.
    pub(in crate::runtime) fn leave_attention(&mut self) {
        self.attention.clear();
    }

    /// Gives those that fit to the operators.
    pub(in crate::runtime) fn rename(&self, model: &mut Vec<u8>) {
        for place in self.products.iter().chain(&self.attention) {
            model[place.clone()].copy_from_slice(DOMAIN.as_bytes());
        }
        // One more opset_import (field 8): a repeated field may go on anywhere in a message.
        let import = [&[0x0a, DOMAIN.len() as u8], DOMAIN.as_bytes(), &[0x10, 1]].concat();
        model.extend([&[0x42, import.len() as u8], import.as_slice()].concat());
    }
}

/// Numbers of float32 that are stored in the model: the last of their dimensions.
type Floats<'m> = HashMap<&'m [u8], usize>;

fn find(model: &[u8]) -> Option<Nodes> {
    let graph = fields(model, 0..model.len())?.into_iter().find(|f| f.number == 7)?.bytes?;
    let (mut nodes, mut floats) = (Vec::new(), Floats::new());
    for field in fields(model, graph)? {
        match (field.number, field.bytes) {
            (1, Some(node)) => nodes.push(Node::read(model, node)?),
            (5, Some(tensor)) => {
                let parts = fields(model, tensor)?;
                let is_float = parts.iter().any(|f| f.number == 2 && f.integer == 1);
                if let Some(name) = parts.iter().find(|f| f.number == 8).and_then(|f| f.bytes.clone())
                    && is_float
                {
                    floats.insert(&model[name], last_dimension(model, &parts));
                }
            }
            _ => {}
        }
    }
    let mut found = Nodes::default();
    for node in nodes.iter().filter(|node| node.operator == PRODUCT) {
        match node.own_product(&floats) {
            Some(place) => found.products.push(place),
            None => found.others += 1,
        }
    }
    let attention = nodes.iter().filter(|node| node.operator == ATTENTION).map(|node| node.own_attention(&floats));
    found.attention = attention.collect::<Option<_>>().unwrap_or_default();
    Some(found)
}

/// The last of a tensor's dimensions, which are stored one by one or as a sequence of varints; 0 where there is none.
fn last_dimension(model: &[u8], tensor: &[Field]) -> usize {
    let Some(last) = tensor.iter().rfind(|f| f.number == 1) else { return 0 };
    let Some(packed) = last.bytes.clone() else { return last.integer as usize };
    let (mut at, mut value) = (packed.start, 0);
    while at < packed.end {
        match varint(model, &mut at, packed.end) {
            Some(next) => value = next,
            None => return 0,
        }
    }
    value as usize
}

/// A node.
struct Node<'m> {
    operator: &'m [u8],
    inputs: Vec<&'m [u8]>,
    /// Names, and the values of those that are integers.
    attributes: Vec<(&'m [u8], u64)>,
    /// Where its domain is written.
    domain: Option<Range<usize>>,
    model: &'m [u8],
}

impl<'m> Node<'m> {
    fn read(model: &'m [u8], node: Range<usize>) -> Option<Node<'m>> {
        let parts = fields(model, node)?;
        let of = |number: u64| parts.iter().filter(move |f| f.number == number).filter_map(|f| f.bytes.clone());
        let mut attributes = Vec::new();
        for range in of(5) {
            let parts = fields(model, range)?;
            let name = parts.iter().find(|f| f.number == 1)?.bytes.clone()?;
            attributes.push((&model[name], parts.iter().find(|f| f.number == 3).map_or(0, |f| f.integer)));
        }
        let operator = of(4).next().map_or(&[][..], |range| &model[range]);
        Some(Node {
            operator,
            inputs: of(1).map(|range| &model[range]).collect(),
            attributes,
            domain: of(7).next(),
            model,
        })
    }

    fn integer(&self, name: &str) -> Option<u64> {
        self.attributes.iter().find(|a| a.0 == name.as_bytes()).map(|a| a.1)
    }

    fn size(&self, name: &str) -> Option<usize> {
        usize::try_from(self.integer(name)?).ok().filter(|&v| v > 0)
    }

    /// The domain, where it is the one that is replaced.
    fn replaced(&self) -> Option<Range<usize>> {
        self.domain.clone().filter(|place| &self.model[place.clone()] == REPLACED.as_bytes())
    }

    /// The domain of a product that fits.
    fn own_product(&self, floats: &Floats<'_>) -> Option<Range<usize>> {
        let inputs = &self.inputs;
        if !(3..=4).contains(&inputs.len()) || inputs.iter().any(|i| i.is_empty()) || !floats.contains_key(inputs[2]) {
            return None;
        }
        let layout = Layout {
            n: self.size("N")?,
            k: self.size("K")?,
            bits: self.size("bits")?,
            block: self.size("block_size")?,
            symmetric: inputs.len() == 3,
        };
        (layout.is_known() && self.integer("accuracy_level") == Some(4)).then(|| self.replaced())?
    }

    /// The domain of attention that fits: with queries, keys and values in one, rotary positions, without a window or anything else
    /// that changes its scores but a mask.
    fn own_attention(&self, floats: &Floats<'_>) -> Option<Range<usize>> {
        let given: Vec<bool> = self.inputs.iter().map(|input| !input.is_empty()).collect();
        let fits =
            matches!(given[..], [true, false, false, true, true, true, true, true, true, ..]) && given.len() <= 11;
        let known = |name: &[u8]| match name {
            b"num_heads" | b"kv_num_heads" | b"scale" => true,
            b"do_rotary" => self.integer("do_rotary") == Some(1),
            b"rotary_interleaved" => self.integer("rotary_interleaved") == Some(0),
            // -1, as a varint of 64 bits.
            b"local_window_size" => self.integer("local_window_size") == Some(u64::MAX),
            _ => false,
        };
        if !fits || self.integer("do_rotary").is_none() || !self.attributes.iter().all(|a| known(a.0)) {
            return None;
        }
        let (heads, stored) = (self.size("num_heads")?, self.size("kv_num_heads")?);
        let head_dim = floats.get(self.inputs[7])?.checked_mul(2)?;
        let shared = heads.is_multiple_of(stored) && floats.contains_key(self.inputs[8]);
        (shared && attention::is_known(head_dim)).then(|| self.replaced())?
    }
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

    fn attribute((name, value): (&str, i64)) -> Vec<u8> {
        let mut rest = value as u64;
        let mut integer = vec![0x18];
        while rest >= 0x80 {
            integer.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        integer.push(rest as u8);
        field(5, &[field(1, name.as_bytes()), integer].concat())
    }

    fn node(operator: &[u8], domain: &str, inputs: &[&str], attributes: &[(&str, i64)]) -> Vec<u8> {
        let inputs: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
        let attributes: Vec<u8> = attributes.iter().flat_map(|a| attribute(*a)).collect();
        field(1, &[inputs, field(4, operator), attributes, field(7, domain.as_bytes())].concat())
    }

    fn product(domain: &str, block: i64, scales: &str) -> Vec<u8> {
        let attributes = [("N", 40), ("K", 64), ("bits", 4), ("block_size", block), ("accuracy_level", 4)];
        node(PRODUCT, domain, &["x", "codes", scales], &attributes)
    }

    fn layer(cos: &str, more: &[(&str, i64)]) -> Vec<u8> {
        let inputs = ["qkv", "", "", "past.key", "past.value", "length", "total", cos, "sin"];
        let attributes = [("num_heads", 4), ("kv_num_heads", 2), ("do_rotary", 1), ("local_window_size", -1)];
        node(ATTENTION, REPLACED, &inputs, &[&attributes, more].concat())
    }

    fn model_with(layers: &[Vec<u8>]) -> Vec<u8> {
        let tensor =
            |name: &str, kind: u8, dims: &[u8]| field(5, &[dims, &[0x10, kind], &field(8, name.as_bytes())].concat());
        let nodes = [
            product(REPLACED, 32, "scales"),
            product(REPLACED, 64, "scales"),
            product(REPLACED, 32, "half"),
            product("elsewhere", 32, "scales"),
            field(1, &field(4, b"Add")),
            layers.concat(),
        ];
        let tensors = [
            tensor("scales", 1, &[]),
            tensor("half", 10, &[]),
            tensor("cos", 1, &[0x08, 99, 0x08, 16]),
            tensor("sin", 1, &field(1, &[99, 16])),
            tensor("small", 1, &field(1, &[99, 8])),
        ];
        let graph = [nodes.concat(), tensors.concat()].concat();
        [vec![0x08, 10], field(7, &graph)].concat()
    }

    fn model() -> Vec<u8> {
        model_with(&[layer("cos", &[]), layer("sin", &[("rotary_interleaved", 0)])])
    }

    #[test]
    fn only_nodes_that_fit_change_their_domain() {
        let mut model = model();
        let nodes = Nodes::find(&model);
        assert_eq!((nodes.products(), nodes.others, nodes.attention.len()), (1, 3, 2));
        let before = model.len();
        nodes.rename(&mut model);
        assert_eq!(Nodes::find(&model), Nodes { others: 4, ..Nodes::default() });
        let count = |text: &str| model.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
        assert_eq!((count(DOMAIN), count(REPLACED)), (4, 2), "three nodes and the import");
        assert!(model.len() > before);
    }

    #[test]
    fn attention_is_taken_over_in_all_layers_or_in_none() {
        let others = [
            layer("small", &[]),
            layer("half", &[]),
            layer("cos", &[("rotary_interleaved", 1)]),
            layer("cos", &[("softcap", 0)]),
            layer("cos", &[("k_quant_type", 0)]),
            node(ATTENTION, REPLACED, &["q", "k", "v", "past.key", "past.value", "length", "total", "cos", "sin"], &[]),
        ];
        for other in others {
            assert!(!Nodes::find(&model_with(&[layer("cos", &[]), other])).attention());
        }
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
