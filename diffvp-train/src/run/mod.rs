//! A run folder: everything of a model but its references, as training leaves it and export takes it.
//!
//! | file | what |
//! |---|---|
//! | `config.json` | sizes, see [`ModelConfig`] |
//! | `weights.safetensors`, or `weights.safetensors.index.json` and its shards | named weights |
//! | `decoder.json` | in place of the decoder's weights: where they lie, and the folder of the adapter over them, if there is one |
//! | `references.json` | normal scans that the reference bank is made of, unless others are named |
//! | `random.json` | in place of weights (but those that `decoder.json` names): the seed they are made from at export |
//! | `tokenizer.json` | tokenizer of the `tokenizers` crate |
//! | `description.json` | what the manifest says besides sizes, see [`Description`] |

mod init;
mod llama;
mod weights;

use std::io::Write;
use std::path::{Path, PathBuf};

use diffvp::package::Familiarity;
use diffvp::package::manifest::{
    FindingSpec, FindingsText, Generation, IntendedUse, ModelIdentity, PromptSegment, SectionSpec,
};
use diffvp::volume::Preprocessing;
use diffvp_exporter::ModelConfig;
use diffvp_exporter::package::{ExportOptions, PackageContents};
use diffvp_exporter::weights::Weights;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::data::ScanFile;
use crate::{Error, Result};
pub use init::{Preset, init};
pub use llama::{ImportRequest, Imported, import};
#[cfg(feature = "torch")]
pub(crate) use weights::of_decoder;
pub use weights::{Decoder, Layers};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "weights.safetensors";
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
        let weights = weights::open(folder, &config)?;
        let description = parse(folder, DESCRIPTION)?;
        let references = if folder.join(REFERENCES).exists() { parse(folder, REFERENCES)? } else { Vec::new() };
        let familiarity = folder.join(FAMILIARITY).exists().then(|| parse(folder, FAMILIARITY)).transpose()?;
        Ok(Run { config, description, references, familiarity, tokenizer_json: read(folder, TOKENIZER)?, weights })
    }

    /// The named weights.
    pub fn weights(&self) -> &dyn Weights {
        &*self.weights
    }

    /// `tokenizer.json` of the `tokenizers` crate.
    pub fn tokenizer_json(&self) -> &str {
        &self.tokenizer_json
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

/// Whether a new run can be made in a folder.
///
/// # Errors
/// [`Error::RunFolder`] where it exists and is not empty.
fn vacant(folder: &Path) -> Result<()> {
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let detail = "it is there already and not empty; name a new folder".into();
        return Err(Error::RunFolder { path: folder.to_path_buf(), detail });
    }
    Ok(())
}

/// Makes the folder of a new run.
///
/// # Errors
/// As [`vacant`], and where it cannot be made.
fn create(folder: &Path) -> Result<()> {
    vacant(folder)?;
    std::fs::create_dir_all(folder).map_err(|e| run_error(folder, &e))
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
