//! A run folder: everything of a model but its references, as training leaves it and export takes it.
//!
//! | file | what |
//! |---|---|
//! | `config.json` | sizes, see [`ModelConfig`] |
//! | `weights.safetensors`, or `weights.safetensors.index.json` and its shards | named weights |
//! | `decoder.json` | in place of the decoder's weights: where they lie, and the folder of the adapter over them |
//! | `references.json` | normal scans that the reference bank is made of, unless others are named |
//! | `random.json` | in place of weights: the seed they are made from at export |
//! | `tokenizer.json` | tokenizer of the `tokenizers` crate |
//! | `description.json` | what the manifest says besides sizes, see [`Description`] |

use std::io::Write;
use std::path::{Path, PathBuf};

use diffvp::package::Familiarity;
use diffvp::package::manifest::{
    FindingSpec, FindingsText, Generation, IntendedUse, ModelIdentity, PromptSegment, SectionSpec,
};
use diffvp::volume::Preprocessing;
use diffvp_exporter::ModelConfig;
use diffvp_exporter::package::{ExportOptions, PackageContents, lineage};
use diffvp_exporter::weights::{RandomWeights, SafetensorsWeights, Weights, save_safetensors, tensor_specs};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::adapter::Merged;
use crate::data::ScanFile;
use crate::{Error, Result};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "weights.safetensors";
const WEIGHTS_INDEX: &str = "weights.safetensors.index.json";
const RANDOM: &str = "random.json";
const TOKENIZER: &str = "tokenizer.json";
const DESCRIPTION: &str = "description.json";
const DECODER: &str = "decoder.json";
const REFERENCES: &str = "references.json";
const FAMILIARITY: &str = "familiarity.json";

/// What a manifest says besides sizes. Fields are those of the manifest (`docs/model-package.md`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Who the model is.
    pub model: ModelIdentity,
    /// What it may be used for.
    pub intended_use: IntendedUse,
    /// How volumes are prepared.
    pub preprocessing: Preprocessing,
    /// Findings and thresholds.
    pub findings: Vec<FindingSpec>,
    /// How findings become text.
    pub findings_text: FindingsText,
    /// Sections of a report.
    pub sections: Vec<SectionSpec>,
    /// The decoder's input.
    pub prompt: Vec<PromptSegment>,
    /// How a report is decoded.
    pub generation: Generation,
    /// Tokens that end a report or section.
    pub end_tokens: Vec<String>,
    /// Markdown for the model card.
    #[serde(default)]
    pub card_notes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Random {
    seed: u64,
}

/// Where the weights of a decoder lie that a run adapts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoder {
    /// A file or folder of safetensors, such as a LLaMA of Hugging Face.
    Files(PathBuf),
    /// Random weights of a seed.
    Random(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecoderFile {
    weights: Decoder,
    adapter: PathBuf,
}

/// Weights from several files; the first that has a name serves it.
pub struct Layers(Vec<SafetensorsWeights>);

impl Layers {
    /// The files in the order in which they are asked.
    pub fn new(files: impl IntoIterator<Item = SafetensorsWeights>) -> Self {
        Layers(files.into_iter().collect())
    }
}

impl Weights for Layers {
    fn tensor(&self, name: &str, shape: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        let file = self.0.iter().find(|file| file.tensors().any(|(have, _)| have == name));
        file.ok_or_else(|| diffvp_exporter::Error::WeightMissing { name: name.to_string() })?.tensor(name, shape)
    }
}

/// The run's own weights, and an adapted decoder for what they lack.
struct Adapted {
    own: SafetensorsWeights,
    decoder: Box<dyn Weights>,
    adapter: PathBuf,
}

impl Weights for Adapted {
    fn tensor(&self, name: &str, shape: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        if self.own.tensors().any(|(have, _)| have == name) {
            return self.own.tensor(name, shape);
        }
        let failed = |e: Error| match e {
            Error::Exporter(error) => error,
            other => diffvp_exporter::Error::WeightFile { path: self.adapter.clone(), detail: other.to_string() },
        };
        Merged::open(&*self.decoder, &self.adapter).map_err(failed)?.tensor(name, shape)
    }
}

/// A run folder, read.
pub struct Run {
    /// Sizes.
    pub config: ModelConfig,
    /// What the manifest says besides sizes.
    pub description: Description,
    /// Normal scans that training chose for the reference bank.
    pub references: Vec<ScanFile>,
    familiarity: Option<Familiarity>,
    tokenizer_json: String,
    weights: Box<dyn Weights>,
}

impl Run {
    /// Reads a run folder.
    ///
    /// # Errors
    /// [`Error::RunFolder`] naming the file, and those of the config and the weights.
    pub fn open(folder: &Path) -> Result<Run> {
        let config = ModelConfig::from_json(&read(folder, CONFIG)?)?;
        let weights: Box<dyn Weights> = if folder.join(RANDOM).exists() {
            let random: Random = parse(folder, RANDOM)?;
            Box::new(RandomWeights::new(&config, random.seed))
        } else {
            let index = folder.join(WEIGHTS_INDEX);
            let path = if index.exists() { index } else { folder.join(WEIGHTS) };
            let own = SafetensorsWeights::open(path)?;
            if folder.join(DECODER).exists() {
                let file: DecoderFile = parse(folder, DECODER)?;
                let decoder: Box<dyn Weights> = match file.weights {
                    Decoder::Files(path) => Box::new(SafetensorsWeights::open(path)?),
                    Decoder::Random(seed) => Box::new(RandomWeights::new(&config, seed)),
                };
                Box::new(Adapted { own, decoder, adapter: folder.join(file.adapter) })
            } else {
                Box::new(own)
            }
        };
        let description = parse(folder, DESCRIPTION)?;
        let references = if folder.join(REFERENCES).exists() { parse(folder, REFERENCES)? } else { Vec::new() };
        let familiarity = folder.join(FAMILIARITY).exists().then(|| parse(folder, FAMILIARITY)).transpose()?;
        Ok(Run { config, description, references, familiarity, tokenizer_json: read(folder, TOKENIZER)?, weights })
    }

    /// The named weights.
    pub fn weights(&self) -> &dyn Weights {
        &*self.weights
    }

    /// What goes into a package besides weights.
    pub fn contents(&self, export: ExportOptions) -> PackageContents {
        let d = self.description.clone();
        PackageContents {
            model: d.model,
            intended_use: d.intended_use,
            preprocessing: d.preprocessing,
            findings: d.findings,
            findings_text: d.findings_text,
            sections: d.sections,
            prompt: d.prompt,
            generation: d.generation,
            end_tokens: d.end_tokens,
            tokenizer_json: self.tokenizer_json.clone(),
            familiarity: self.familiarity.clone(),
            card_notes: d.card_notes,
            export,
        }
    }
}

/// Sizes by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Tiny: 32 × 64 × 64 voxels, ResNet-18 of width 8, a decoder of 3 layers of 128.
    Demo,
    /// The paper's vision sizes (64 × 256 × 256 voxels, ResNet-18 of width 64, 32 tokens of 512, prefix of 16)
    /// with the demo's decoder.
    PaperVision,
}

/// Makes a run folder with seeded random weights: the start of training, and models for measurements.
///
/// With `write_weights` false the folder holds the seed in place of the weights, which are then made at export.
///
/// # Errors
/// [`Error::RunFolder`] where the folder exists and is not empty; those of writing.
pub fn init(preset: Preset, seed: u64, write_weights: bool, folder: &Path) -> Result<()> {
    /// Tokens of the demo's tokenizer at most.
    const VOCABULARY: usize = 800;
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let detail = "it is there already and not empty; name a new folder".into();
        return Err(Error::RunFolder { path: folder.to_path_buf(), detail });
    }
    std::fs::create_dir_all(folder).map_err(|e| run_error(folder, &e))?;
    let tokenizer = diffvp_exporter::tokenizer::demo(VOCABULARY)?;
    let config = match preset {
        Preset::Demo => ModelConfig::demo(tokenizer.vocab_size),
        Preset::PaperVision => ModelConfig::paper_vision(tokenizer.vocab_size),
    };
    write(&folder.join(TOKENIZER), &tokenizer.json)?;
    write(&folder.join(DESCRIPTION), &json(&untrained(preset, seed, &config)))?;
    let weights = RandomWeights::new(&config, seed);
    if write_weights {
        save_safetensors(&folder.join(WEIGHTS), &tensor_specs(&config), &weights, &Default::default())?;
    } else {
        write(&folder.join(RANDOM), &json(&Random { seed }))?;
    }
    // Last: a folder without it is not taken for a run.
    write(&folder.join(CONFIG), &config.to_json())
}

fn untrained(preset: Preset, seed: u64, config: &ModelConfig) -> Description {
    let id = match preset {
        Preset::Demo => "diffvp-demo",
        Preset::PaperVision => "diffvp-paper-vision",
    };
    Description {
        model: ModelIdentity {
            id: id.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: format!("All parts of the method at small size, with random weights (seed {seed})."),
            trained: false,
            created_by: format!("diffvp-train {}", env!("CARGO_PKG_VERSION")),
        },
        intended_use: IntendedUse { clinical_use: false, statement: "Not for clinical use.".into() },
        preprocessing: lineage::preprocessing(config.input, config.encoder.in_channels),
        findings: lineage::findings(0.5),
        findings_text: lineage::findings_text(),
        sections: lineage::sections(),
        prompt: lineage::prompt(diffvp_exporter::tokenizer::BEGIN),
        generation: lineage::guided_sections(16),
        end_tokens: vec![diffvp_exporter::tokenizer::END.into()],
        card_notes: "The weights are random numbers. Findings and text of this model mean nothing; it shows that \
                     every part of the pipeline runs, and how fast."
            .into(),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn read(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::read_to_string(&path).map_err(|error| run_error(&path, &error))
}

fn parse<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    serde_json::from_str(&read(folder, name)?).map_err(|error| run_error(&folder.join(name), &error))
}

fn write(path: &PathBuf, text: &str) -> Result<()> {
    Ok(diffvp::files::write_atomic(path, |file| file.write_all(text.as_bytes()))?)
}

fn run_error(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::RunFolder { path: path.to_path_buf(), detail: error.to_string() }
}
