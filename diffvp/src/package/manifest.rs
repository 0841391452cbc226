//! `manifest.json`: what a model package says of itself. The format is specified in `docs/model-package.md`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{read_error, sha256_file};
use crate::volume::Preprocessing;
use crate::{Error, Result};

/// What [`Manifest::format`] always is.
pub const FORMAT: &str = "diffvp-package";

/// Newest package format that this crate reads, and the one that the exporter writes.
pub const FORMAT_VERSION: u32 = 1;

/// Features that a manifest may require of the reader.
pub const SUPPORTED_FEATURES: &[&str] =
    &["channel_windows", "f16_decoder", "guided_sections", "int4_weights", "int8_weights", "parallel_sections"];

/// The whole manifest. Every size, threshold, window and template of a model is here, none is in code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Features without which the package must not be used; see [`SUPPORTED_FEATURES`].
    #[serde(default)]
    pub required_features: Vec<String>,
    /// Who the model is.
    pub model: ModelIdentity,
    /// What the model may be used for.
    pub intended_use: IntendedUse,
    /// What the model is for, and what is done with other scans.
    #[serde(default)]
    pub scope: Scope,
    /// Every file of the package but the manifest: name, with `/` before a file in a folder → size and hash.
    pub files: BTreeMap<String, FileEntry>,
    /// How volumes are prepared for `encoder.onnx` and `classifier.onnx`.
    pub preprocessing: Preprocessing,
    /// Sizes of the vision graphs.
    pub vision: VisionSizes,
    /// Findings, in the order of the classifier's output.
    pub findings: Vec<FindingSpec>,
    /// How findings are written into the prompt.
    pub findings_text: FindingsText,
    /// Sections of a report, in the order in which they are written.
    pub sections: Vec<SectionSpec>,
    /// What the decoder is given before it writes (paper, equation 9).
    pub prompt: Vec<PromptSegment>,
    /// Sizes and special tokens of the decoder.
    pub decoder: DecoderSizes,
    /// How a report is decoded.
    pub generation: Generation,
    /// The bank of normal references.
    pub reference_bank: BankSpec,
    /// How scans that are unlike those of training are told; without it they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub familiarity: Option<FamiliaritySpec>,
    /// Optional fields that this version does not know; they are reported as warnings.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

/// Who the model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Name, such as `diffvp-demo`.
    pub id: String,
    /// Version of the model, free text.
    pub version: String,
    /// One sentence.
    #[serde(default)]
    pub description: String,
    /// Whether the weights come from training; text of an untrained model means nothing and is marked so.
    pub trained: bool,
    /// Program and version that wrote the package.
    pub created_by: String,
}

/// What the model may be used for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntendedUse {
    /// True only where a manufacturer takes that responsibility.
    pub clinical_use: bool,
    /// Printed with every report.
    pub statement: String,
}

/// What scans a model is for, and what is done with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The part of the body that a scan must show.
    #[serde(default)]
    pub body_part: BodyPart,
    /// What is done with a scan whose values cannot be Hounsfield units.
    #[serde(default)]
    pub suspicious_hu: Policy,
}

/// A part of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyPart {
    /// A scan without lungs is refused.
    #[default]
    Chest,
    /// Every scan is taken.
    Any,
}

/// What is done with a doubtful scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// A warning is added to the report.
    #[default]
    Warn,
    /// The scan is refused.
    Refuse,
}

impl Manifest {
    /// The bytes of `manifest.json`: indented JSON with a final line feed, the same for the same manifest.
    ///
    /// # Errors
    /// [`Error::Manifest`] for numbers that JSON cannot hold.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|error| Error::Manifest { detail: error.to_string() })?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Size and hash of a packaged file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl FileEntry {
    /// Size and hash of a file as it is on disk.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Read`].
    pub fn of(path: impl AsRef<Path>) -> Result<FileEntry> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|source| read_error(path, source))?;
        Ok(FileEntry { bytes: metadata.len(), sha256: sha256_file(path)? })
    }
}

/// Sizes of the vision graphs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisionSizes {
    /// Model input `[channels, slices, rows, columns]`.
    pub input: [usize; 4],
    /// n: latent tokens.
    pub tokens: usize,
    /// d: width of a token.
    pub token_dim: usize,
    /// Grid `[slices, rows, columns]` behind the attention map; its product is v.
    pub feature_grid: [usize; 3],
    /// p: prefix tokens.
    pub prefix_tokens: usize,
}

/// One finding of the classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingSpec {
    /// Name, as in the data.
    pub name: String,
    /// Probability from which the finding is taken as present; above 1 it never is.
    pub threshold: f32,
}

/// How findings become text: `prefix + names.join(separator) + suffix`, or `none`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingsText {
    /// Before the first name.
    pub prefix: String,
    /// Between names.
    pub separator: String,
    /// After the last name.
    pub suffix: String,
    /// The whole text where no finding is present.
    pub none: String,
}

/// One section of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionSpec {
    /// Region as the data spells it, such as `trachea and bronchie`.
    pub region: String,
    /// Heading as it stands in the text, without colon.
    pub heading: String,
}

/// A piece of the decoder's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum PromptSegment {
    /// A special token by its text, such as `<s>`.
    Token {
        /// The token as the tokenizer knows it.
        token: String,
    },
    /// Δ_prompt: `prefix_tokens` embeddings.
    Difference,
    /// I·W: `tokens` embeddings.
    Visual,
    /// The predicted findings E, written by `findings_text`.
    Findings,
    /// Fixed text.
    Text {
        /// The text, tokenised without special tokens.
        text: String,
    },
}

/// Sizes and special tokens of the decoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecoderSizes {
    /// d_LLM.
    pub hidden_size: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Key-value heads per layer.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Rows of the logits.
    pub vocab_size: usize,
    /// Positions of the KV cache and of the rotary tables.
    pub context_length: usize,
    /// Tokens that end a report (or, with `guided_sections`, a section).
    pub end_token_ids: Vec<u32>,
}

/// How a report is decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Free text or guided sections.
    pub form: ReportForm,
    /// Most tokens of a report.
    pub max_new_tokens: usize,
}

impl Generation {
    /// The same with other orders of guided sections; a free report has none and stays as it is.
    pub fn with_orders(mut self, wanted: &[SectionOrder]) -> Generation {
        if let ReportForm::GuidedSections { orders, .. } = &mut self.form {
            *orders = wanted.to_vec();
        }
        self
    }
}

/// The two ways to write a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ReportForm {
    /// The model writes headings and text until an end token; sections are found by their headings.
    Free,
    /// Headings are forced in order; the model writes each section until an end token or its limit.
    /// A section whose text is empty is left out of the report.
    GuidedSections {
        /// Before a heading.
        before_heading: String,
        /// After a heading.
        after_heading: String,
        /// Most tokens the model writes in one section.
        max_section_tokens: usize,
        /// Orders that the model was trained to write in; the first is the default.
        #[serde(default = "sequential", skip_serializing_if = "is_sequential")]
        orders: Vec<SectionOrder>,
    },
}

/// What a section is written after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SectionOrder {
    /// The prompt and all sections before it: one after the other.
    Sequential,
    /// The prompt alone: all at once, with one cache of keys and values. Needs a decoder whose rows can be told what they see
    /// (`required_features` names `parallel_sections`).
    Parallel,
}

impl std::fmt::Display for SectionOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SectionOrder::Sequential => "sequential",
            SectionOrder::Parallel => "parallel",
        })
    }
}

impl std::str::FromStr for SectionOrder {
    type Err = Error;

    /// `sequential` or `parallel`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "sequential" => Ok(SectionOrder::Sequential),
            "parallel" => Ok(SectionOrder::Parallel),
            _ => Err(Error::InvalidOption {
                name: "sections",
                detail: format!("{text:?} is neither sequential nor parallel"),
            }),
        }
    }
}

fn sequential() -> Vec<SectionOrder> {
    vec![SectionOrder::Sequential]
}

fn is_sequential(orders: &[SectionOrder]) -> bool {
    orders == [SectionOrder::Sequential]
}

impl ReportForm {
    /// Orders of its sections; a free report has only the order that the model chooses.
    pub fn orders(&self) -> &[SectionOrder] {
        match self {
            ReportForm::Free => &[SectionOrder::Sequential],
            ReportForm::GuidedSections { orders, .. } => orders,
        }
    }
}

/// When a scan is unlike those of training; see [`Familiarity`](super::Familiarity).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamiliaritySpec {
    /// Distance above which a report is marked; near 1 are scans like those of training.
    pub limit: f32,
}

/// The bank of normal references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankSpec {
    /// r: number of references.
    pub references: usize,
    /// SHA-256 of the `encoder.onnx` that made the tokens.
    pub encoder_sha256: String,
}
