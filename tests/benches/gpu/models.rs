//! Models with seeded weights, made where they are measured: nothing large has to travel.

use std::path::{Path, PathBuf};
use std::time::Instant;

use diffvp::package::manifest::DecoderSizes;
use diffvp::scan::write_nifti;
use diffvp_exporter::ModelConfig;
use diffvp_exporter::config::LlamaConfig;
use diffvp_exporter::graphs::{self, DecoderOptions};
use diffvp_exporter::onnx::FloatStorage;
use diffvp_exporter::onnx::{Graph, write};
use diffvp_exporter::package::{ExportOptions, lineage};
use diffvp_exporter::weights::RandomWeights;
use diffvp_train::export::{ExportRequest, export};
use diffvp_train::run::{Description, Preset, init};

use crate::{AnyError, Sizes};

/// Seed of all weights here.
const SEED: u64 = 3;

/// A decoder's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Small,
    TinyLlama,
    Llama7b,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Small => "small",
            Shape::TinyLlama => "TinyLlama 1.1B",
            Shape::Llama7b => "LLaMA-2 7B",
        }
    }

    pub(crate) fn config(self) -> LlamaConfig {
        let seven = LlamaConfig::llama2_7b();
        match self {
            Shape::Small => LlamaConfig {
                hidden_size: 256,
                intermediate_size: 688,
                layers: 4,
                attention_heads: 8,
                key_value_heads: 2,
                head_dim: 32,
                vocab_size: 2000,
                ..seven
            },
            Shape::TinyLlama => LlamaConfig {
                hidden_size: 2048,
                intermediate_size: 5632,
                layers: 22,
                key_value_heads: 4,
                head_dim: 64,
                ..seven
            },
            Shape::Llama7b => seven,
        }
    }

    /// The decoder with vision graphs around it.
    pub(crate) fn model(self, sizes: Sizes) -> ModelConfig {
        let mut config = vision(sizes);
        config.decoder = self.config();
        // In full the projector's second layer of the larger shapes would hold more weights than the vision graphs.
        config.difference.projector_rank = (self != Shape::Small).then_some(256);
        config
    }
}

pub(crate) fn vision(sizes: Sizes) -> ModelConfig {
    match sizes {
        Sizes::Small => ModelConfig::demo(600),
        Sizes::Full => ModelConfig::paper_vision(600),
    }
}

pub(crate) fn sizes(c: &LlamaConfig) -> DecoderSizes {
    DecoderSizes {
        hidden_size: c.hidden_size,
        layers: c.layers,
        key_value_heads: c.key_value_heads,
        head_dim: c.head_dim,
        vocab_size: c.vocab_size,
        context_length: c.context_length,
        end_token_ids: vec![0],
    }
}

/// Writes a graph of a config; returns the seconds that it took.
pub(crate) fn graph(
    path: &Path,
    config: &ModelConfig,
    make: impl for<'w> FnOnce(&ModelConfig, &'w RandomWeights) -> Result<Graph<'w>, AnyError>,
) -> Result<f64, AnyError> {
    let begin = Instant::now();
    let weights = RandomWeights::new(config, SEED);
    let folder = path.parent().ok_or("a graph lies in a folder")?;
    std::fs::create_dir_all(folder)?;
    write(make(config, &weights)?, path, &Default::default())?;
    Ok(begin.elapsed().as_secs_f64())
}

pub(crate) fn decoder_graph(path: &Path, config: &ModelConfig, options: &DecoderOptions) -> Result<f64, AnyError> {
    graph(path, config, |config, weights| Ok(graphs::decoder(config, weights, options)?))
}

/// A whole package whose reports have `tokens` tokens, and a scan for it.
pub(crate) fn package(
    folder: &Path,
    shape: Shape,
    model_sizes: Sizes,
    decoder: DecoderOptions,
    tokens: usize,
) -> Result<(PathBuf, PathBuf), AnyError> {
    let preset = if model_sizes == Sizes::Full { Preset::PaperVision } else { Preset::Demo };
    let run = folder.join("run");
    if run.exists() {
        std::fs::remove_dir_all(&run)?;
    }
    init(preset, SEED, false, &run)?;
    std::fs::write(run.join("config.json"), shape.model(model_sizes).to_json())?;
    let path = run.join("description.json");
    let mut description: Description = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    description.generation = lineage::guided_sections(tokens / description.sections.len());
    description.generation.max_new_tokens = tokens;
    std::fs::write(&path, serde_json::to_string(&description)?)?;
    let scan = folder.join("chest.nii.gz");
    write_nifti(&diffvp_tests::demo::chest(0), &scan)?;
    let options = ExportOptions { decoder, embedding: FloatStorage::F16, ..ExportOptions::default() };
    let (references, data, session) = (vec![scan.clone()], Default::default(), Default::default());
    let out = folder.join("package.diffvp");
    export(&run, &out, &ExportRequest { references, data, options, session }, |_, _| {})?;
    Ok((out, scan))
}
