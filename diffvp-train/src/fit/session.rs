//! A run folder and the stages in it, in their order.
//!
//! | file | what |
//! |---|---|
//! | `fit.toml` | the config |
//! | `fit.json` | what the run was made with: data set, revision of the program |
//! | `{stage}/checkpoint.safetensors` | where a stage goes on with `--resume` |
//! | `{stage}/metrics.jsonl`, `{stage}/events.out.tfevents.*` | what it told |
//! | `{stage}/weights.safetensors` | what it left |
//! | `classifier/findings.json` | thresholds, their scores on validation, and the findings taken as present in each scan |
//! | all others | the model, as [`crate::run`] reads it |

use std::io::Write;
use std::path::{Path, PathBuf};

use diffvp::files::{sha256, write_atomic};
use diffvp_exporter::weights::{RandomWeights, TensorSpec, Weights, tensor_specs};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Device, Kind};

use super::classifier::{self, ClassifierStage};
use super::config::{FitConfig, Precision};
use super::encoder::{self, EncoderStage};
use super::identity::{file_identity, git_revision, stage_file};
use super::parallel::Group;
use super::prepared::{Masks, Prepared};
use super::scans::{Scans, labelled_by_text};
use super::schedule::Schedule;
use super::start::{Backbone, FINDINGS_HEAD};
use super::thresholds::{self, Scores};
use super::trainer::{self, Stage};
use super::{describe, tensors};
use crate::data::Sample;
use crate::model::{CellHead, Classifier, Parameters, ResNet3d};
use crate::synth::ORGAN_CLASSES;
use crate::{Error, Result};

/// File of what a stage leaves.
pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const FINDINGS: &str = "classifier/findings.json";

/// What a run is started with.
#[derive(Debug, Clone)]
pub struct FitRequest {
    /// The config.
    pub config: FitConfig,
    /// Folder of the data set.
    pub data: PathBuf,
    /// Run folder.
    pub run: PathBuf,
    /// Folder of prepared volumes and features; `{run}/cache` without one.
    pub cache: Option<PathBuf>,
    /// Whether to train on a GPU.
    pub cuda: bool,
    /// Threads of libtorch in each process; 0 for all cores, shared among the processes of this machine, or beside a GPU one.
    pub threads: usize,
    /// Processes on this machine.
    pub processes: usize,
    /// Whether to go on from checkpoints.
    pub resume: bool,
    /// Whether scans that cannot be read are left out, and listed, rather than an error.
    pub skip_bad: bool,
}

/// Stages by their subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stages {
    /// `fit encoder`.
    Encoder,
    /// `fit classifier`.
    Classifier,
    /// `fit generator`.
    Generator,
    /// `fit all`.
    All,
}

/// A run in progress.
pub(super) struct Session {
    pub(super) config: FitConfig,
    pub(super) run: PathBuf,
    pub(super) cache: PathBuf,
    pub(super) device: Device,
    pub(super) group: Group,
    pub(super) resume: bool,
    pub(super) fingerprint: String,
    pub(super) train: Vec<Sample>,
    pub(super) validation: Vec<Sample>,
}

/// The classifier's thresholds and what it finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Findings {
    /// One for each finding.
    pub(super) thresholds: Vec<f32>,
    /// Precision, recall and F1 on validation of each finding.
    pub(super) validation: Vec<[f64; 3]>,
    /// The same over all findings.
    pub(super) micro: [f64; 3],
    /// Whether each finding is taken as present, by the scan's name.
    pub(super) present: std::collections::BTreeMap<String, Vec<bool>>,
}

/// Trains stages of a run.
///
/// # Errors
/// Those of config, data set, cache, checkpoints and training; what was complete before stays.
pub fn fit(request: FitRequest, stages: Stages) -> Result<()> {
    let mut session = Session::open(request)?;
    if matches!(stages, Stages::Encoder | Stages::All) {
        session.encoder()?;
    }
    if matches!(stages, Stages::Classifier | Stages::All) {
        session.classifier()?;
    }
    if matches!(stages, Stages::Generator | Stages::All) {
        session.generator()?;
    }
    Ok(())
}

impl Session {
    fn open(request: FitRequest) -> Result<Self> {
        let mut group = Group::join(request.processes)?;
        let device = group.device(request.cuda)?;
        if request.threads > 0 || (group.size > 1 && !request.cuda) {
            let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
            let threads = if request.threads > 0 { request.threads } else { (cores / group.size).max(1) };
            tch::set_num_threads(threads as i32);
        }
        let scans = Scans::open(&request.data, &request.config, request.skip_bad)?;
        if group.rank == 0 {
            scans.skipped.iter().for_each(|skipped| eprintln!("skipped: {skipped}"));
        }
        let cache = request.cache.clone().unwrap_or_else(|| request.run.join("cache"));
        let mut session = Session {
            config: request.config,
            run: request.run,
            cache,
            device,
            resume: request.resume,
            fingerprint: scans.fingerprint,
            train: scans.train,
            validation: scans.validation,
            group: Group::alone(),
        };
        if group.rank == 0 {
            session.claim()?;
        }
        // The others find the cache ready.
        for rank in [true, false] {
            if rank == (group.rank == 0) {
                session.prepare(request.skip_bad, rank)?;
            }
            group.wait()?;
        }
        session.group = group;
        Ok(session)
    }

    /// The run folder belongs to this config from now on.
    fn claim(&self) -> Result<()> {
        let write = |path: PathBuf, text: String| write_atomic(path, |out| out.write_all(text.as_bytes()));
        let (config_file, text) = (self.run.join("fit.toml"), describe::to_toml(&self.config));
        if let Ok(old) = std::fs::read_to_string(&config_file)
            && FitConfig::parse(&old).ok().as_ref() != Some(&self.config)
            && !self.resume
        {
            let detail = "it was made with another config; name a new run folder, or give --resume to go on with the stages \
                          that the change leaves valid";
            return Err(Error::RunFolder { path: config_file, detail: detail.into() });
        }
        std::fs::create_dir_all(&self.run).map_err(|source| diffvp::Error::Write { path: self.run.clone(), source })?;
        write(config_file, text)?;
        let about = json!({
            "program": format!("diffvp-train {}", env!("CARGO_PKG_VERSION")),
            "git_revision": git_revision(),
            "data_fingerprint": self.fingerprint,
            "training_scans": self.train.len(),
            "validation_scans": self.validation.len(),
            "normal_training_scans": self.train.iter().filter(|s| s.normal).count(),
            "normal_by": self.config.normals,
            "labelled_by_text": labelled_by_text(&self.train) + labelled_by_text(&self.validation),
            "device": format!("{:?}", self.device),
            "threads": tch::get_num_threads(),
        });
        Ok(write(self.run.join("fit.json"), format!("{about:#}"))?)
    }

    fn prepare(&mut self, skip_bad: bool, show: bool) -> Result<()> {
        let masks = Masks {
            organs: self.config.encoder.schedule.epochs > 0.0,
            findings: (self.config.classifier.schedule.epochs > 0.0 && self.config.classifier.mask_weight > 0.0)
                || (self.config.encoder.schedule.epochs > 0.0 && self.config.encoder.finding_weight > 0.0),
        };
        let prepared = self.prepared();
        for split in [&mut self.train, &mut self.validation] {
            let (good, bad) = prepared.prepare(std::mem::take(split), masks, show)?;
            *split = good;
            if let Some(first) = bad.first() {
                if !skip_bad {
                    let more = bad.len() - 1;
                    return Err(Error::training(format!(
                        "{first}{}; --skip-bad leaves such scans out and lists them",
                        if more > 0 { format!(", and {more} scans more cannot be used") } else { String::new() }
                    )));
                }
                if show {
                    eprintln!("skipped {} scans:", bad.len());
                    bad.iter().for_each(|error| eprintln!("  {error}"));
                }
            }
        }
        if self.train.is_empty() || self.validation.is_empty() || !self.train.iter().any(|s| s.normal) {
            return Err(Error::training("no training scan, no validation scan or no normal training scan is left"));
        }
        Ok(())
    }

    pub(super) fn prepared(&self) -> Prepared {
        Prepared::new(&self.cache, &self.config.preprocessing, self.config.spacing_mm, &self.config.model)
    }

    pub(super) fn scans(&self) -> [Vec<Sample>; 2] {
        [self.train.clone(), self.validation.clone()]
    }

    pub(super) fn specs(&self, of: impl Fn(&str) -> bool) -> Vec<TensorSpec> {
        tensor_specs(&self.config.model).into_iter().filter(|spec| of(&spec.name)).collect()
    }

    pub(super) fn say(&self, text: &str) {
        if self.group.rank == 0 {
            eprintln!("{text}");
        }
    }

    /// Start weights of a backbone: a file's where there is one, else random.
    fn add_backbone(&self, p: &mut Parameters, prefix: &str, file: Option<&Path>) -> Result<()> {
        let random = RandomWeights::new(&self.config.model, self.config.seed);
        let specs = self.specs(|name| name.starts_with(&format!("{prefix}.")));
        let Some(file) = file else { return p.add(&specs, &random, Kind::Float) };
        let backbone = Backbone::open(file, prefix)?;
        let (covered, rest): (Vec<_>, Vec<_>) = specs.into_iter().partition(|spec| backbone.covers(spec));
        self.say(&format!("{prefix}: {} start weights from {}", covered.len(), file.display()));
        p.add(&covered, &backbone, Kind::Float)?;
        p.add(&rest, &random, Kind::Float)
    }

    /// Runs a stage in its folder, and leaves what `keep` names there. `parts` is what the result depends on beside seed,
    /// preprocessing, schedule and data: a change of anything else leaves a checkpoint valid.
    pub(super) fn train(
        &mut self,
        stage: &mut dyn Stage,
        schedule: &Schedule,
        parts: &serde_json::Value,
        keep: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let folder = self.run.join(stage.name());
        let volumes = json!([self.fingerprint, self.config.spacing_mm]);
        let all = json!([self.config.seed, self.config.preprocessing, schedule, volumes, parts]);
        let belongs_to = sha256(all.to_string().as_bytes());
        let run = trainer::Run {
            folder: &folder,
            schedule,
            seed: self.config.seed,
            resume: self.resume,
            belongs_to: &belongs_to,
        };
        trainer::train(stage, &run, &mut self.group)?;
        if self.group.rank == 0 {
            let kept = stage.parameters();
            tensors::write(&folder.join(WEIGHTS), kept.iter().filter(|(name, _)| keep(name)), &Default::default())?;
        }
        self.group.wait()
    }

    fn encoder(&mut self) -> Result<()> {
        let (model, stage) = (self.config.model.clone(), self.config.encoder.clone());
        let mut p = Parameters::new(self.device);
        self.add_backbone(&mut p, "encoder", stage.weights.as_deref())?;
        let specs = CellHead::specs(&model, ORGAN_CLASSES);
        p.add(&specs, &RandomWeights::from_specs(specs.clone(), self.config.seed), Kind::Float)?;
        let finds = stage.finding_weight > 0.0;
        p.train_only(|name| finds || !name.starts_with(FINDINGS_HEAD));
        let parts = (ResNet3d::new(&p, "encoder", &model.encoder, stage.precision.kind())?, CellHead::new(&p)?);
        let weights = encoder::Weights { appearance: stage.appearance_weight, findings: stage.finding_weight };
        let mut trained = EncoderStage::new(p, parts, self.prepared(), self.scans(), weights);
        let depends = json!([
            model.input,
            model.encoder,
            stage.weights,
            stage.precision,
            stage.appearance_weight,
            stage.finding_weight
        ]);
        self.train(&mut trained, &stage.schedule, &depends, |name| {
            name.starts_with("encoder.") || (finds && name.starts_with(FINDINGS_HEAD))
        })
    }

    fn classifier(&mut self) -> Result<()> {
        let (model, stage) = (self.config.model.clone(), self.config.classifier.clone());
        let encoder = self.run.join("encoder").join(WEIGHTS);
        let file = if stage.start_from_encoder { Some(encoder) } else { stage.weights.clone() };
        let mut p = Parameters::new(self.device);
        self.add_backbone(&mut p, "classifier", file.as_deref())?;
        p.train_only(|_| true);
        let start = file.as_deref().map(file_identity).transpose()?;
        let network = Classifier::new(&p, &model, stage.precision.kind())?;
        let settings = classifier::Settings {
            shift_voxels: stage.shift_voxels,
            intensity_jitter: stage.intensity_jitter,
            mask_weight: stage.mask_weight,
        };
        let mut trained = ClassifierStage::new(p, network, self.prepared(), self.scans(), settings);
        let depends = json!([
            model.input,
            model.classifier,
            start,
            stage.precision,
            stage.shift_voxels,
            stage.intensity_jitter,
            stage.mask_weight
        ]);
        self.train(&mut trained, &stage.schedule, &depends, |name| name.starts_with("classifier."))?;
        if self.group.rank == 0 {
            self.choose_findings(&trained, stage.least_precision)?;
        }
        self.group.wait()
    }

    /// Thresholds on validation, and E of every scan.
    fn choose_findings(&self, trained: &ClassifierStage, least_precision: f64) -> Result<()> {
        let probabilities = trained.probabilities(&self.validation)?;
        let truth: Vec<Vec<u8>> = self.validation.iter().map(|s| s.labels.clone()).collect();
        let thresholds = thresholds::choose(&probabilities, &truth, least_precision);
        let numbers = |s: Scores| [s.precision(), s.recall(), s.f1()];
        let micro = numbers(thresholds::scores(&probabilities, &truth, &thresholds));
        let validation = thresholds::per_label(&probabilities, &truth, &thresholds).into_iter().map(numbers).collect();
        let mut present = std::collections::BTreeMap::new();
        let all: Vec<(&Sample, Vec<f32>)> = self
            .train
            .iter()
            .zip(trained.probabilities(&self.train)?)
            .chain(self.validation.iter().zip(probabilities))
            .collect();
        for (sample, p) in all {
            present.insert(sample.name.clone(), p.iter().zip(&thresholds).map(|(p, t)| p >= t).collect());
        }
        self.say(&format!(
            "classifier: validation micro precision {:.3}, recall {:.3}, F1 {:.3}",
            micro[0], micro[1], micro[2]
        ));
        let findings = Findings { thresholds, validation, micro, present };
        let json = serde_json::to_string(&findings).map_err(|e| Error::training(e.to_string()))?;
        Ok(write_atomic(self.run.join(FINDINGS), |out| out.write_all(json.as_bytes()))?)
    }

    /// The frozen encoder, from what its stage left, and the hash of its weights.
    pub(super) fn frozen_encoder(&self) -> Result<(ResNet3d, String)> {
        let path = self.run.join("encoder").join(WEIGHTS);
        let hash = stage_file(&path, "fit encoder")?;
        let mut p = Parameters::new(self.device);
        let specs = self.specs(|name| name.starts_with("encoder."));
        p.add(&specs, &diffvp_exporter::weights::SafetensorsWeights::open(&path)? as &dyn Weights, Kind::Float)?;
        let precision = if self.device.is_cuda() { self.config.encoder.precision } else { Precision::F32 };
        Ok((ResNet3d::new(&p, "encoder", &self.config.model.encoder, precision.kind())?, hash))
    }

    pub(super) fn findings(&self) -> Result<Findings> {
        let path = self.run.join(FINDINGS);
        stage_file(&path, "fit classifier")?;
        let text = std::fs::read(&path).map_err(|e| Error::RunFolder { path: path.clone(), detail: e.to_string() })?;
        serde_json::from_slice(&text).map_err(|e| Error::RunFolder { path, detail: e.to_string() })
    }
}
