//! Writing a whole package.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use diffvp::package::manifest::*;
use diffvp::package::{Familiarity, Package, ReferenceBank, names};
use diffvp::volume::{Preprocessing, Step};
use tokenizers::Tokenizer;

use super::card::model_card;
use super::replace;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::graphs::{self, DecoderOptions, FloatType, WeightKind};
use crate::onnx::{self, FloatStorage, Graph, WriteOptions};
use crate::weights::Weights;

const CARD: &str = "MODEL_CARD.md";

/// How the graphs are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportOptions {
    /// Decoder.
    pub decoder: DecoderOptions,
    /// Embedding table.
    pub embedding: FloatStorage,
    /// Weights of encoder, classifier and difference.
    pub vision: FloatStorage,
    /// Where weights go.
    pub write: WriteOptions,
}

impl Default for ExportOptions {
    /// The default decoder, the rest in float32.
    fn default() -> Self {
        ExportOptions {
            decoder: DecoderOptions::default(),
            embedding: FloatStorage::F32,
            vision: FloatStorage::F32,
            write: WriteOptions::default(),
        }
    }
}

/// What goes into a package besides weights. [`super::lineage`] has start values.
#[derive(Debug, Clone)]
pub struct PackageContents {
    /// Who the model is.
    pub model: ModelIdentity,
    /// What it may be used for.
    pub intended_use: IntendedUse,
    /// How volumes are prepared; its last size is the config's input.
    pub preprocessing: Preprocessing,
    /// Findings with thresholds, one for each label of the classifier.
    pub findings: Vec<FindingSpec>,
    /// How findings become text.
    pub findings_text: FindingsText,
    /// Sections of a report.
    pub sections: Vec<SectionSpec>,
    /// The decoder's input.
    pub prompt: Vec<PromptSegment>,
    /// How a report is decoded.
    pub generation: Generation,
    /// Tokens that end a report or section, as the tokenizer spells them.
    pub end_tokens: Vec<String>,
    /// `tokenizer.json` of the `tokenizers` crate.
    pub tokenizer_json: String,
    /// What tells scans that are unlike those of training, where training has measured it.
    pub familiarity: Option<Familiarity>,
    /// Markdown for the model card: data, metrics, limits.
    pub card_notes: String,
    /// How the graphs are stored.
    pub export: ExportOptions,
}

/// Tokens Iʳ of normal scans.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalReferences {
    /// One name per reference, unique, without patient data.
    pub ids: Vec<String>,
    /// `[ids.len(), n, d]`, d fastest.
    pub tokens: Vec<f32>,
}

/// Writes a package to `target` and opens it once for a trial.
///
/// `build_bank` is called with the written `encoder.onnx` and the sizes of the vision graphs, and returns
/// the tokens that this encoder gives for normal scans.
///
/// The package is made in a folder beside `target` and renamed when it is whole and verified, so that
/// `target` holds the old package or the new one. A package that is there is replaced.
///
/// # Errors
/// [`Error::NotAPackage`] where `target` holds something else; [`Error::Content`] and [`Error::Config`] for
/// parts that do not fit; those of the weights and of `build_bank`; [`Error::Write`]; [`Error::Diffvp`]
/// where the finished package does not open.
pub fn write_package(
    target: &Path,
    config: &ModelConfig,
    weights: &dyn Weights,
    contents: &PackageContents,
    build_bank: impl FnOnce(&Path, &VisionSizes) -> Result<NormalReferences>,
) -> Result<Manifest> {
    config.validate()?;
    let end_token_ids = check(config, contents)?;
    let staged = replace::stage(target)?;
    let folder = staged.path();
    let options = &contents.export;

    let mut files = Vec::new();
    let mut write = |graph: Graph<'_>, name: &str| -> Result<()> {
        tracing::info!(graph = name, "writing");
        files.extend(onnx::write(graph, &folder.join(name), &options.write)?);
        Ok(())
    };
    write(graphs::encoder(config, weights).stored(options.vision), names::ENCODER)?;
    write(graphs::classifier(config, weights).stored(options.vision), names::CLASSIFIER)?;
    write(graphs::difference(config, weights).stored(options.vision), names::DIFFERENCE)?;
    write(graphs::embedding(config, weights, options.embedding), names::EMBEDDING)?;
    let decoder = DecoderOptions { branches: parallel(contents), ..options.decoder };
    write(graphs::decoder(config, weights, &decoder)?, names::DECODER)?;

    let vision = vision_sizes(config);
    let encoder = folder.join(names::ENCODER);
    let encoder_sha256 = diffvp::files::sha256_file(&encoder)?;
    let bank = build_bank(&encoder, &vision)?;
    let path = folder.join(names::BANK);
    ReferenceBank::write(path, &bank.tokens, vision.tokens, vision.token_dim, &bank.ids, &encoder_sha256)?;
    if let Some(familiarity) = &contents.familiarity {
        familiarity.write(folder.join(names::FAMILIARITY))?;
        files.push(names::FAMILIARITY.to_string());
    }
    text(folder, names::TOKENIZER, &contents.tokenizer_json)?;
    files.extend([names::BANK, names::TOKENIZER].map(str::to_string));

    let mut manifest = Manifest {
        format: FORMAT.to_string(),
        format_version: FORMAT_VERSION,
        required_features: required_features(config, contents),
        model: contents.model.clone(),
        intended_use: contents.intended_use.clone(),
        scope: Scope::default(),
        files: BTreeMap::new(),
        preprocessing: contents.preprocessing.clone(),
        vision,
        findings: contents.findings.clone(),
        findings_text: contents.findings_text.clone(),
        sections: contents.sections.clone(),
        prompt: contents.prompt.clone(),
        decoder: decoder_sizes(config, end_token_ids),
        generation: contents.generation.clone(),
        reference_bank: BankSpec { references: bank.ids.len(), encoder_sha256 },
        familiarity: contents.familiarity.as_ref().map(|f| FamiliaritySpec { limit: f.limit }),
        unknown: BTreeMap::new(),
    };
    text(folder, CARD, &model_card(&manifest, options, &contents.card_notes))?;
    files.push(CARD.to_string());
    for name in files {
        let entry = FileEntry::of(folder.join(&name))?;
        manifest.files.insert(name, entry);
    }
    let json = manifest.to_json()?;
    diffvp::files::write_atomic(folder.join(names::MANIFEST), |out| out.write_all(&json))?;
    Package::open(folder)?;
    replace::publish(staged, target)?;
    Ok(manifest)
}

fn text(folder: &Path, name: &str, content: &str) -> Result<()> {
    Ok(diffvp::files::write_atomic(folder.join(name), |out| out.write_all(content.as_bytes()))?)
}

/// Refuses what does not fit before anything is written; returns the ids of the end tokens.
fn check(config: &ModelConfig, contents: &PackageContents) -> Result<Vec<u32>> {
    let content = |field: &str, detail: String| Error::Content { field: field.to_string(), detail };
    let (labels, findings) = (config.classifier.labels, contents.findings.len());
    if labels != findings {
        return Err(content("findings", format!("{findings} findings for {labels} labels of the classifier")));
    }
    if contents.preprocessing.channels != config.encoder.in_channels {
        let found = contents.preprocessing.channels;
        let detail = format!("gives {found} channels to an encoder of {}", config.encoder.in_channels);
        return Err(content("preprocessing", detail));
    }
    contents.export.decoder.validate()?;
    let failed = |e: tokenizers::Error| Error::Tokenizer { detail: e.to_string() };
    let tokenizer = Tokenizer::from_bytes(contents.tokenizer_json.as_bytes()).map_err(failed)?;
    let (tokens, rows) = (tokenizer.get_vocab_size(true), config.decoder.vocab_size);
    if tokens > rows {
        return Err(Error::Tokenizer { detail: format!("it has {tokens} tokens, and the decoder has {rows} rows") });
    }
    if contents.end_tokens.is_empty() {
        return Err(content("end_tokens", "are missing: a report could not end".into()));
    }
    let id = |token: &String| {
        let missing = || Error::Tokenizer { detail: format!("it has no token {token:?}, which ends a report") };
        tokenizer.token_to_id(token).ok_or_else(missing)
    };
    contents.end_tokens.iter().map(id).collect()
}

fn required_features(config: &ModelConfig, contents: &PackageContents) -> Vec<String> {
    let guided = matches!(contents.generation.form, ReportForm::GuidedSections { .. });
    let f16 = contents.export.decoder.float == FloatType::F16;
    let kinds = contents.export.decoder.kinds(config.decoder.layers);
    let has = |bits| kinds.iter().any(|kind| matches!(kind, WeightKind::Blocks(scheme) if scheme.bits == bits));
    let windows = matches!(contents.preprocessing.steps.last(), Some(Step::Windows { .. }));
    let features = [
        (windows, "channel_windows"),
        (f16, "f16_decoder"),
        (guided, "guided_sections"),
        (has(4), "int4_weights"),
        (has(8), "int8_weights"),
        (parallel(contents), "parallel_sections"),
    ];
    features.into_iter().filter(|f| f.0).map(|f| f.1.to_string()).collect()
}

/// Whether sections may be written at once.
fn parallel(contents: &PackageContents) -> bool {
    contents.generation.form.orders().contains(&SectionOrder::Parallel)
}

fn vision_sizes(config: &ModelConfig) -> VisionSizes {
    let [s, h, w] = config.input;
    VisionSizes {
        input: [config.encoder.in_channels, s, h, w],
        tokens: config.resampler.tokens,
        token_dim: config.token_width(),
        feature_grid: config.feature_grid(),
        prefix_tokens: config.difference.prefix_tokens,
    }
}

fn decoder_sizes(config: &ModelConfig, end_token_ids: Vec<u32>) -> DecoderSizes {
    let c = &config.decoder;
    DecoderSizes {
        hidden_size: c.hidden_size,
        layers: c.layers,
        key_value_heads: c.key_value_heads,
        head_dim: c.head_dim,
        vocab_size: c.vocab_size,
        context_length: c.context_length,
        end_token_ids,
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
