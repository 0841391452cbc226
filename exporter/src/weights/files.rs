//! Weights in safetensors files, memory-mapped.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};

use super::Weights;
use crate::error::{Error, Result};

/// One or several safetensors files. Elements may be f32, f16 or bf16; they are read as f32.
pub struct SafetensorsWeights {
    files: Vec<Mmap>,
    entries: HashMap<String, Entry>,
}

struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

impl SafetensorsWeights {
    /// Opens a `.safetensors` file, a `.safetensors.index.json` that names the shards, or a folder that holds
    /// `model.safetensors.index.json`, `model.safetensors`, or else any number of `.safetensors` files.
    ///
    /// The files must not change while they are in use: they are mapped, not read.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::WeightFile`] where a file is damaged, a shard is missing, or a name stands in two files.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut weights = SafetensorsWeights { files: Vec::new(), entries: HashMap::new() };
        for file in files_of(path)? {
            weights.add(&file)?;
        }
        Ok(weights)
    }

    /// Names and shapes of all tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.entries.iter().map(|(name, e)| (name.as_str(), e.shape.as_slice()))
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let damaged = |detail: String| Error::WeightFile { path: path.to_path_buf(), detail };
        let file = File::open(path).map_err(Error::read(path))?;
        // SAFETY: the mapping is only read, and lives as long as `self.files`. Another process that
        // truncates the file meanwhile breaks the contract of `open`.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::read(path))?;
        let (header, metadata) =
            SafeTensors::read_metadata(&map).map_err(|e| damaged(format!("not a safetensors file: {e}")))?;
        let data = header + 8;
        for (name, info) in metadata.tensors() {
            let (start, end) = (data + info.data_offsets.0, data + info.data_offsets.1);
            if end > map.len() {
                return Err(damaged(format!("{name:?} ends at byte {end} of {}", map.len())));
            }
            let entry = Entry { file: self.files.len(), dtype: info.dtype, shape: info.shape.clone(), start, end };
            if self.entries.insert(name.clone(), entry).is_some() {
                return Err(damaged(format!("{name:?} stands in another file too")));
            }
        }
        self.files.push(map);
        Ok(())
    }
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        let index = path.join("model.safetensors.index.json");
        if index.exists() {
            return shards(&index);
        }
        // Some folders hold the same weights once more in another form.
        let whole = path.join("model.safetensors");
        if whole.exists() {
            return Ok(vec![whole]);
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(Error::read(path))? {
            let file = entry.map_err(Error::read(path))?.path();
            if file.extension().is_some_and(|e| e == "safetensors") {
                files.push(file);
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(Error::WeightFile { path: path.to_path_buf(), detail: "holds no .safetensors file".into() });
        }
        return Ok(files);
    }
    if path.extension().is_some_and(|e| e == "json") { shards(path) } else { Ok(vec![path.to_path_buf()]) }
}

/// The files that an index names, which must be plain names beside it.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: HashMap<String, String>,
    }
    let damaged = |detail: String| Error::WeightFile { path: index.to_path_buf(), detail };
    let text = std::fs::read_to_string(index).map_err(Error::read(index))?;
    let parsed: Index = serde_json::from_str(&text).map_err(|e| damaged(format!("not an index of shards: {e}")))?;
    let mut names: Vec<&String> = parsed.weight_map.values().collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            if Path::new(name).file_name().is_none_or(|n| n != name.as_str()) {
                return Err(damaged(format!("names the shard {name:?}, which is not a file beside it")));
            }
            let file = index.with_file_name(name);
            if file.exists() { Ok(file) } else { Err(damaged(format!("names the shard {name:?}, which is not there"))) }
        })
        .collect()
}

impl Weights for SafetensorsWeights {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let entry = self.entries.get(name).ok_or_else(|| Error::WeightMissing { name: name.to_string() })?;
        if entry.shape != shape {
            return Err(Error::WeightShape {
                name: name.to_string(),
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        let bytes = &self.files[entry.file][entry.start..entry.end];
        let values: Vec<f32> = match entry.dtype {
            Dtype::F32 => bytes.par_chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => bytes.par_chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => {
                bytes.par_chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
            }
            other => return Err(Error::WeightType { name: name.to_string(), found: format!("{other:?}") }),
        };
        match values.par_iter().position_first(|v| !v.is_finite()) {
            Some(index) => Err(Error::WeightNotFinite { name: name.to_string(), index, value: values[index] }),
            None => Ok(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    fn file(dir: &Path, file: &str, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> PathBuf {
        let path = dir.join(file);
        let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        safetensors::serialize_to_file([(name, view)], None, &path).unwrap();
        path
    }

    fn refusal(result: Result<impl Sized>) -> String {
        result.err().expect("must be refused").to_string()
    }

    #[test]
    fn half_types_become_f32() {
        let dir = tempfile::tempdir().unwrap();
        let half: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
        let bf: Vec<u8> = [3.0f32, 0.5].iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect();
        file(dir.path(), "a.safetensors", "half", Dtype::F16, &[2], &half);
        file(dir.path(), "b.safetensors", "bf", Dtype::BF16, &[1, 2], &bf);
        let w = SafetensorsWeights::open(dir.path()).unwrap();
        assert_eq!(w.tensor("half", &[2]).unwrap(), [1.5, -2.0]);
        assert_eq!(w.tensor("bf", &[1, 2]).unwrap(), [3.0, 0.5]);
        assert_eq!(refusal(w.tensor("c", &[2])), "weight \"c\" is missing");
        assert_eq!(refusal(w.tensor("bf", &[2])), "weight \"bf\" has shape [1, 2], expected [2]");
    }

    #[test]
    fn nan_infinity_and_integers_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = [0.0f32, f32::NAN].iter().flat_map(|v| v.to_le_bytes()).collect();
        let path = file(dir.path(), "a.safetensors", "w", Dtype::F32, &[2], &bytes);
        let w = SafetensorsWeights::open(&path).unwrap();
        assert_eq!(refusal(w.tensor("w", &[2])), "weight \"w\" holds NaN at element 1");
        let path = file(dir.path(), "b.safetensors", "i", Dtype::I32, &[2], &bytes);
        let w = SafetensorsWeights::open(&path).unwrap();
        assert!(refusal(w.tensor("i", &[2])).contains("element type I32"));
    }

    #[test]
    fn broken_sets_of_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(refusal(SafetensorsWeights::open(dir.path())).contains("no .safetensors"));
        assert!(matches!(SafetensorsWeights::open(dir.path().join("none")), Err(Error::Read { .. })));
        let a = file(dir.path(), "a.safetensors", "w", Dtype::F32, &[1], &[0; 4]);
        file(dir.path(), "b.safetensors", "w", Dtype::F32, &[1], &[0; 4]);
        assert!(refusal(SafetensorsWeights::open(dir.path())).contains("another file"));
        let index = dir.path().join("model.safetensors.index.json");
        std::fs::write(&index, r#"{"weight_map": {"w": "a.safetensors", "x": "c.safetensors"}}"#).unwrap();
        assert!(refusal(SafetensorsWeights::open(dir.path())).contains("c.safetensors"));
        std::fs::write(&index, r#"{"weight_map": {"w": "../a.safetensors"}}"#).unwrap();
        assert!(refusal(SafetensorsWeights::open(dir.path())).contains("beside"));
        std::fs::write(&index, r#"{"weight_map": {"w": "a.safetensors"}}"#).unwrap();
        assert_eq!(SafetensorsWeights::open(dir.path()).unwrap().tensors().count(), 1);
        let bytes = std::fs::read(&a).unwrap();
        std::fs::write(&a, &bytes[..bytes.len() - 2]).unwrap();
        assert!(matches!(SafetensorsWeights::open(&a), Err(Error::WeightFile { .. })));
    }
}
