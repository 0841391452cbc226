//! Writes one graph from a config and weights.
//!
//! ```text
//! cargo run -p diffvp-exporter --example export_graph -- GRAPH CONFIG.json WEIGHTS OUT.onnx [int4=32|128] [asymmetric] [accuracy=N] [f16] [external=BYTES]
//! ```
//! GRAPH is encoder, classifier, difference, embedding or decoder; WEIGHTS is a safetensors file or folder,
//! or `random:SEED`.

use std::path::Path;

use diffvp_exporter::graphs::{self, DecoderOptions, WeightKind};
use diffvp_exporter::onnx::{self, FloatStorage, WriteOptions};
use diffvp_exporter::weights::{RandomWeights, SafetensorsWeights, Weights};
use diffvp_exporter::{ModelConfig, quantize::BlockScheme};

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [graph, config, weights, out, options @ ..] = arguments.as_slice() else {
        return Err("usage: export_graph GRAPH CONFIG.json WEIGHTS OUT.onnx [options]".into());
    };
    let config = ModelConfig::from_json(&std::fs::read_to_string(config)?)?;
    let weights: Box<dyn Weights> = match weights.strip_prefix("random:") {
        Some(seed) => Box::new(RandomWeights::new(&config, seed.parse()?)),
        None => Box::new(SafetensorsWeights::open(weights)?),
    };
    let value = |key: &str| options.iter().find_map(|o| o.strip_prefix(key)?.strip_prefix('='));
    let flag = |key: &str| options.iter().any(|o| o == key);

    let mut decoder = DecoderOptions::f32();
    if let Some(block) = value("int4") {
        decoder.weights =
            WeightKind::Blocks(BlockScheme { bits: 4, block: block.parse()?, symmetric: !flag("asymmetric") });
    }
    if let Some(level) = value("accuracy") {
        decoder.accuracy_level = level.parse()?;
    }
    let storage = if flag("f16") { FloatStorage::F16 } else { FloatStorage::F32 };
    let graph = match graph.as_str() {
        "encoder" => graphs::encoder(&config, &*weights),
        "classifier" => graphs::classifier(&config, &*weights),
        "difference" => graphs::difference(&config, &*weights),
        "embedding" => graphs::embedding(&config, &*weights, storage),
        "decoder" => graphs::decoder(&config, &*weights, &decoder)?,
        other => return Err(format!("there is no graph {other:?}").into()),
    };
    let mut write = WriteOptions::default();
    if let Some(bytes) = value("external") {
        write.external_above_bytes = bytes.parse()?;
    }
    println!("{}", onnx::write(graph, Path::new(out), &write)?.join(" "));
    Ok(())
}
