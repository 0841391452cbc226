//! Layer norm and attention as standard operators.

use crate::onnx::Graph;
use crate::onnx::graph::{float, int, ints};
use crate::weights::Weights;

/// ε of every layer norm of the vision graphs, PyTorch's default.
const LAYER_NORM_EPSILON: f32 = 1e-5;

/// Layer norm over the last axis with weights `{prefix}.weight` and `{prefix}.bias` `[d]`.
pub(super) fn layer_norm<'w>(
    g: &mut Graph<'w>,
    path: &str,
    x: &str,
    weights: &'w dyn Weights,
    prefix: &str,
    d: usize,
) -> String {
    let parts = ["weight", "bias"].map(|part| {
        let name = format!("{prefix}.{part}");
        let owned = name.clone();
        g.weight(&name, &[d], move || weights.tensor(&owned, &[d]))
    });
    let attributes = vec![int("axis", -1), float("epsilon", LAYER_NORM_EPSILON)];
    g.op("LayerNormalization", path, &[x, &parts[0], &parts[1]], attributes)
}

/// Output of [`attention`].
pub(super) struct Attention {
    /// Values read by each query `[b, q, heads · head_dim]`.
    pub(super) output: String,
    /// Weights `[b, heads, q, k]`, each row of sum 1.
    pub(super) weights: String,
}

/// Scaled dot-product attention without mask: `softmax(Q Kᵀ / √head_dim) V`.
///
/// Queries `[b, q, heads · head_dim]`, keys and values `[b, k, heads · head_dim]`.
pub(super) fn attention(
    g: &mut Graph<'_>,
    path: &str,
    [q, k, v]: [&str; 3],
    heads: usize,
    head_dim: usize,
) -> Attention {
    let split = g.ints(&format!("shape.heads.{heads}x{head_dim}"), &[0, 0, heads as i64, head_dim as i64]);
    let mut by_head = |x: &str, name: &str, perm: [i64; 4]| {
        let y = g.op("Reshape", &format!("{path}/{name}/Reshape"), &[x, &split], vec![]);
        g.op("Transpose", &format!("{path}/{name}/Transpose"), &[&y], vec![ints("perm", &perm)])
    };
    let q = by_head(q, "q", [0, 2, 1, 3]);
    let k = by_head(k, "k", [0, 2, 3, 1]);
    let v = by_head(v, "v", [0, 2, 1, 3]);
    let scale = g.scalar(&format!("scale.{head_dim}"), 1.0 / (head_dim as f32).sqrt());
    let q = g.op("Mul", &format!("{path}/scale/Mul"), &[&q, &scale], vec![]);
    let scores = g.op("MatMul", &format!("{path}/scores/MatMul"), &[&q, &k], vec![]);
    let weights = g.op("Softmax", &format!("{path}/Softmax"), &[&scores], vec![int("axis", -1)]);
    let read = g.op("MatMul", &format!("{path}/values/MatMul"), &[&weights, &v], vec![]);
    let read = g.op("Transpose", &format!("{path}/join/Transpose"), &[&read], vec![ints("perm", &[0, 2, 1, 3])]);
    let join = g.ints(&format!("shape.joined.{}", heads * head_dim), &[0, 0, (heads * head_dim) as i64]);
    let output = g.op("Reshape", &format!("{path}/join/Reshape"), &[&read, &join], vec![]);
    Attention { output, weights }
}

/// A learned token `[d]` or table `[n, d]`, repeated over the batch: `[b, n, d]`. The batch is that of `like`, axis 0.
pub(super) fn repeat_over_batch(g: &mut Graph<'_>, path: &str, table: &str, like: &str, [n, d]: [usize; 2]) -> String {
    let batch = g.op("Shape", &format!("{path}/Shape"), &[like], vec![int("start", 0), int("end", 1)]);
    let rest = g.ints(&format!("shape.table.{n}x{d}"), &[n as i64, d as i64]);
    let shape = g.op("Concat", &format!("{path}/Concat"), &[&batch, &rest], vec![int("axis", 0)]);
    g.op("Expand", &format!("{path}/Expand"), &[table, &shape], vec![])
}
