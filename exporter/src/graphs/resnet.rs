//! 3D ResNet with batch norm folded into the convolutions.

use crate::config::{ResNet3dConfig, Shortcut};
use crate::error::{Error, Result};
use crate::onnx::graph::{f32_bytes, int, ints};
use crate::onnx::{DataType, Graph, TensorDecl};
use crate::weights::Weights;

/// ε of batch norm, PyTorch's default.
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// `volume [b, channels, s, h, w]` → features `[b, c, s', h', w']`.
///
/// ```text
/// volume → Conv 7³/2 → Relu → MaxPool 3³/2 → layer1 … layer4
/// block:  x → Conv 3³ → Relu → Conv 3³ → + → Relu
///         └──────── shortcut ────────────┘
/// ```
/// Weights are those of MedicalNet under `prefix`; see Chen et al., arXiv 1904.00625.
pub(super) fn resnet<'w>(
    g: &mut Graph<'w>,
    volume: &str,
    prefix: &str,
    config: &ResNet3dConfig,
    weights: &'w dyn Weights,
) -> String {
    let stem = Conv { out: config.width, input: config.in_channels, kernel: 7, stride: 2, dilation: 1 };
    let x = conv(
        g,
        &format!("/{prefix}/conv1"),
        volume,
        weights,
        [&format!("{prefix}.conv1"), &format!("{prefix}.bn1")],
        stem,
    );
    let x = g.op("Relu", &format!("/{prefix}/Relu"), &[&x], vec![]);
    let pool = vec![ints("kernel_shape", &[3; 3]), ints("strides", &[2; 3]), ints("pads", &[1; 6])];
    let mut x = g.op("MaxPool", &format!("/{prefix}/MaxPool"), &[&x], pool);
    let mut channels = config.width;
    for (i, stage) in config.stages().into_iter().enumerate() {
        for index in 0..stage.blocks {
            let stride = if index == 0 { stage.stride } else { 1 };
            let block = Block {
                input: channels,
                out: stage.channels,
                stride,
                dilation: stage.dilation,
                shortcut: config.shortcut,
            };
            x = basic_block(g, &format!("{prefix}.layer{}.{index}", i + 1), &x, weights, block);
            channels = stage.channels;
        }
    }
    x
}

struct Block {
    input: usize,
    out: usize,
    stride: usize,
    dilation: usize,
    shortcut: Shortcut,
}

fn basic_block<'w>(g: &mut Graph<'w>, prefix: &str, x: &str, weights: &'w dyn Weights, b: Block) -> String {
    let path = format!("/{}", prefix.replace(".layer", "/layer"));
    let first = Conv { out: b.out, input: b.input, kernel: 3, stride: b.stride, dilation: b.dilation };
    let second = Conv { out: b.out, input: b.out, kernel: 3, stride: 1, dilation: b.dilation };
    let y =
        conv(g, &format!("{path}/conv1"), x, weights, [&format!("{prefix}.conv1"), &format!("{prefix}.bn1")], first);
    let y = g.op("Relu", &format!("{path}/conv1/Relu"), &[&y], vec![]);
    let y =
        conv(g, &format!("{path}/conv2"), &y, weights, [&format!("{prefix}.conv2"), &format!("{prefix}.bn2")], second);
    let changes = b.stride != 1 || b.input != b.out;
    let shortcut = match b.shortcut {
        _ if !changes => x.to_string(),
        Shortcut::A => subsample_and_pad(g, &path, x, &b),
        Shortcut::B => {
            let names = [format!("{prefix}.downsample.0"), format!("{prefix}.downsample.1")];
            let one = Conv { out: b.out, input: b.input, kernel: 1, stride: b.stride, dilation: 1 };
            conv(g, &format!("{path}/downsample"), x, weights, [&names[0], &names[1]], one)
        }
    };
    let y = g.op("Add", &format!("{path}/Add"), &[&y, &shortcut], vec![]);
    g.op("Relu", &format!("{path}/Relu"), &[&y], vec![])
}

/// Every `stride`-th voxel, then zero channels behind: an average pool with a window of one voxel, and a pad.
fn subsample_and_pad(g: &mut Graph<'_>, path: &str, x: &str, b: &Block) -> String {
    let mut x = x.to_string();
    if b.stride != 1 {
        let pool = vec![ints("kernel_shape", &[1; 3]), ints("strides", &[b.stride as i64; 3])];
        x = g.op("AveragePool", &format!("{path}/shortcut/AveragePool"), &[&x], pool);
    }
    if b.input == b.out {
        return x;
    }
    let added = (b.out - b.input) as i64;
    let pads = g.ints(&format!("pads.channels.{added}"), &[0, 0, 0, 0, 0, 0, added, 0, 0, 0]);
    g.op("Pad", &format!("{path}/shortcut/Pad"), &[&x, &pads], vec![])
}

/// Sizes of a convolution; padding is `dilation · (kernel − 1) / 2`.
#[derive(Clone, Copy)]
pub(super) struct Conv {
    out: usize,
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
}

/// Convolution `{names[0]}.weight` without bias, followed by batch norm `{names[1]}`, as one `Conv`.
fn conv<'w>(g: &mut Graph<'w>, path: &str, x: &str, weights: &'w dyn Weights, names: [&str; 2], c: Conv) -> String {
    let [conv, norm] = names.map(str::to_string);
    let shape = [c.out, c.input, c.kernel, c.kernel, c.kernel];
    let decl = |name: String, dims: &[usize]| TensorDecl { name, dtype: DataType::Float, dims: dims.to_vec() };
    let (weight, bias) = (format!("{conv}.folded.weight"), format!("{conv}.folded.bias"));
    g.weights(vec![decl(weight.clone(), &shape), decl(bias.clone(), &[c.out])], move || {
        let kernel = weights.tensor(&format!("{conv}.weight"), &shape)?;
        let (kernel, bias) = fold(kernel, &norm, c.out, weights)?;
        Ok(vec![f32_bytes(kernel), f32_bytes(bias)])
    });
    let attributes = vec![
        ints("kernel_shape", &[c.kernel as i64; 3]),
        ints("strides", &[c.stride as i64; 3]),
        ints("dilations", &[c.dilation as i64; 3]),
        ints("pads", &[(c.dilation * (c.kernel / 2)) as i64; 6]),
        int("group", 1),
    ];
    g.op("Conv", &format!("{path}/Conv"), &[x, &weight, &bias], attributes)
}

/// Folds batch norm in evaluation into the convolution before it:
/// `w' = w · γ / √(σ² + ε)`, `b' = β − μ · γ / √(σ² + ε)`, channel by channel.
///
/// # Errors
/// Those of [`Weights::tensor`]; a variance that is not positive is refused.
pub(super) fn fold(
    mut kernel: Vec<f32>,
    norm: &str,
    out: usize,
    weights: &dyn Weights,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let read = |part: &str| weights.tensor(&format!("{norm}.{part}"), &[out]);
    let (gamma, beta, mean, var) = (read("weight")?, read("bias")?, read("running_mean")?, read("running_var")?);
    if let Some(i) = var.iter().position(|&v| v < 0.0) {
        let detail = format!("is {} at channel {i}; a variance is not negative", var[i]);
        return Err(Error::Content { field: format!("{norm}.running_var"), detail });
    }
    let per_channel = kernel.len() / out;
    let mut bias = Vec::with_capacity(out);
    for (i, channel) in kernel.chunks_mut(per_channel).enumerate() {
        let factor = gamma[i] as f64 / (var[i] as f64 + BATCH_NORM_EPSILON).sqrt();
        channel.iter_mut().for_each(|w| *w = (*w as f64 * factor) as f32);
        bias.push((beta[i] as f64 - mean[i] as f64 * factor) as f32);
    }
    Ok((kernel, bias))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::testing::MemoryWeights;

    #[test]
    fn folding_gives_convolution_then_norm() {
        let mut w = MemoryWeights::default();
        let (gamma, beta, mean, var) = ([2.0, -1.0], [0.5, 0.0], [3.0, -1.0], [4.0, 0.25]);
        for (name, values) in [("weight", gamma), ("bias", beta), ("running_mean", mean), ("running_var", var)] {
            w.0.insert(format!("bn.{name}"), values.to_vec());
        }
        let kernel = vec![1.0, 2.0, 3.0, 4.0];
        let (folded, bias) = fold(kernel.clone(), "bn", 2, &w).unwrap();
        let x = [0.7f32, -1.3];
        for c in 0..2 {
            let plain = kernel[2 * c] * x[0] + kernel[2 * c + 1] * x[1];
            let expected = (plain - mean[c]) / (var[c] + 1e-5).sqrt() * gamma[c] + beta[c];
            let found = folded[2 * c] * x[0] + folded[2 * c + 1] * x[1] + bias[c];
            assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
        }
        w.0.insert("bn.running_var".into(), vec![1.0, -0.5]);
        assert!(fold(kernel, "bn", 2, &w).unwrap_err().to_string().contains("channel 1"));
    }
}
