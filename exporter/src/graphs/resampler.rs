//! Perceiver resampler (Alayrac et al., arXiv 2204.14198): n latents read v features.

use super::layers::{attention, layer_norm, repeat_over_batch};
use super::linear::{linear, linear_bias};
use crate::config::{ModelConfig, PositionKind};
use crate::onnx::Graph;
use crate::onnx::graph::{int, ints};
use crate::weights::Weights;

/// Features `[b, v, c]` → the value `output` `[b, n, d]`; returns the last layer's attention weights
/// `[b, heads, n, v + n]`.
///
/// Each layer, with keys and values over `[features ; latents]`:
/// ```text
/// latents ← latents + to_out(attention(LN(latents), [LN(features) ; LN(latents)]))
/// latents ← latents + fc2(gelu(fc1(LN(latents))))
/// ```
/// and a last layer norm over the latents.
pub(super) fn resampler<'w>(
    g: &mut Graph<'w>,
    features: &str,
    output: &str,
    config: &ModelConfig,
    weights: &'w dyn Weights,
) -> String {
    let r = &config.resampler;
    let (n, d, c, v) = (r.tokens, r.dim, config.encoder.out_channels(), config.features());
    let mut x = features.to_string();
    if c != d {
        x = linear_bias(
            g,
            "/resampler/proj_in",
            &x,
            weights,
            "resampler.proj_in.weight",
            "resampler.proj_in.bias",
            d,
            c,
        );
    }
    if r.position == PositionKind::Learned {
        let table = g.weight("resampler.position", &[v, d], move || weights.tensor("resampler.position", &[v, d]));
        x = g.op("Add", "/resampler/position/Add", &[&x, &table], vec![]);
    }
    let table = g.weight("resampler.latents", &[n, d], move || weights.tensor("resampler.latents", &[n, d]));
    let mut latents = repeat_over_batch(g, "/resampler/latents", &table, &x, [n, d]);
    let mut last = String::new();
    for i in 0..r.depth {
        (latents, last) = layer(g, i, &x, &latents, config, weights);
    }
    layer_norm(g, "/resampler/norm/LayerNormalization", &latents, weights, "resampler.norm", d);
    g.rename_last(output);
    last
}

fn layer<'w>(
    g: &mut Graph<'w>,
    i: usize,
    features: &str,
    latents: &str,
    config: &ModelConfig,
    weights: &'w dyn Weights,
) -> (String, String) {
    let r = &config.resampler;
    let (d, inner) = (r.dim, r.inner());
    let (path, name) = (format!("/resampler/layers.{i}/attn"), format!("resampler.layers.{i}.attn"));
    let media = layer_norm(
        g,
        &format!("{path}/norm_media/LayerNormalization"),
        features,
        weights,
        &format!("{name}.norm_media"),
        d,
    );
    let query = layer_norm(
        g,
        &format!("{path}/norm_latents/LayerNormalization"),
        latents,
        weights,
        &format!("{name}.norm_latents"),
        d,
    );
    let both = g.op("Concat", &format!("{path}/Concat"), &[&media, &query], vec![int("axis", 1)]);
    let q = linear(g, &format!("{path}/to_q/MatMul"), &query, weights, &format!("{name}.to_q.weight"), inner, d);
    let [k, v] = keys_and_values(g, &path, &both, weights, &name, inner, d);
    let read = attention(g, &path, [&q, &k, &v], r.heads, r.head_dim);
    let y =
        linear(g, &format!("{path}/to_out/MatMul"), &read.output, weights, &format!("{name}.to_out.weight"), d, inner);
    let latents = g.op("Add", &format!("{path}/Add"), &[&y, latents], vec![]);

    let (path, name) = (format!("/resampler/layers.{i}/ff"), format!("resampler.layers.{i}.ff"));
    let y = layer_norm(g, &format!("{path}/norm/LayerNormalization"), &latents, weights, &format!("{name}.norm"), d);
    let y = linear(g, &format!("{path}/fc1/MatMul"), &y, weights, &format!("{name}.fc1.weight"), r.ff_mult * d, d);
    let y = g.op("Gelu", &format!("{path}/Gelu"), &[&y], vec![]);
    let y = linear(g, &format!("{path}/fc2/MatMul"), &y, weights, &format!("{name}.fc2.weight"), d, r.ff_mult * d);
    (g.op("Add", &format!("{path}/Add"), &[&y, &latents], vec![]), read.weights)
}

/// Keys and values by two products, so that the one wide result need not be cut and copied.
fn keys_and_values<'w>(
    g: &mut Graph<'w>,
    path: &str,
    x: &str,
    weights: &'w dyn Weights,
    name: &str,
    inner: usize,
    d: usize,
) -> [String; 2] {
    [(0, "to_k"), (1, "to_v")].map(|(half, part)| {
        let source = format!("{name}.to_kv.weight");
        let w = g.weight(&format!("{name}.{part}.weight.transposed"), &[d, inner], move || {
            let both = weights.tensor(&source, &[2 * inner, d])?;
            Ok(super::linear::transpose(&both[half * inner * d..][..inner * d], inner, d))
        });
        g.op("MatMul", &format!("{path}/{part}/MatMul"), &[x, &w], vec![])
    })
}

/// Mean over heads of the attention paid to features: `[b, heads, n, v + n]` → `[b, n, v]`.
pub(super) fn feature_attention(g: &mut Graph<'_>, attention: &str, v: usize, output: &str) {
    let mean = g.ints("axes.heads", &[1]);
    let y = g.op("ReduceMean", "/attention/ReduceMean", &[attention, &mean], vec![int("keepdims", 0)]);
    let (start, end, axis) =
        (g.ints("attention.start", &[0]), g.ints("attention.end", &[v as i64]), g.ints("attention.axis", &[2]));
    g.op_to("Slice", "/attention/Slice", &[&y, &start, &end, &axis], output, vec![]);
}

/// `[b, c, s', h', w']` → `[b, v, c]`.
pub(super) fn flatten_features(g: &mut Graph<'_>, path: &str, features: &str, c: usize, v: usize) -> String {
    let shape = g.ints("shape.features", &[0, c as i64, v as i64]);
    let y = g.op("Reshape", &format!("{path}/Reshape"), &[features, &shape], vec![]);
    g.op("Transpose", &format!("{path}/Transpose"), &[&y], vec![ints("perm", &[0, 2, 1])])
}
