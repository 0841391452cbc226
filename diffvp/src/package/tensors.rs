//! Writing small safetensors files that are the same for the same content.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Result;
use crate::files::write_atomic;

/// Metadata of files that belong to one encoder.
pub(super) const ENCODER_SHA256: &str = "encoder_sha256";

/// A tensor's name, shape and values.
pub(super) type Entry<'a> = (&'a str, &'a [usize], &'a [f32]);

/// Writes float32 tensors in order. The safetensors crate writes metadata in the order of a hash map, which differs from run
/// to run.
pub(super) fn write(path: &Path, metadata: &[(&str, &str)], tensors: &[Entry<'_>]) -> Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), metadata.iter().map(|(k, v)| (k.to_string(), json!(v))).collect());
    let mut begin = 0;
    for (name, shape, values) in tensors {
        let end = begin + values.len() * 4;
        header.insert((*name).into(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, end] }));
        begin = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    write_atomic(path, |writer| {
        writer.write_all(&(header.len() as u64).to_le_bytes())?;
        writer.write_all(&header)?;
        tensors.iter().flat_map(|(_, _, values)| *values).try_for_each(|value| writer.write_all(&value.to_le_bytes()))
    })
}
