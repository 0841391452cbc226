//! Named tensors in safetensors files, written whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use diffvp::files::write_atomic;
use safetensors::tensor::{Dtype, TensorView};
use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// Writes tensors of any kind this project trains with, and free metadata.
///
/// # Errors
/// [`diffvp::Error::Write`] where the disk is full or the folder missing; nothing is left then.
pub fn write<'t>(
    path: &Path,
    tensors: impl Iterator<Item = (&'t str, &'t Tensor)>,
    metadata: &HashMap<String, String>,
) -> Result<()> {
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let dtype = dtype(tensor.kind()).ok_or_else(|| {
            Error::training(format!("{name} has the number type {:?}, which is not stored", tensor.kind()))
        })?;
        data.push((name.to_string(), dtype, shape(tensor), bytes(tensor)?));
    }
    let mut views = Vec::with_capacity(data.len());
    for (name, dtype, shape, bytes) in &data {
        let view =
            TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| Error::training(format!("{name}: {e}")))?;
        views.push((name.as_str(), view));
    }
    let metadata = (!metadata.is_empty()).then(|| metadata.clone());
    let file = safetensors::serialize(views, metadata).map_err(|e| Error::training(e.to_string()))?;
    Ok(write_atomic(path, |out| out.write_all(&file))?)
}

/// Reads all tensors of a file, and its metadata.
///
/// # Errors
/// [`Error::RunFolder`] naming the file where it is missing or damaged.
pub fn read(path: &Path, device: Device) -> Result<(BTreeMap<String, Tensor>, HashMap<String, String>)> {
    let wrong = |detail: String| Error::RunFolder { path: path.to_path_buf(), detail };
    let file = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&file).map_err(|e| wrong(e.to_string()))?;
    let tensors = safetensors::SafeTensors::deserialize(&file).map_err(|e| wrong(e.to_string()))?;
    let mut found = BTreeMap::new();
    for (name, view) in tensors.iter() {
        let kind =
            kind(view.dtype()).ok_or_else(|| wrong(format!("{name} is {:?}, which is not read", view.dtype())))?;
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)?.to_device(device);
        found.insert(name.to_string(), tensor);
    }
    Ok((found, header.metadata().clone().unwrap_or_default()))
}

const KINDS: [(Kind, Dtype); 6] = [
    (Kind::Float, Dtype::F32),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Half, Dtype::F16),
    (Kind::Double, Dtype::F64),
    (Kind::Int64, Dtype::I64),
    (Kind::Uint8, Dtype::U8),
];

fn dtype(kind: Kind) -> Option<Dtype> {
    KINDS.iter().find(|pair| pair.0 == kind).map(|pair| pair.1)
}

fn kind(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|pair| pair.1 == dtype).map(|pair| pair.0)
}

fn shape(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|&n| n as usize).collect()
}

/// The tensor's elements in little-endian order, as the processor has them.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let mut bytes = vec![0u8; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_and_damage_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        let wide = Tensor::from_slice(&[1.5f32, -2.0, 3.25, 0.0, 7.0, -0.5]).view([2, 3]);
        let tensors: Vec<(String, Tensor)> =
            KINDS.iter().map(|(kind, _)| (format!("{kind:?}"), wide.abs().to_kind(*kind))).collect();
        let metadata = HashMap::from([("step".to_string(), "7".to_string())]);
        write(&path, tensors.iter().map(|(n, t)| (n.as_str(), t)), &metadata).unwrap();
        let (read_back, found) = read(&path, Device::Cpu).unwrap();
        assert_eq!((read_back.len(), found), (KINDS.len(), metadata));
        for (name, tensor) in &tensors {
            assert_eq!(read_back[name].kind(), tensor.kind());
            assert!(read_back[name].equal(tensor), "{name}");
        }
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert!(read(&path, Device::Cpu).unwrap_err().to_string().contains("t.safetensors"));
    }
}
