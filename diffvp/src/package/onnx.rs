//! A look into an ONNX file without a runtime: is it one, and which other files does it read?
//!
//! Walks the protobuf of `onnx.proto3` from message to message and skips the rest, so that weights are
//! never loaded. A graph that would read a file the manifest does not list is found here, before ONNX
//! Runtime opens it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

/// Messages that lead to a tensor's external data.
#[derive(Clone, Copy, PartialEq)]
enum Message {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    ExternalData,
}

impl Message {
    /// The message in a field of this message, where it leads on (field numbers of `onnx.proto3`).
    fn field(self, number: u64) -> Option<Message> {
        use Message::*;
        match (self, number) {
            (Model, 7) | (Training, 1 | 2) | (Attribute, 6 | 11) => Some(Graph),
            (Model, 20) => Some(Training),
            (Model, 25) => Some(Function),
            (Function, 7) | (Graph, 1) => Some(Node),
            (Function, 11) | (Node, 5) => Some(Attribute),
            (Graph, 5) | (Attribute, 5 | 10) | (SparseTensor, 1 | 2) => Some(Tensor),
            (Graph, 15) | (Attribute, 22 | 23) => Some(SparseTensor),
            (Tensor, 13) => Some(ExternalData),
            _ => None,
        }
    }
}

const DEEPEST: usize = 48;
const LONGEST_LOCATION: u64 = 4096;

/// Names of the external data files that the model at `path` reads.
///
/// The error says why the file is not ONNX.
pub(super) fn external_files(path: &Path) -> Result<BTreeSet<String>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    scan(BufReader::with_capacity(1 << 16, file), length)
}

pub(super) fn scan<R: Read + Seek>(input: R, length: u64) -> Result<BTreeSet<String>, String> {
    let mut walk = Walk { input, position: 0, locations: BTreeSet::new(), ir_version: 0, graphs: 0 };
    walk.message(Message::Model, length, 0).map_err(|e| format!("not an ONNX file: {e}"))?;
    if walk.ir_version == 0 || walk.graphs == 0 {
        return Err("not an ONNX file: it has no ir_version or no graph".into());
    }
    Ok(walk.locations)
}

struct Walk<R> {
    input: R,
    position: u64,
    locations: BTreeSet<String>,
    ir_version: u64,
    graphs: usize,
}

impl<R: Read + Seek> Walk<R> {
    fn message(&mut self, message: Message, end: u64, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(invalid("nested too deeply"));
        }
        let (mut key, mut value) = (String::new(), String::new());
        while self.position < end {
            let tag = self.varint(end)?;
            let number = tag >> 3;
            match tag & 7 {
                _ if number == 0 => return Err(invalid("a field has the number 0")),
                0 => {
                    let integer = self.varint(end)?;
                    if message == Message::Model && number == 1 {
                        self.ir_version = integer;
                    }
                }
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.varint(end)?;
                    if length > end - self.position {
                        return Err(invalid("a field is longer than what holds it"));
                    }
                    match (message, number) {
                        (Message::ExternalData, 1) => key = self.text(length)?,
                        (Message::ExternalData, 2) => value = self.text(length)?,
                        _ => match message.field(number) {
                            Some(inner) => {
                                self.graphs += usize::from(message == Message::Model && inner == Message::Graph);
                                self.message(inner, self.position + length, depth + 1)?;
                            }
                            None => self.skip(length, end)?,
                        },
                    }
                }
                kind => return Err(invalid(&format!("a field has the wire type {kind}"))),
            }
        }
        if message == Message::ExternalData && key == "location" {
            self.locations.insert(value);
        }
        Ok(())
    }

    fn varint(&mut self, end: u64) -> io::Result<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            if self.position >= end {
                return Err(invalid("it ends inside a number"));
            }
            let mut byte = [0];
            self.input.read_exact(&mut byte)?;
            self.position += 1;
            if shift < 64 {
                value |= u64::from(byte[0] & 0x7f) << shift;
            }
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(invalid("a number is longer than ten bytes"))
    }

    fn text(&mut self, length: u64) -> io::Result<String> {
        if length > LONGEST_LOCATION {
            return Err(invalid("an external data entry is too long"));
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes)?;
        self.position += length;
        String::from_utf8(bytes).map_err(|_| invalid("an external data entry is not text"))
    }

    fn skip(&mut self, count: u64, end: u64) -> io::Result<()> {
        if count > end - self.position {
            return Err(invalid("it ends inside a field"));
        }
        let step = i64::try_from(count).map_err(|_| invalid("a field is too long"))?;
        self.input.seek_relative(step)?;
        self.position += count;
        Ok(())
    }
}

fn invalid(detail: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use proptest::prelude::*;

    fn field(number: u8, payload: &[u8]) -> Vec<u8> {
        assert!(number < 16 && payload.len() < 128);
        [&[number << 3 | 2, payload.len() as u8], payload].concat()
    }

    fn scan_bytes(bytes: &[u8]) -> Result<BTreeSet<String>, String> {
        scan(Cursor::new(bytes), bytes.len() as u64)
    }

    fn model_with_external(location: &str) -> Vec<u8> {
        let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
        let tensor = [field(8, b"weight"), field(13, &entry)].concat();
        [vec![0x08, 10], field(7, &field(5, &tensor))].concat()
    }

    #[test]
    fn finds_the_external_files() {
        let found = scan_bytes(&model_with_external("../secret")).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["../secret"]);
        // The same tensor as the attribute of a node in a subgraph.
        let entry = [field(2, b"w.bin"), field(1, b"location")].concat();
        let inner = field(1, &field(5, &field(5, &field(13, &entry))));
        let outer = field(7, &field(1, &field(5, &field(6, &inner))));
        let found = scan_bytes(&[vec![0x08, 10], outer].concat()).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["w.bin"]);
    }

    #[test]
    fn text_and_emptiness_are_not_onnx() {
        for bytes in
            [&b""[..], b"version https://git-lfs", b"{\"format\": 1}", b"\x08\x0a", b"\x3a\x00", b"\x08\x0a\x3a\x05ab"]
        {
            assert!(scan_bytes(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn endless_nesting_ends() {
        // Lengths that always reach to the end of the file: graph, node, attribute, graph, …
        let mut bytes = vec![];
        for number in [5u8, 1, 6].iter().cycle().take(600) {
            let length = bytes.len() as u64;
            let mut head = vec![number << 3 | 2];
            let mut rest = length;
            while rest >= 0x80 {
                head.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            head.push(rest as u8);
            bytes = [head, bytes].concat();
        }
        // The outermost is now an attribute's graph (6): wrap it as model → graph → node → attribute.
        let wrap = |number: u8, bytes: Vec<u8>| {
            let mut head = vec![number << 3 | 2];
            let mut rest = bytes.len() as u64;
            while rest >= 0x80 {
                head.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            head.push(rest as u8);
            [head, bytes].concat()
        };
        let model = wrap(7, wrap(1, wrap(5, bytes)));
        assert!(scan_bytes(&[vec![0x08, 10], model].concat()).unwrap_err().contains("deep"));
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _ = scan_bytes(&bytes);
            let mut model = model_with_external("decoder.onnx.data");
            let at = at.index(model.len());
            model[at] = byte;
            let _ = scan_bytes(&model);
        }
    }
}
