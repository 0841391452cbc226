//! Writing weights as safetensors, one tensor at a time.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::{TensorSpec, Weights};
use crate::atomic::write_atomically;
use crate::error::{Error, Result};
use crate::onnx::graph::f32_bytes;

/// Writes the named weights as float32 in the given order, with free metadata. Memory stays at one tensor.
///
/// # Errors
/// Those of [`Weights::tensor`] and [`Error::Write`].
pub fn save_safetensors(
    path: &Path,
    specs: &[TensorSpec],
    weights: &dyn Weights,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut end = 0u64;
    for spec in specs {
        let start = end;
        end += 4 * spec.shape.iter().map(|&d| d as u64).product::<u64>();
        let entry = serde_json::json!({"dtype": "F32", "shape": spec.shape, "data_offsets": [start, end]});
        header.insert(spec.name.clone(), entry);
    }
    let mut header = serde_json::Value::Object(header).to_string();
    // Tensors begin at a multiple of 8; the format allows spaces after the header.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    write_atomically(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes()).map_err(Error::write(path))?;
        out.write_all(header.as_bytes()).map_err(Error::write(path))?;
        for spec in specs {
            let values = weights.tensor(&spec.name, &spec.shape)?;
            out.write_all(&f32_bytes(values)).map_err(Error::write(path))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::{RandomWeights, SafetensorsWeights, tensor_specs};
    use super::*;
    use crate::config::ModelConfig;

    #[test]
    fn what_is_written_is_read_back() {
        let config = ModelConfig::demo(300);
        let (specs, random) = (tensor_specs(&config), RandomWeights::new(&config, 3));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let metadata = BTreeMap::from([("seed".to_string(), "3".to_string())]);
        save_safetensors(&path, &specs, &random, &metadata).unwrap();
        let read = SafetensorsWeights::open(&path).unwrap();
        assert_eq!(read.tensors().count(), specs.len());
        for spec in &specs {
            assert_eq!(read.tensor(&spec.name, &spec.shape).unwrap(), random.tensor(&spec.name, &spec.shape).unwrap());
        }
    }
}
