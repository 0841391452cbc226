//! Weights of which some are rounded already, block by block, with their codes in safetensors files.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::Weights;
use crate::atomic::write_atomically;
use crate::error::{Error, Result};
use crate::quantize::{BlockScheme, BlockTensor};

/// The one entry of a file's metadata: several would be written in an order of chance.
const ABOUT: &str = "about";

/// What the files say besides tensors.
#[derive(Serialize, Deserialize)]
struct About {
    scheme: BlockScheme,
    metadata: HashMap<String, String>,
}

/// Writes rounded weights, all of one scheme, and free metadata.
///
/// # Errors
/// [`Error::Write`].
///
/// # Panics
/// Where a tensor's parts have not the sizes of its scheme.
pub fn save_rounded(path: &Path, tensors: &[(String, BlockTensor)], metadata: HashMap<String, String>) -> Result<()> {
    let scales: Vec<Vec<u8>> =
        tensors.iter().map(|(_, t)| t.scales.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let mut views = Vec::new();
    for ((name, t), scales) in tensors.iter().zip(&scales) {
        let blocks = t.scheme.blocks(t.k);
        let view = |dtype, shape: &[usize], bytes| {
            TensorView::new(dtype, shape.to_vec(), bytes).expect("parts have the sizes of their scheme")
        };
        views.push((format!("{name}.codes"), view(Dtype::U8, &[t.n, blocks, t.scheme.block_bytes()], &t.codes)));
        views.push((format!("{name}.scales"), view(Dtype::F32, &[t.n, blocks], scales)));
        if let Some(zeros) = &t.zero_points {
            views.push((format!("{name}.zero_points"), view(Dtype::U8, &[t.n, t.scheme.zero_bytes(t.k)], zeros)));
        }
    }
    // A map in between sorts the keys.
    let scheme = tensors.first().map(|(_, tensor)| tensor.scheme);
    let about = serde_json::json!({"scheme": scheme, "metadata": metadata});
    let metadata = HashMap::from([(ABOUT.to_string(), about.to_string())]);
    let damaged = |e: safetensors::SafeTensorError| Error::WeightFile { path: path.into(), detail: e.to_string() };
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(damaged)?;
    write_atomically(path, |out| out.write_all(&bytes).map_err(Error::write(path)))
}

/// The rounded weights of a file, by name, and its metadata.
///
/// # Errors
/// [`Error::Read`]; [`Error::WeightFile`] for a file that [`save_rounded`] did not write.
pub fn load_rounded(path: &Path) -> Result<(HashMap<String, BlockTensor>, HashMap<String, String>)> {
    let damaged = |detail: String| Error::WeightFile { path: path.to_path_buf(), detail };
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let about = header.metadata().as_ref().and_then(|m| m.get(ABOUT)).ok_or_else(|| damaged("has no scheme".into()))?;
    let About { scheme, metadata } = serde_json::from_str(about).map_err(|e| damaged(e.to_string()))?;
    scheme.validate()?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
    let part = |name: &str, dtype: Dtype| {
        let view = file.tensor(name).map_err(|e| damaged(format!("{name}: {e}")))?;
        if view.dtype() == dtype { Ok(view) } else { Err(damaged(format!("{name} is {:?}", view.dtype()))) }
    };
    let mut tensors = HashMap::new();
    for name in file.names().into_iter().filter_map(|name| name.strip_suffix(".codes")) {
        let codes = part(&format!("{name}.codes"), Dtype::U8)?;
        let [n, blocks, width] = codes.shape().try_into().map_err(|_| damaged(format!("{name}: a shape of codes")))?;
        let k = blocks * scheme.block;
        let scales = part(&format!("{name}.scales"), Dtype::F32)?;
        let zeros = match scheme.symmetric {
            true => None,
            false => Some(part(&format!("{name}.zero_points"), Dtype::U8)?),
        };
        let fits = width == scheme.block_bytes()
            && scales.shape() == [n, blocks]
            && zeros.as_ref().is_none_or(|zeros| zeros.shape() == [n, scheme.zero_bytes(k)]);
        if !fits {
            return Err(damaged(format!("{name}: parts of different sizes")));
        }
        let scales = scales.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let zero_points = zeros.map(|zeros| zeros.data().to_vec());
        tensors
            .insert(name.to_string(), BlockTensor { scheme, n, k, codes: codes.data().to_vec(), scales, zero_points });
    }
    Ok((tensors, metadata))
}

/// Weights with rounded ones over some of them.
pub struct RoundedWeights<'w> {
    base: &'w dyn Weights,
    rounded: HashMap<String, BlockTensor>,
}

impl<'w> RoundedWeights<'w> {
    /// Takes all `.safetensors` files of a folder.
    ///
    /// # Errors
    /// Those of [`load_rounded`].
    pub fn open(base: &'w dyn Weights, folder: &Path) -> Result<Self> {
        let mut rounded = HashMap::new();
        for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
            let path = entry.map_err(Error::read(folder))?.path();
            if path.extension().is_some_and(|e| e == "safetensors") {
                rounded.extend(load_rounded(&path)?.0);
            }
        }
        Ok(RoundedWeights { base, rounded })
    }
}

impl Weights for RoundedWeights<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.base.tensor(name, shape)
    }

    fn blocks(&self, name: &str, shape: [usize; 2], scheme: BlockScheme) -> Result<Option<BlockTensor>> {
        let Some(found) = self.rounded.get(name) else { return Ok(None) };
        if found.scheme != scheme || found.n != shape[0] || scheme.blocks(shape[1]) != scheme.blocks(found.k) {
            let detail = format!("{name} is rounded to another form than {scheme:?} of {shape:?}");
            return Err(Error::config("calibrated", detail));
        }
        // Codes of a last block that is partly empty stand behind its end.
        Ok(Some(BlockTensor { k: shape[1], ..found.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryWeights;
    use super::*;
    use crate::quantize::{Rounding, quantize};

    #[test]
    fn what_is_written_is_what_export_takes() {
        let folder = tempfile::tempdir().unwrap();
        for symmetric in [true, false] {
            let scheme = BlockScheme { bits: 4, block: 32, symmetric };
            let weight: Vec<f32> = (0..3 * 70).map(|i| ((i * 37 % 101) as f32 - 50.0) / 9.0).collect();
            let rounded = quantize(&weight, 3, 70, scheme, Rounding::LeastError);
            let path = folder.path().join("layer.safetensors");
            let metadata = HashMap::from([("key".to_string(), "7".to_string())]);
            save_rounded(&path, &[("w".into(), rounded.clone())], metadata).unwrap();
            assert_eq!(load_rounded(&path).unwrap().1["key"], "7");
            let base = MemoryWeights::default();
            let weights = RoundedWeights::open(&base, folder.path()).unwrap();
            assert_eq!(weights.blocks("w", [3, 70], scheme).unwrap(), Some(rounded));
            assert_eq!(weights.blocks("v", [3, 70], scheme).unwrap(), None);
            assert!(weights.blocks("w", [3, 70], BlockScheme { block: 128, ..scheme }).is_err());
            assert!(weights.blocks("w", [4, 70], scheme).is_err());
            let bytes = std::fs::read(&path).unwrap();
            for length in [0, 7, 60, bytes.len() - 1] {
                std::fs::write(&path, &bytes[..length]).unwrap();
                assert!(matches!(load_rounded(&path), Err(Error::WeightFile { .. })));
            }
        }
    }
}
