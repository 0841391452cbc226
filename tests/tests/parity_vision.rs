//! Encoder, classifier and difference as exported, against PyTorch.

use diffvp::runtime::Tensor;
use diffvp_exporter::graphs;
use diffvp_exporter::onnx::FloatStorage;
use diffvp_tests::golden::{F32_TOLERANCE, Golden, load, relative_error, run};

/// Compares every output of the graph with the case.
fn compare(
    case: &str,
    graph: for<'w> fn(&'w Golden) -> diffvp_exporter::onnx::Graph<'w>,
    inputs: &[&str],
    outputs: &[&str],
) {
    let golden = Golden::open(case);
    let tensors: Vec<Tensor> = inputs.iter().map(|name| golden.tensor(&format!("inputs.{name}"))).collect();
    let named: Vec<(&str, &Tensor)> = inputs.iter().copied().zip(&tensors).collect();
    for external in [false, true] {
        let (_folder, loaded) = load(graph(&golden), external);
        for output in outputs {
            let expected = golden.tensor(&format!("outputs.{output}"));
            let error = relative_error(&run(&loaded, &named, output), &expected);
            println!("{case} {output}: relative error {error:e}");
            assert!(error <= F32_TOLERANCE, "{case} {output}: {error:e}");
        }
    }
}

fn encoder(golden: &Golden) -> diffvp_exporter::onnx::Graph<'_> {
    graphs::encoder(&golden.config, golden)
}

fn difference(golden: &Golden) -> diffvp_exporter::onnx::Graph<'_> {
    graphs::difference(&golden.config, golden)
}

#[test]
fn encoder_of_medicalnet_form() {
    compare("encoder_dilated_a", encoder, &["volume"], &["tokens", "attention"]);
}

#[test]
fn encoder_with_plain_strides_and_three_channels() {
    compare("encoder_plain_16_b", encoder, &["volume"], &["tokens", "attention"]);
}

/// Weights lose 13 of 24 bits, the computation none.
#[test]
fn weights_stored_in_float16_change_little() {
    const TOLERANCE: f32 = 5e-3;
    let golden = Golden::open("encoder_dilated_a");
    let ((_a, whole), (_b, half)) =
        (load(encoder(&golden), false), load(encoder(&golden).stored(FloatStorage::F16), false));
    let volume = golden.tensor("inputs.volume");
    for output in ["tokens", "attention"] {
        let found = run(&half, &[("volume", &volume)], output);
        let error = relative_error(&found, &golden.tensor(&format!("outputs.{output}")));
        println!("{output}: relative error {error:e}");
        assert!(error <= TOLERANCE, "{output}: {error:e}");
        assert_ne!(found, run(&whole, &[("volume", &volume)], output), "{output} is that of float32");
    }
}

#[test]
fn a_volume_alone_gives_what_it_gives_in_a_batch() {
    let golden = Golden::open("encoder_dilated_a");
    let (volume, expected) = (golden.tensor("inputs.volume"), golden.tensor("outputs.tokens"));
    let (_folder, graph) = load(encoder(&golden), false);
    for i in 0..2 {
        let one = |t: &Tensor| {
            let size = t.shape()[1..].iter().product::<usize>();
            let shape: Vec<usize> = std::iter::once(1).chain(t.shape()[1..].iter().copied()).collect();
            Tensor::f32(&shape, t.as_f32().unwrap()[i * size..][..size].to_vec()).unwrap()
        };
        let tokens = run(&graph, &[("volume", &one(&volume))], "tokens");
        assert!(relative_error(&tokens, &one(&expected)) <= F32_TOLERANCE);
    }
}

/// Each probability by itself: the smallest are of the order of 10⁻⁶, and must not drown in the largest.
#[test]
fn classifier_from_certain_to_one_in_a_million() {
    for case in ["classifier_dilated_b", "classifier_plain_32_a"] {
        let golden = Golden::open(case);
        let (_folder, graph) = load(graphs::classifier(&golden.config, &golden), false);
        let found = run(&graph, &[("volume", &golden.tensor("inputs.volume"))], "probabilities");
        let expected = golden.tensor("outputs.probabilities");
        assert_eq!(found.shape(), expected.shape());
        for (found, expected) in found.as_f32().unwrap().iter().zip(expected.as_f32().unwrap()) {
            assert!((found / expected - 1.0).abs() <= F32_TOLERANCE, "{case}: {found:e} instead of {expected:e}");
        }
    }
}

#[test]
fn difference_in_every_form() {
    let outputs = ["prefix", "visual", "importance", "weights"];
    for form in ["both", "global", "local", "low_rank", "none"] {
        compare(&format!("difference_{form}"), difference, &["tokens", "reference"], &outputs);
    }
}
