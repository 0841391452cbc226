//! Run folders with random weights.

use std::path::Path;

use diffvp::package::manifest::{IntendedUse, ModelIdentity, SectionOrder};
use diffvp_exporter::ModelConfig;
use diffvp_exporter::package::lineage;
use diffvp_exporter::weights::{RandomWeights, save_safetensors, tensor_specs};

use super::weights::Random;
use super::{CONFIG, DESCRIPTION, Description, RANDOM, TOKENIZER, WEIGHTS, create, json, write};
use crate::Result;

/// Tokens of the built-in tokenizer at most.
const VOCABULARY: usize = 800;

/// Sizes by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Tiny: 32 × 64 × 64 voxels, ResNet-18 of width 8, a decoder of 3 layers of 128.
    Demo,
    /// The paper's vision sizes (64 × 256 × 256 voxels, ResNet-18 of width 64, 32 tokens of 512, prefix of 16)
    /// with the demo's decoder.
    PaperVision,
    /// The paper's sizes with LLaMA-2-7B: 27 GB of weights, or none with `--random`.
    Paper,
}

impl Preset {
    /// Sizes with the tiny decoder of a vocabulary, or of the paper's with its own.
    pub(super) fn config(self, vocabulary: usize) -> ModelConfig {
        match self {
            Preset::Demo => ModelConfig::demo(vocabulary),
            Preset::PaperVision => ModelConfig::paper_vision(vocabulary),
            Preset::Paper => ModelConfig::paper(),
        }
    }
}

/// Makes a run folder with seeded random weights: the start of training, and models for measurements.
///
/// With `write_weights` false the folder holds the seed in place of the weights, which are then made at export.
///
/// # Errors
/// [`Error::RunFolder`](crate::Error::RunFolder) where the folder exists and is not empty; those of writing.
pub fn init(preset: Preset, seed: u64, write_weights: bool, folder: &Path) -> Result<()> {
    create(folder)?;
    let tokenizer = diffvp_exporter::tokenizer::demo(VOCABULARY)?;
    let config = preset.config(tokenizer.vocab_size);
    write(&folder.join(TOKENIZER), &tokenizer.json)?;
    write(&folder.join(DESCRIPTION), &json(&describe(preset, seed, &config)))?;
    if write_weights {
        let weights = RandomWeights::new(&config, seed);
        save_safetensors(&folder.join(WEIGHTS), &tensor_specs(&config), &weights, &Default::default())?;
    } else {
        write(&folder.join(RANDOM), &json(&Random { seed }))?;
    }
    // Last: a folder without it is not taken for a run.
    write(&folder.join(CONFIG), &config.to_json())
}

fn describe(preset: Preset, seed: u64, config: &ModelConfig) -> Description {
    let id = match preset {
        Preset::Demo => "diffvp-demo",
        Preset::PaperVision => "diffvp-paper-vision",
        Preset::Paper => "diffvp-paper",
    };
    Description {
        prompt: lineage::prompt(diffvp_exporter::tokenizer::BEGIN),
        // Nobody trained it for either.
        generation: lineage::guided_sections(16).with_orders(&[SectionOrder::Sequential, SectionOrder::Parallel]),
        end_tokens: vec![diffvp_exporter::tokenizer::END.into()],
        card_notes: "The weights are random numbers. Findings and text of this model mean nothing; it shows that \
                     every part of the pipeline runs, and how fast."
            .into(),
        ..untrained(id, format!("All parts of the method, with random weights (seed {seed})."), config)
    }
}

/// What every model that was not trained says. Prompt, form and end of its reports are left to the caller.
pub(super) fn untrained(id: &str, description: String, config: &ModelConfig) -> Description {
    Description {
        model: ModelIdentity {
            id: id.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description,
            trained: false,
            created_by: format!("diffvp-train {}", env!("CARGO_PKG_VERSION")),
        },
        intended_use: IntendedUse { clinical_use: false, statement: "Not for clinical use.".into() },
        preprocessing: lineage::preprocessing(config.input, config.encoder.in_channels),
        findings: lineage::findings(0.5),
        findings_text: lineage::findings_text(),
        sections: lineage::sections(),
        prompt: Vec::new(),
        generation: lineage::guided_sections(1),
        end_tokens: Vec::new(),
        card_notes: String::new(),
    }
}
