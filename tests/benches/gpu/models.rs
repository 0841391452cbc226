//! Models with seeded weights, made where they are measured: nothing large has to travel.

use std::path::{Path, PathBuf};
use std::time::Instant;

use diffvp::scan::write_nifti;
use diffvp_exporter::ModelConfig;
use diffvp_exporter::graphs::{self, DecoderOptions};
use diffvp_exporter::onnx::FloatStorage;
use diffvp_exporter::onnx::{Graph, write};
use diffvp_exporter::package::{ExportOptions, lineage};
use diffvp_exporter::weights::RandomWeights;
use diffvp_tests::decoders::Shape;
use diffvp_train::export::{ExportRequest, export};
use diffvp_train::run::{Description, Preset, init};

use crate::{AnyError, Sizes};

/// Seed of all weights here.
const SEED: u64 = 3;

/// The decoder with vision graphs around it.
pub(crate) fn model(shape: Shape, sizes: Sizes) -> ModelConfig {
    let mut config = vision(sizes);
    config.decoder = shape.config();
    // In full the projector's second layer of the larger shapes would hold more weights than the vision graphs.
    config.difference.projector_rank = (shape != Shape::Small).then_some(256);
    config
}

pub(crate) fn vision(sizes: Sizes) -> ModelConfig {
    match sizes {
        Sizes::Small => ModelConfig::demo(600),
        Sizes::Full => ModelConfig::paper_vision(600),
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
    std::fs::write(run.join("config.json"), model(shape, model_sizes).to_json())?;
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
    export(&run, &out, &ExportRequest { references, data, options, rounded: None, session }, |_, _| {})?;
    Ok((out, scan))
}
