//! Matrix products with a stored weight, in float, four or eight bits.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::onnx::graph::{float_bytes, int};
use crate::onnx::{DataType, Graph, MICROSOFT, TensorDecl};
use crate::quantize::{BlockScheme, BlockTensor, Rounding, quantize};
use crate::weights::Weights;

/// How the decoder's matrices are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WeightKind {
    /// The float type of the arithmetic around them.
    F32,
    /// Four or eight bits with a scale for each block.
    Blocks(BlockScheme),
}

/// How the matrices of a decoder are stored and multiplied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    pub(super) kind: WeightKind,
    pub(super) rounding: Rounding,
    /// Of `MatMulNBits`.
    pub(super) accuracy_level: i64,
    /// Type of what is multiplied, and of weights and scales.
    pub(super) float: DataType,
}

/// A weight `[n, k]` of one or several named weights stacked along the rows.
#[derive(Debug, Clone)]
pub(super) struct Stacked {
    /// Names with their rows.
    pub(super) parts: Vec<(String, usize)>,
    /// Columns.
    pub(super) k: usize,
}

impl Stacked {
    pub(super) fn one(name: impl Into<String>, n: usize, k: usize) -> Self {
        Stacked { parts: vec![(name.into(), n)], k }
    }

    fn n(&self) -> usize {
        self.parts.iter().map(|p| p.1).sum()
    }

    fn read(&self, weights: &dyn Weights) -> Result<Vec<f32>> {
        // One weight is handed on as it is: lm_head of a large model is half a gigabyte.
        if let [(name, n)] = self.parts.as_slice() {
            return weights.tensor(name, &[*n, self.k]);
        }
        let mut rows = Vec::with_capacity(self.n() * self.k);
        for (name, n) in &self.parts {
            rows.extend(weights.tensor(name, &[*n, self.k])?);
        }
        Ok(rows)
    }
}

impl Stacked {
    /// The weights as they were rounded beforehand, where all were.
    fn rounded(&self, weights: &dyn Weights, scheme: BlockScheme) -> Result<Option<BlockTensor>> {
        let mut whole: Option<BlockTensor> = None;
        for (name, n) in &self.parts {
            let Some(part) = weights.blocks(name, [*n, self.k], scheme)? else { return Ok(None) };
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.stack(part),
            }
        }
        Ok(whole)
    }
}

/// `x · weightᵀ` as a float32 `MatMul`: `[…, k]` → `[…, n]`. The weight is stored transposed.
pub(super) fn linear<'w>(
    g: &mut Graph<'w>,
    path: &str,
    x: &str,
    weights: &'w dyn Weights,
    name: &str,
    n: usize,
    k: usize,
) -> String {
    float(g, path, x, weights, &format!("{name}.transposed"), Stacked::one(name, n, k), DataType::Float)
}

/// [`linear`] plus a bias `[n]`.
#[expect(clippy::too_many_arguments, reason = "a layer is its graph, its place, its weights and its sizes")]
pub(super) fn linear_bias<'w>(
    g: &mut Graph<'w>,
    path: &str,
    x: &str,
    weights: &'w dyn Weights,
    name: &str,
    bias: &str,
    n: usize,
    k: usize,
) -> String {
    let y = linear(g, &format!("{path}/MatMul"), x, weights, name, n, k);
    let owned = bias.to_string();
    let b = g.weight(bias, &[n], move || weights.tensor(&owned, &[n]));
    g.op("Add", &format!("{path}/Add"), &[&y, &b], vec![])
}

/// A product in the decoder: `MatMul` or `MatMulNBits` by kind. `path` is the layer, `name` the stored weight.
pub(super) fn matmul<'w>(
    g: &mut Graph<'w>,
    path: &str,
    x: &str,
    weights: &'w dyn Weights,
    name: &str,
    stacked: Stacked,
    storage: Storage,
) -> String {
    match storage.kind {
        WeightKind::F32 => {
            float(g, &format!("{path}/MatMul"), x, weights, &format!("{name}.transposed"), stacked, storage.float)
        }
        WeightKind::Blocks(scheme) => {
            blocks(g, &format!("{path}/MatMulNBits"), x, weights, name, stacked, scheme, storage)
        }
    }
}

fn float<'w>(
    g: &mut Graph<'w>,
    path: &str,
    x: &str,
    weights: &'w dyn Weights,
    name: &str,
    stacked: Stacked,
    dtype: DataType,
) -> String {
    let (n, k) = (stacked.n(), stacked.k);
    let w = g.weight_of(dtype, name, &[k, n], move || Ok(transpose(&stacked.read(weights)?, n, k)));
    g.op("MatMul", path, &[x, &w], vec![])
}

#[expect(clippy::too_many_arguments, reason = "a layer is its graph, its place, its weights and its sizes")]
fn blocks<'w>(
    g: &mut Graph<'w>,
    path: &str,
    x: &str,
    weights: &'w dyn Weights,
    name: &str,
    stacked: Stacked,
    scheme: BlockScheme,
    storage: Storage,
) -> String {
    let dtype = storage.float;
    let (n, k) = (stacked.n(), stacked.k);
    let names = ["codes", "scales", "zero_points"].map(|part| format!("{name}.{part}"));
    let decl = |name: &str, dtype, dims: &[usize]| TensorDecl { name: name.to_string(), dtype, dims: dims.to_vec() };
    let mut decls = vec![
        decl(&names[0], DataType::Uint8, &[n, scheme.blocks(k), scheme.block_bytes()]),
        decl(&names[1], dtype, &[n, scheme.blocks(k)]),
    ];
    let mut inputs = vec![x, &names[0], &names[1]];
    if !scheme.symmetric {
        decls.push(decl(&names[2], DataType::Uint8, &[n, scheme.zero_bytes(k)]));
        inputs.push(&names[2]);
    }
    g.weights(decls, move || {
        let q = match stacked.rounded(weights, scheme)? {
            Some(rounded) => rounded,
            None => quantize(&stacked.read(weights)?, n, k, scheme, storage.rounding),
        };
        Ok([Some(q.codes), Some(float_bytes(dtype, q.scales)), q.zero_points].into_iter().flatten().collect())
    });
    let attributes = vec![
        int("K", k as i64),
        int("N", n as i64),
        int("bits", scheme.bits as i64),
        int("block_size", scheme.block as i64),
        int("accuracy_level", storage.accuracy_level),
    ];
    let output = format!("{path}/output");
    g.op_named(MICROSOFT, "MatMulNBits", path, &inputs, &[&output], attributes);
    output
}

/// Row-major `[n, k]` → `[k, n]`.
pub(super) fn transpose(values: &[f32], n: usize, k: usize) -> Vec<f32> {
    let mut out = vec![0f32; n * k];
    out.par_chunks_mut(n).enumerate().for_each(|(column, row)| {
        for (i, v) in row.iter_mut().enumerate() {
            *v = values[i * k + column];
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transpose_swaps_axes() {
        assert_eq!(transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
