//! The training config: one TOML file for all stages.

use std::path::{Path, PathBuf};

use diffvp::package::manifest::Generation;
use diffvp::volume::Preprocessing;
use diffvp_exporter::ModelConfig;
use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use crate::adapter::LoraConfig;
use crate::data::Normals;
use crate::{Error, Result};

/// Everything that a run is made with. [`describe`](super::describe) has a sentence on each field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in describe.rs, which writes the comments of the config file")]
pub struct FitConfig {
    pub name: String,
    pub seed: u64,
    pub validation_fraction: f64,
    #[serde(default)]
    pub normals: Normals,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing_mm: Option<[f64; 3]>,
    pub encoder: EncoderStage,
    pub classifier: ClassifierStage,
    pub warm_up: WarmUpStage,
    pub generator: GeneratorStage,
    pub generation: Generation,
    pub preprocessing: Preprocessing,
    pub model: ModelConfig,
}

/// `fit encoder`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in describe.rs")]
pub struct EncoderStage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    pub precision: Precision,
    pub appearance_weight: f64,
    #[serde(default)]
    pub finding_weight: f64,
    pub schedule: Schedule,
}

/// `fit classifier`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in describe.rs")]
pub struct ClassifierStage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    pub start_from_encoder: bool,
    pub precision: Precision,
    pub shift_voxels: [usize; 3],
    pub intensity_jitter: f64,
    pub mask_weight: f64,
    pub least_precision: f64,
    pub schedule: Schedule,
}

/// The warm-up of the resampler in `fit generator`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in describe.rs")]
pub struct WarmUpStage {
    pub hidden: usize,
    #[serde(default)]
    pub dropout: f64,
    pub schedule: Schedule,
}

/// `fit generator`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in describe.rs")]
pub struct GeneratorStage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_weights: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    pub begin_token: String,
    pub end_token: String,
    pub precision: Precision,
    pub recompute_layers: bool,
    pub findings_text: bool,
    pub references: References,
    pub bank_references: usize,
    pub findings_loss_weight: f64,
    pub resampler_rate: f64,
    pub schedule: Schedule,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

/// Number type of the heavy part of a stage; what an optimizer changes is always float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    F32,
    /// bfloat16.
    Bf16,
}

impl Precision {
    /// libtorch's name for it.
    pub fn kind(self) -> tch::Kind {
        match self {
            Precision::F32 => tch::Kind::Float,
            Precision::Bf16 => tch::Kind::BFloat16,
        }
    }
}

/// What a scan is compared with in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum References {
    /// A normal training scan drawn at random, another at each visit (the paper).
    Normal,
    /// Any training scan, normal or not: the contaminated pool.
    Any,
}

impl FitConfig {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// [`Error::Training`] naming the file and the field: unknown keys, wrong types, values that cannot be used.
    pub fn open(path: &Path) -> Result<FitConfig> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::training(format!("{}: {e}", path.display())))?;
        let config = FitConfig::parse(&text).map_err(|e| Error::training(format!("{}: {e}", path.display())))?;
        Ok(config)
    }

    /// Reads and checks TOML.
    ///
    /// # Errors
    /// As [`FitConfig::open`].
    pub fn parse(text: &str) -> Result<FitConfig> {
        let config: FitConfig = toml::from_str(text).map_err(|e| Error::training(e.to_string()))?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.preprocessing.validate()?;
        let field = |name: &str, detail: String| Err(Error::training(format!("{name} {detail}")));
        let (channels, takes) = (self.preprocessing.channels, self.model.encoder.in_channels);
        if channels != takes {
            return field("preprocessing.channels", format!("is {channels}, and model.encoder.in_channels {takes}"));
        }
        if !(0.0..1.0).contains(&self.validation_fraction) {
            return field("validation_fraction", format!("is {}, expected 0 to below 1", self.validation_fraction));
        }
        if self.spacing_mm.is_some_and(|mm| !mm.iter().all(|s| s.is_finite() && *s > 0.0)) {
            return field("spacing_mm", format!("is {:?}, expected three positive numbers", self.spacing_mm));
        }
        for (name, value) in [
            ("encoder.appearance_weight", self.encoder.appearance_weight),
            ("classifier.intensity_jitter", self.classifier.intensity_jitter),
            ("classifier.mask_weight", self.classifier.mask_weight),
            ("classifier.least_precision", self.classifier.least_precision),
            ("encoder.finding_weight", self.encoder.finding_weight),
            ("generator.findings_loss_weight", self.generator.findings_loss_weight),
            ("generator.resampler_rate", self.generator.resampler_rate),
        ] {
            if !value.is_finite() || value < 0.0 {
                return field(name, format!("is {value}, expected 0 or more"));
            }
        }
        if self.classifier.start_from_encoder && self.model.classifier.backbone != self.model.encoder {
            return field(
                "classifier.start_from_encoder",
                "needs model.classifier.backbone equal to model.encoder".into(),
            );
        }
        if self.model.classifier.labels != crate::labels::FINDINGS.len() {
            return field("model.classifier.labels", format!("must be {}", crate::labels::FINDINGS.len()));
        }
        if self.generator.tokenizer.is_some() != self.generator.decoder_weights.is_some() {
            return field("generator.tokenizer", "and generator.decoder_weights come together, or not at all".into());
        }
        if self.generator.precision == Precision::Bf16 && self.generator.lora.is_none() {
            return field(
                "generator.precision",
                "bf16 is for a frozen decoder: it needs the table [generator.lora]".into(),
            );
        }
        let (most, context) = (self.generation.max_new_tokens, self.model.decoder.context_length);
        if most == 0 || most > context {
            let detail = format!("is {most}, expected 1 to {context}, which is model.decoder.context_length");
            return field("generation.max_new_tokens", detail);
        }
        if self.generator.bank_references == 0 {
            return field("generator.bank_references", "is 0: a package needs a normal reference".into());
        }
        if !(0.0..1.0).contains(&self.warm_up.dropout) {
            return field("warm_up.dropout", format!("is {}, expected 0 to less than 1", self.warm_up.dropout));
        }
        if self.warm_up.hidden == 0 {
            return field("warm_up.hidden", "is 0, expected at least 1".into());
        }
        for (stage, schedule) in self.schedules() {
            schedule.validate(stage)?;
        }
        Ok(())
    }

    /// The schedules with the stages they belong to.
    pub fn schedules(&self) -> [(&'static str, &Schedule); 4] {
        [
            ("encoder", &self.encoder.schedule),
            ("classifier", &self.classifier.schedule),
            ("warm_up", &self.warm_up.schedule),
            ("generator", &self.generator.schedule),
        ]
    }
}
