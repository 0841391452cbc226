//! The full check of `onnx.checker` over every exported graph, where a Python with `onnx` is at hand.

use std::path::Path;
use std::process::Command;

use diffvp_exporter::ModelConfig;
use diffvp_exporter::graphs::{self, DecoderOptions, WeightKind};
use diffvp_exporter::onnx::{FloatStorage, Graph, WriteOptions, write};
use diffvp_exporter::quantize::BlockScheme;
use diffvp_exporter::weights::RandomWeights;

/// `DIFFVP_PYTHON`, or `python3`.
fn python() -> Option<String> {
    let python = std::env::var("DIFFVP_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_onnx = Command::new(&python).args(["-c", "import onnx"]).output().is_ok_and(|o| o.status.success());
    has_onnx.then_some(python)
}

#[test]
fn every_graph_is_accepted() {
    let Some(python) = python() else {
        println!("skipped: needs a Python with the package onnx (python3, or the one that DIFFVP_PYTHON names)");
        return;
    };
    let config = ModelConfig::demo(600);
    let weights = RandomWeights::new(&config, 1);
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    let mut store = |name: &str, graph: Graph<'_>, external_above_bytes: u64| {
        let path = folder.path().join(name);
        write(graph, &path, &WriteOptions { external_above_bytes }).unwrap();
        paths.push(path);
    };
    let decoder = |weights_kind: WeightKind| {
        let options = DecoderOptions { weights: weights_kind, ..DecoderOptions::f32() };
        graphs::decoder(&config, &weights, &options).unwrap()
    };
    store("encoder.onnx", graphs::encoder(&config, &weights), u64::MAX);
    store("classifier.onnx", graphs::classifier(&config, &weights), 0);
    store("difference.onnx", graphs::difference(&config, &weights), u64::MAX);
    store("half.onnx", graphs::encoder(&config, &weights).stored(FloatStorage::F16), 0);
    store("embedding.onnx", graphs::embedding(&config, &weights, FloatStorage::F16), u64::MAX);
    store("float.onnx", decoder(WeightKind::F32), 0);
    for (name, block, symmetric) in [("int4_32.onnx", 32, true), ("int4_128.onnx", 128, false)] {
        store(name, decoder(WeightKind::Blocks(BlockScheme { bits: 4, block, symmetric })), u64::MAX);
    }
    store("float16.onnx", graphs::decoder(&config, &weights, &DecoderOptions::int4(32).f16()).unwrap(), u64::MAX);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/check_onnx.py");
    let output = Command::new(python).arg(script).args(&paths).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().filter(|line| line.ends_with("accepted")).count(), paths.len());
}
