//! Weights of a finished graph in 16 bits.

use half::f16;

use super::graph::{Graph, TensorDecl, TensorGroup, int};
use super::proto::DataType;
use crate::error::{Error, Result};

/// How a graph stores its float weights. It computes in float32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatStorage {
    /// float32.
    #[default]
    F32,
    /// float16, half the size. The runtime widens them once, as it loads the graph.
    F16,
}

/// Weights with fewer values stay as they are: biases and norms are small, and scale all that they touch.
const FEWEST: usize = 1024;

impl<'w> Graph<'w> {
    /// Stores the float32 weights of this graph as `storage` says; call it on the finished graph.
    pub fn stored(mut self, storage: FloatStorage) -> Self {
        if storage == FloatStorage::F32 {
            return self;
        }
        let nodes = std::mem::take(&mut self.nodes);
        for group in std::mem::take(&mut self.groups) {
            let group = self.narrow(group);
            self.groups.push(group);
        }
        // The casts are before all that reads them.
        self.nodes.extend(nodes);
        self
    }

    fn narrow(&mut self, group: TensorGroup<'w>) -> TensorGroup<'w> {
        let large = |d: &TensorDecl| d.dtype == DataType::Float && d.dims.iter().product::<usize>() >= FEWEST;
        let narrowed: Vec<Option<String>> =
            group.decls.iter().map(|decl| large(decl).then(|| decl.name.clone())).collect();
        let mut decls = group.decls;
        for decl in decls.iter_mut().filter(|decl| large(decl)) {
            let wide = decl.name.clone();
            decl.name = format!("{wide}.f16");
            decl.dtype = DataType::Float16;
            let to = vec![int("to", DataType::Float as i64)];
            self.op_to("Cast", &format!("/widen/{wide}"), &[&decl.name], &wide, to);
        }
        let make = move || {
            let tensors = (group.make)()?.into_iter().zip(narrowed);
            tensors.map(|(bytes, name)| name.map_or(Ok(bytes.clone()), |name| narrow(&name, &bytes))).collect()
        };
        TensorGroup { decls, make: Box::new(make) }
    }
}

/// Little-endian float32 → float16.
fn narrow(name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut half = Vec::with_capacity(bytes.len() / 2);
    for value in bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)) {
        let narrow = f16::from_f32(value);
        if value.is_finite() && !narrow.is_finite() {
            let detail = format!("holds {value}, which float16 cannot: store the graph in float32");
            return Err(Error::Content { field: name.to_string(), detail });
        }
        half.extend_from_slice(&narrow.to_le_bytes());
    }
    Ok(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::graph::f32_bytes;
    use crate::onnx::{Dim, WriteOptions, write};

    fn graph(value: f32) -> Graph<'static> {
        let mut g = Graph::new("half");
        let x = g.input("x", DataType::Float, &[Dim::Size(FEWEST)]);
        let large = g.weight("large", &[FEWEST], move || Ok(vec![value; FEWEST]));
        let small = g.weight("small", &[1], || Ok(vec![1e6]));
        let y = g.op("Mul", "/Mul", &[&x, &large], vec![]);
        g.op_to("Add", "/Add", &[&y, &small], "y", vec![]);
        g.output("y", DataType::Float, &[Dim::Size(FEWEST)]);
        g
    }

    #[test]
    fn large_weights_take_half_and_small_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let size = |graph: Graph<'_>| {
            let path = folder.path().join("g.onnx");
            write(graph, &path, &WriteOptions::default()).unwrap();
            path.metadata().unwrap().len() as usize
        };
        let (whole, half) = (size(graph(0.1)), size(graph(0.1).stored(FloatStorage::F16)));
        assert!((1800..2048).contains(&(whole - half)), "{whole} {half}");
        let names: Vec<_> = graph(0.1).stored(FloatStorage::F16).groups.iter().map(|g| g.decls[0].clone()).collect();
        assert_eq!((names[0].dtype, names[1].dtype), (DataType::Float16, DataType::Float));
        assert_eq!(size(graph(0.1).stored(FloatStorage::F32)), whole);
    }

    #[test]
    fn what_float16_cannot_hold_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let result =
            write(graph(1e6).stored(FloatStorage::F16), &folder.path().join("g.onnx"), &WriteOptions::default());
        assert!(result.unwrap_err().to_string().contains("large"));
        assert_eq!(narrow("w", &f32_bytes(vec![1.5])).unwrap(), f16::from_f32(1.5).to_le_bytes());
    }
}
