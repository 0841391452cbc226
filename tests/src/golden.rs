//! Golden cases of `tests/golden/graphs`, made by `tests/reference/make_goldens.py`.

use std::path::{Path, PathBuf};

use diffvp::runtime::{CancelToken, Graph, SessionOptions, Tensor};
use diffvp_exporter::quantize::BlockScheme;
use diffvp_exporter::weights::{SafetensorsWeights, Weights};
use diffvp_exporter::{ModelConfig, Result as ExporterResult, onnx};
use safetensors::{Dtype, SafeTensors};

/// Largest relative error of float32 graphs against PyTorch.
pub const F32_TOLERANCE: f32 = 1e-4;

/// A config with weights, inputs and expected outputs.
pub struct Golden {
    bytes: Vec<u8>,
    weights: SafetensorsWeights,
    /// Sizes of the case.
    pub config: ModelConfig,
    /// Four-bit scheme of its weights, if any.
    pub int4: Option<BlockScheme>,
}

impl Golden {
    /// The case `tests/golden/graphs/{name}.safetensors`.
    ///
    /// # Panics
    /// Where the file is not there or not such a case.
    pub fn open(name: &str) -> Golden {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/graphs/{name}.safetensors"));
        let bytes = std::fs::read(&path).expect("golden case");
        let weights = SafetensorsWeights::open(&path).expect("golden weights");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("golden header");
        let metadata = header.metadata().clone().expect("golden metadata");
        let config = ModelConfig::from_json(&metadata["config"]).expect("golden config");
        let int4 = metadata.get("int4").map(|json| serde_json::from_str(json).expect("golden scheme"));
        Golden { bytes, weights, config, int4 }
    }

    /// A tensor by its whole name, such as `outputs.tokens`.
    ///
    /// # Panics
    /// Where the case lacks it.
    pub fn tensor(&self, name: &str) -> Tensor {
        let file = SafeTensors::deserialize(&self.bytes).expect("golden case");
        let view = file.tensor(name).expect(name);
        let (shape, data) = (view.shape(), view.data());
        let tensor = match view.dtype() {
            Dtype::F32 => Tensor::f32(shape, data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::I64 => Tensor::i64(shape, data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()),
            other => panic!("{name} is {other:?}"),
        };
        tensor.expect(name)
    }
}

/// The weights of the case, under the names that the exporter asks for.
impl Weights for Golden {
    fn tensor(&self, name: &str, shape: &[usize]) -> ExporterResult<Vec<f32>> {
        self.weights.tensor(&format!("weights.{name}"), shape)
    }
}

/// Writes a graph into a folder that lives as long as the first value, and loads it on the CPU.
///
/// # Panics
/// Where the graph cannot be written or loaded.
pub fn load(graph: onnx::Graph<'_>, external: bool) -> (tempfile::TempDir, Graph) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path: PathBuf = folder.path().join("graph.onnx");
    let above = if external { 0 } else { u64::MAX };
    let files = onnx::write(graph, &path, &onnx::WriteOptions { external_above_bytes: above }).expect("export");
    assert_eq!(files.len(), 1 + usize::from(external));
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let graph = Graph::open(&path, &options).expect("ONNX Runtime loads the exported graph");
    (folder, graph)
}

/// Runs a graph, and returns the output of that name.
///
/// # Panics
/// Where it cannot run.
pub fn run(graph: &Graph, inputs: &[(&str, &Tensor)], output: &str) -> Tensor {
    let index = graph.outputs().iter().position(|port| port.name == output).expect(output);
    graph.run(inputs, &CancelToken::default()).expect("the exported graph runs").swap_remove(index)
}

/// Largest difference over the largest magnitude that is expected.
///
/// # Panics
/// Where the shapes differ, a value is not a number, or everything expected is zero but not what was found.
pub fn relative_error(found: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (found.as_f32().expect("f32"), expected.as_f32().expect("f32"));
    assert!(found.iter().all(|v| v.is_finite()));
    let largest = expected.iter().fold(0f32, |a, v| a.max(v.abs()));
    let error = found.iter().zip(expected).fold(0f32, |a, (f, e)| a.max((f - e).abs()));
    if error == 0.0 { 0.0 } else { error / largest }
}
