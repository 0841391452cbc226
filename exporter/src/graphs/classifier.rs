//! `classifier.onnx`: volume → probabilities of the findings.

use super::encoder::volume_input;
use super::resnet::resnet;
use crate::config::ModelConfig;
use crate::onnx::graph::{int, ints};
use crate::onnx::{DataType, Dim, Graph};
use crate::weights::Weights;

/// `volume [b, channels, s, h, w]` → `probabilities [b, labels]` by Noisy-OR over feature voxels:
/// `p = 1 − Π(1 − σ(z_v)) = 1 − exp(−Σ softplus(z_v))`. Needs the weights `classifier.*`.
///
/// A voxel's share may be 10⁻⁶ and there are thousands: `log(1 + e)` in float32 would lose a hundredth of
/// it. So `softplus(z) = max(z, 0) + log1p(u)` with `u = e^−|z|` and
/// `log1p(u) = 2 atanh(s)`, `s = u / (2 + u) ≤ 1/3`, as a series; and `1 − e^−t = 2 tanh(t/2) / (1 + tanh(t/2))`.
pub fn classifier<'w>(config: &ModelConfig, weights: &'w dyn Weights) -> Graph<'w> {
    let mut g = Graph::new("classifier");
    let backbone = &config.classifier.backbone;
    let (labels, c) = (config.classifier.labels, backbone.out_channels());
    let volume = volume_input(&mut g, config);
    let features = resnet(&mut g, &volume, "classifier", backbone, weights);

    let shape = [labels, c, 1, 1, 1];
    let w = g.weight("classifier.head.weight", &shape, move || weights.tensor("classifier.head.weight", &shape));
    let b = g.weight("classifier.head.bias", &[labels], move || weights.tensor("classifier.head.bias", &[labels]));
    let z = g.op("Conv", "/classifier/head/Conv", &[&features, &w, &b], vec![ints("kernel_shape", &[1; 3])]);

    let evidence = softplus(&mut g, "/noisy_or/softplus", &z);
    let axes = g.ints("axes.voxels", &[2, 3, 4]);
    let total = g.op("ReduceSum", "/noisy_or/ReduceSum", &[&evidence, &axes], vec![int("keepdims", 0)]);
    let (half, one, two) = (g.scalar("half", 0.5), g.scalar("one", 1.0), g.scalar("two", 2.0));
    let t = g.op("Mul", "/noisy_or/half/Mul", &[&total, &half], vec![]);
    let t = g.op("Tanh", "/noisy_or/Tanh", &[&t], vec![]);
    let above = g.op("Mul", "/noisy_or/twice/Mul", &[&t, &two], vec![]);
    let below = g.op("Add", "/noisy_or/Add", &[&t, &one], vec![]);
    g.op_to("Div", "/noisy_or/Div", &[&above, &below], "probabilities", vec![]);
    g.output("probabilities", DataType::Float, &[Dim::Name("b"), Dim::Size(labels)]);
    g
}

/// Terms of `atanh(s) / s = Σ s^2i / (2i + 1)`; with s ≤ 1/3 the tenth is below 10⁻⁹ of the sum.
const SERIES_TERMS: usize = 9;

fn softplus(g: &mut Graph<'_>, path: &str, z: &str) -> String {
    let two = g.scalar("two", 2.0);
    let positive = g.op("Relu", &format!("{path}/Relu"), &[z], vec![]);
    let size = g.op("Abs", &format!("{path}/Abs"), &[z], vec![]);
    let size = g.op("Neg", &format!("{path}/Neg"), &[&size], vec![]);
    let u = g.op("Exp", &format!("{path}/Exp"), &[&size], vec![]);
    let below = g.op("Add", &format!("{path}/below/Add"), &[&u, &two], vec![]);
    let s = g.op("Div", &format!("{path}/Div"), &[&u, &below], vec![]);
    let square = g.op("Mul", &format!("{path}/square/Mul"), &[&s, &s], vec![]);
    let coefficient = |g: &mut Graph<'_>, i: usize| g.scalar(&format!("atanh.{i}"), 2.0 / (2 * i + 1) as f32);
    let mut sum = coefficient(g, SERIES_TERMS - 1);
    for i in (0..SERIES_TERMS - 1).rev() {
        let product = g.op("Mul", &format!("{path}/series.{i}/Mul"), &[&square, &sum], vec![]);
        let next = coefficient(g, i);
        sum = g.op("Add", &format!("{path}/series.{i}/Add"), &[&product, &next], vec![]);
    }
    let log1p = g.op("Mul", &format!("{path}/log1p/Mul"), &[&s, &sum], vec![]);
    g.op("Add", &format!("{path}/Add"), &[&positive, &log1p], vec![])
}
