//! `difference.onnx`: tokens of target and reference → soft prefix, visual tokens, importance.

use super::layers::{attention, layer_norm, repeat_over_batch};
use super::linear::{linear, linear_bias};
use crate::config::ModelConfig;
use crate::onnx::graph::int;
use crate::onnx::{DataType, Dim, Graph};
use crate::weights::Weights;

/// `tokens` I and `reference` Iʳ `[b, n, d]` → `prefix` Δ_prompt `[b, p, d_llm]`, `visual` I·W
/// `[b, n, d_llm]`, `importance` S `[b, n]`, `weights` w `[b, n]`.
///
/// Paper, equations 4 to 8: Sᵢ = ‖Iᵢ − Iᵢʳ‖², w = S / (ΣS + ε), Δ_local = Σ wᵢ (Iᵢ − Iᵢʳ),
/// Δ_global = state at δ of a pre-norm transformer layer over [δ ; I ; Iʳ], and
/// Δ_prompt = fc2(gelu(fc1([Δ_global ; Δ_local]))). Needs `difference.*` and `visual_proj.weight`.
pub fn difference<'w>(config: &ModelConfig, weights: &'w dyn Weights) -> Graph<'w> {
    let mut g = Graph::new("difference");
    let (diff, d_llm) = (&config.difference, config.decoder.hidden_size);
    let (n, d) = (config.resampler.tokens, config.resampler.dim);
    let shape = [Dim::Name("b"), Dim::Size(n), Dim::Size(config.token_width())];
    let given = g.input("tokens", DataType::Float, &shape);
    let reference = g.input("reference", DataType::Float, &shape);
    let [tokens, reference, delta] = compared(&mut g, config, [&given, &reference]);
    importance(&mut g, &delta, diff.epsilon);
    linear(&mut g, "/visual_proj/MatMul", &tokens, weights, "visual_proj.weight", d_llm, d);
    let visual = g.rename_last("visual");

    let mut parts = Vec::new();
    if diff.global {
        parts.push(global(&mut g, [&tokens, &reference], config, weights));
    }
    if diff.local {
        parts.push(local(&mut g, &delta));
    }
    if parts.is_empty() {
        // Without a difference the prefix has no rows.
        let (zero, axis) = (g.ints("zero", &[0]), g.ints("axis.tokens", &[1]));
        g.op_to("Slice", "/prefix/Slice", &[&visual, &zero, &zero, &axis], "prefix", vec![]);
    } else {
        projector(&mut g, &parts, config, weights);
    }
    g.output("prefix", DataType::Float, &[Dim::Name("b"), Dim::Size(diff.prefix_tokens), Dim::Size(d_llm)]);
    g.output("visual", DataType::Float, &[Dim::Name("b"), Dim::Size(n), Dim::Size(d_llm)]);
    g.output("importance", DataType::Float, &[Dim::Name("b"), Dim::Size(n)]);
    g.output("weights", DataType::Float, &[Dim::Name("b"), Dim::Size(n)]);
    g
}

/// I, Iʳ and I − Iʳ `[b, n, d]`, from the inputs.
fn compared(g: &mut Graph<'_>, config: &ModelConfig, [tokens, reference]: [&str; 2]) -> [String; 3] {
    let (diff, d) = (&config.difference, config.resampler.dim as i64);
    if diff.pixel_level {
        // Tokens are [I ; I_d], and Iʳ is what differs from I by I_d.
        let axis = g.ints("axis.width", &[2]);
        let mut part = |name: &str, [from, to]: [i64; 2]| {
            let (from, to) = (g.ints(&format!("{name}.from"), &[from]), g.ints(&format!("{name}.to"), &[to]));
            g.op("Slice", &format!("/difference/{name}/Slice"), &[tokens, &from, &to, &axis], vec![])
        };
        let (own, delta) = (part("tokens", [0, d]), part("delta", [d, 2 * d]));
        let reference = g.op("Sub", "/difference/Sub", &[&own, &delta], vec![]);
        return [own, reference, delta];
    }
    let reference = if diff.own_reference { tokens } else { reference };
    let delta = g.op("Sub", "/difference/Sub", &[tokens, reference], vec![]);
    [tokens.to_owned(), reference.to_owned(), delta]
}

/// `importance` and `weights` from I − Iʳ `[b, n, d]`.
fn importance(g: &mut Graph<'_>, delta: &str, epsilon: f32) {
    let axis = g.ints("axis.width", &[2]);
    g.op_to("ReduceSumSquare", "/importance/ReduceSumSquare", &[delta, &axis], "importance", vec![int("keepdims", 0)]);
    let axis = g.ints("axis.tokens", &[1]);
    let sum = g.op("ReduceSum", "/weights/ReduceSum", &["importance", &axis], vec![int("keepdims", 1)]);
    let epsilon = g.scalar("epsilon", epsilon);
    let sum = g.op("Add", "/weights/Add", &[&sum, &epsilon], vec![]);
    g.op_to("Div", "/weights/Div", &["importance", &sum], "weights", vec![]);
}

/// Δ_local `[b, d]`.
fn local(g: &mut Graph<'_>, delta: &str) -> String {
    let axis = g.ints("axis.tokens", &[1]);
    let row = g.op("Unsqueeze", "/local/Unsqueeze", &["weights", &axis], vec![]);
    let sum = g.op("MatMul", "/local/MatMul", &[&row, delta], vec![]);
    g.op("Squeeze", "/local/Squeeze", &[&sum, &axis], vec![])
}

/// Δ_global `[b, d]`. Only the state at δ is read, so only δ asks; all of [δ ; I ; Iʳ] answer.
fn global<'w>(
    g: &mut Graph<'w>,
    [tokens, reference]: [&str; 2],
    config: &ModelConfig,
    weights: &'w dyn Weights,
) -> String {
    let (diff, n, d) = (&config.difference, config.resampler.tokens, config.resampler.dim);
    let query = g.weight("difference.query", &[d], move || weights.tensor("difference.query", &[d]));
    let query = repeat_over_batch(g, "/global/query", &query, tokens, [1, d]);
    let mut x = g.op("Concat", "/global/Concat", &[&query, tokens, reference], vec![int("axis", 1)]);
    if diff.positions {
        let shape = [1 + 2 * n, d];
        let table = g.weight("difference.position", &shape, move || weights.tensor("difference.position", &shape));
        x = g.op("Add", "/global/position/Add", &[&x, &table], vec![]);
    }
    let t = "difference.transformer";
    let normed = layer_norm(g, "/global/norm1/LayerNormalization", &x, weights, &format!("{t}.norm1"), d);
    let first = |g: &mut Graph<'w>, path: &str, x: &str| {
        let (zero, one, axis) = (g.ints("zero", &[0]), g.ints("one", &[1]), g.ints("axis.tokens", &[1]));
        g.op("Slice", path, &[x, &zero, &one, &axis], vec![])
    };
    let asking = first(g, "/global/attn/Slice", &normed);
    let q = in_proj(g, 0, &asking, weights, d);
    let k = in_proj(g, 1, &normed, weights, d);
    let v = in_proj(g, 2, &normed, weights, d);
    let read = attention(g, "/global/attn", [&q, &k, &v], diff.heads, d / diff.heads);
    let names =
        ["self_attn.out_proj", "linear1", "linear2"].map(|l| (format!("{t}.{l}.weight"), format!("{t}.{l}.bias")));
    let y = linear_bias(g, "/global/attn/out_proj", &read.output, weights, &names[0].0, &names[0].1, d, d);
    let x = first(g, "/global/Slice", &x);
    let x = g.op("Add", "/global/attn/Add", &[&x, &y], vec![]);
    let y = layer_norm(g, "/global/norm2/LayerNormalization", &x, weights, &format!("{t}.norm2"), d);
    let y = linear_bias(g, "/global/linear1", &y, weights, &names[1].0, &names[1].1, diff.ff_mult * d, d);
    let y = g.op("Gelu", "/global/Gelu", &[&y], vec![]);
    let y = linear_bias(g, "/global/linear2", &y, weights, &names[2].0, &names[2].1, d, diff.ff_mult * d);
    let x = g.op("Add", "/global/Add", &[&x, &y], vec![]);
    let axis = g.ints("axis.tokens", &[1]);
    g.op("Squeeze", "/global/Squeeze", &[&x, &axis], vec![])
}

/// One third of `in_proj`: queries, keys or values.
fn in_proj<'w>(g: &mut Graph<'w>, third: usize, x: &str, weights: &'w dyn Weights, d: usize) -> String {
    let part = ["q", "k", "v"][third];
    let name = format!("difference.transformer.self_attn.{part}_proj");
    let w = g.weight(&format!("{name}.weight.transposed"), &[d, d], move || {
        let all = weights.tensor("difference.transformer.self_attn.in_proj_weight", &[3 * d, d])?;
        Ok(super::linear::transpose(&all[third * d * d..][..d * d], d, d))
    });
    let b = g.weight(&format!("{name}.bias"), &[d], move || {
        let all = weights.tensor("difference.transformer.self_attn.in_proj_bias", &[3 * d])?;
        Ok(all[third * d..][..d].to_vec())
    });
    let y = g.op("MatMul", &format!("/global/attn/{part}_proj/MatMul"), &[x, &w], vec![]);
    g.op("Add", &format!("/global/attn/{part}_proj/Add"), &[&y, &b], vec![])
}

/// `prefix [b, p, d_llm]` from the differences in use, `[b, d]` each.
fn projector<'w>(g: &mut Graph<'w>, parts: &[String], config: &ModelConfig, weights: &'w dyn Weights) {
    let (diff, d_llm) = (&config.difference, config.decoder.hidden_size);
    let (input, out) = (diff.projector_input(config.resampler.dim), diff.prefix_tokens * d_llm);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let x = g.op("Concat", "/projector/Concat", &parts, vec![int("axis", -1)]);
    let name = |layer: &str, part: &str| format!("difference.projector.{layer}.{part}");
    let x = linear_bias(g, "/projector/fc1", &x, weights, &name("fc1", "weight"), &name("fc1", "bias"), d_llm, input);
    let x = g.op("Gelu", "/projector/Gelu", &[&x], vec![]);
    let x = match diff.projector_rank {
        None => linear_bias(g, "/projector/fc2", &x, weights, &name("fc2", "weight"), &name("fc2", "bias"), out, d_llm),
        Some(rank) => {
            let x = linear(g, "/projector/fc2_down/MatMul", &x, weights, &name("fc2_down", "weight"), rank, d_llm);
            linear_bias(
                g,
                "/projector/fc2_up",
                &x,
                weights,
                &name("fc2_up", "weight"),
                &name("fc2_up", "bias"),
                out,
                rank,
            )
        }
    };
    let shape = g.ints("shape.prefix", &[-1, diff.prefix_tokens as i64, d_llm as i64]);
    g.op_to("Reshape", "/projector/Reshape", &[&x, &shape], "prefix", vec![]);
}
