//! The last stages of a run, and the model they leave: `fit generator`.

use std::io::Write;
use std::path::Path;

use diffvp::files::write_atomic;
use diffvp::package::manifest::{FindingSpec, IntendedUse, ModelIdentity, PromptSegment};
use diffvp_exporter::package::lineage;
use diffvp_exporter::tokenizer;
use diffvp_exporter::weights::{REFERENCE_VOLUME, RandomWeights, SafetensorsWeights, Weights, save_safetensors};
use serde_json::json;
use tch::Kind;

use super::facts::FACTS;
use super::familiarity;
use super::generator::{Example, GeneratorStage, Parts, Settings};
use super::identity::{file_identity, stage_file};
use super::prepared::Prepared;
use super::resampler_start::ResamplerStart;
use super::scans::labelled_by_text;
use super::session::{Findings, Session, WEIGHTS};
use super::text::{TextParts, Texts, training_texts};
use super::trainer::Stage;
use super::warm_up::WarmUpStage;
use crate::data::{Normals, ScanFile};
use crate::model::{Adapter, FindingsHead, Mode, Parameters, Resampler, TokensHead, flatten_features};
use crate::run::{Decoder, Description, Layers, of_decoder};
use crate::{Error, Result};

/// Folder of the adapter in a run.
const ADAPTER: &str = "adapter";

/// Parameters that only the generator stage trains.
pub(super) fn of_prompt(name: &str) -> bool {
    name.starts_with("resampler.") || name.starts_with("difference.") || name.starts_with("visual_proj.")
}

impl Session {
    pub(super) fn generator(&mut self) -> Result<()> {
        let (encoder, encoder_hash) = self.frozen_encoder()?;
        let findings = self.findings()?;
        let prepared = self.prepared().with_encoder(&encoder_hash);
        if self.group.rank == 0 {
            let encode =
                |volume: &tch::Tensor| tch::no_grad(|| flatten_features(&encoder.forward(volume, Mode::Evaluate)));
            let both: Vec<_> = self.train.iter().chain(&self.validation).cloned().collect();
            prepared.make_features(&both, self.device, encode)?;
        }
        self.group.wait()?;
        if self.config.warm_up.schedule.epochs > 0.0 {
            self.warm_up(&encoder_hash)?;
        }
        let tokenizer_json = self.tokenizer()?;
        let description = self.describe(&findings);
        let texts = Texts::new(TextParts {
            tokenizer_json: tokenizer_json.clone(),
            end_token: self.config.generator.end_token.clone(),
            prompt: description.prompt.clone(),
            findings_text: description.findings_text.clone(),
            findings: description.findings.iter().map(|f| f.name.clone()).collect(),
            sections: description.sections.clone(),
            generation: description.generation.clone(),
            rows: [self.config.model.difference.prefix_tokens, self.config.model.resampler.tokens],
        })?;
        let examples = self.examples(&texts, &findings)?;
        let (parameters, mut parts) = self.generator_parts(&prepared)?;
        parts.pixel_level = self.config.model.difference.pixel_level.then_some(encoder);
        let stage = self.config.generator.clone();
        let mut trained = GeneratorStage::new(parameters, parts, prepared, examples, Settings::of(&stage));
        let depends = json!([
            self.config.model,
            stage,
            stage.weights.as_deref().map(file_identity).transpose()?,
            encoder_hash,
            findings.thresholds,
            tokenizer_json,
            self.config.warm_up,
            self.config.generation.form
        ]);
        let kept = |name: &str| of_prompt(name) || (stage.lora.is_none() && of_decoder(name));
        self.train(&mut trained, &stage.schedule, &depends, kept)?;
        if self.group.rank == 0 {
            if let Some(lora) = &stage.lora {
                let base = stage.decoder_weights.as_ref().map(|p| p.display().to_string());
                Adapter::save(trained.parameters(), lora, &self.run.join(ADAPTER), base.as_deref())?;
            }
            self.write_json(
                "familiarity.json",
                &json!(familiarity::measure(&self.prepared(), &self.train, &self.validation)?),
            )?;
            self.assemble(&description, &tokenizer_json)?;
            self.say(&format!("{}: ready for `diffvp-train export`", self.run.display()));
        }
        self.group.wait()
    }

    fn warm_up(&mut self, encoder_hash: &str) -> Result<()> {
        let (model, stage) = (self.config.model.clone(), self.config.warm_up.clone());
        let mut p = Parameters::new(self.device);
        let prepared = self.prepared().with_encoder(encoder_hash);
        let start = ResamplerStart::new(&model, self.config.seed, prepared.feature_statistics(&self.train)?);
        p.add(&self.specs(|name| name.starts_with("resampler.")), &start, Kind::Float)?;
        let specs = TokensHead::specs(&model, stage.hidden, FACTS);
        p.add(&specs, &RandomWeights::from_specs(specs.clone(), self.config.seed), Kind::Float)?;
        p.train_only(|_| true);
        let parts = (Resampler::new(&p, &model)?, TokensHead::new(&p)?);
        let mut trained = WarmUpStage::new(p, parts, prepared, self.scans(), stage.dropout);
        let depends = json!([model.input, model.encoder, model.resampler, stage.hidden, stage.dropout, encoder_hash]);
        self.train(&mut trained, &stage.schedule, &depends, |name| name.starts_with("resampler."))
    }

    /// The tokenizer of the base model, or one trained on the reports of the training scans.
    fn tokenizer(&mut self) -> Result<String> {
        if let Some(path) = &self.config.generator.tokenizer {
            return std::fs::read_to_string(path).map_err(|e| Error::data(path, e.to_string()));
        }
        let names: Vec<String> = lineage::FINDINGS.map(String::from).to_vec();
        let fixed = [lineage::NO_FINDINGS, lineage::INSTRUCTION, lineage::FINDINGS_PREFIX].map(String::from);
        let texts = training_texts(&self.train, &lineage::sections(), &names, &fixed);
        let trained = tokenizer::train(texts, self.config.model.decoder.vocab_size)?;
        self.config.model.decoder.vocab_size = trained.vocab_size;
        Ok(trained.json)
    }

    /// What the manifest will say besides sizes.
    fn describe(&self, findings: &Findings) -> Description {
        let config = &self.config;
        let mut prompt = lineage::prompt(&config.generator.begin_token);
        prompt.retain(|segment| match segment {
            PromptSegment::Difference => config.model.difference.prefix_tokens > 0,
            PromptSegment::Findings => config.generator.findings_text,
            _ => true,
        });
        let thresholds = findings.thresholds.iter().zip(lineage::FINDINGS);
        Description {
            model: ModelIdentity {
                id: config.name.clone(),
                version: env!("CARGO_PKG_VERSION").into(),
                description: format!("Chest CT reports by DiffVP, trained on {} scans.", self.train.len()),
                trained: true,
                created_by: format!("diffvp-train {}", env!("CARGO_PKG_VERSION")),
            },
            intended_use: IntendedUse { clinical_use: false, statement: "Not for clinical use.".into() },
            preprocessing: config.preprocessing.clone(),
            findings: thresholds.map(|(&threshold, name)| FindingSpec { name: name.into(), threshold }).collect(),
            findings_text: lineage::findings_text(),
            sections: lineage::sections(),
            prompt,
            generation: config.generation.clone(),
            end_tokens: vec![config.generator.end_token.clone()],
            card_notes: self.card_notes(findings),
        }
    }

    /// Data, metrics and limits, for the model card.
    fn card_notes(&self, findings: &Findings) -> String {
        let normal = self.train.iter().filter(|s| s.normal).count();
        let from_text = match labelled_by_text(&self.train) + labelled_by_text(&self.validation) {
            0 => String::new(),
            n => format!(" The labels of {n} scans were read from their reports by rules."),
        };
        let mut notes = format!(
            "## Data\n\n{} scans for training, {normal} of them normal by {}; {} for validation.{from_text} Fingerprint of the data set's \
             tables: `{}`.\n\n## Findings on validation\n\nThresholds were chosen on the same scans, so these numbers are \
             a little too good; E is what the classifier alone predicts.\n\n| finding | precision | recall | F1 |\n|---|---|---|---|\n",
            self.train.len(),
            match self.config.normals {
                Normals::Labels => "their labels",
                Normals::Text => "their reports",
                Normals::Both => "their labels and reports",
            },
            self.validation.len(),
            self.fingerprint
        );
        let mut row =
            |name: &str, [p, r, f]: [f64; 3]| notes.push_str(&format!("| {name} | {p:.3} | {r:.3} | {f:.3} |\n"));
        for (name, numbers) in lineage::FINDINGS.iter().zip(&findings.validation) {
            row(name, *numbers);
        }
        row("all (micro)", findings.micro);
        let never: Vec<&str> = lineage::FINDINGS
            .iter()
            .zip(&findings.thresholds)
            .filter(|(_, t)| **t > 1.0)
            .map(|(name, _)| *name)
            .collect();
        notes.push_str("\n## Limits\n\n");
        if !never.is_empty() {
            notes.push_str(&format!(
                "No threshold gives these findings the least precision of {}, so the model never takes them as present: {}.\n\n",
                self.config.classifier.least_precision,
                never.join(", ")
            ));
        }
        notes.push_str("Scans unlike those of training get reports that mean nothing.\n");
        notes
    }

    fn examples(&self, texts: &Texts, findings: &Findings) -> Result<[Vec<Example>; 2]> {
        let (context, limit) = (self.config.model.decoder.context_length, texts.section_limit());
        let mut cut = 0;
        let mut all = Vec::new();
        for split in [&self.train, &self.validation] {
            let mut examples = Vec::with_capacity(split.len());
            for sample in split {
                let present = findings.present.get(&sample.name).ok_or_else(|| {
                    Error::training(format!(
                        "{}: the classifier stage did not see this scan: run it again",
                        sample.name
                    ))
                })?;
                let sequences = texts.sequences(sample, present)?;
                let rows = sequences.iter().map(|s| s.rows.len()).max().unwrap_or(0);
                if rows > context {
                    return Err(Error::training(format!(
                        "{}: prompt and report take {rows} rows, and model.decoder.context_length is {context}",
                        sample.name
                    )));
                }
                let longest = sequences[0].longest_section(texts.end());
                cut += usize::from(limit.is_some_and(|limit| longest > limit));
                examples.push((sample.clone(), sequences));
            }
            all.push(examples);
        }
        if cut > 0 {
            self.say(&format!(
                "warning: {cut} reports have a section longer than generation's max_section_tokens; decoding will cut such sections"
            ));
        }
        let validation = all.pop().unwrap_or_default();
        Ok([all.pop().unwrap_or_default(), validation])
    }

    fn generator_parts(&self, prepared: &Prepared) -> Result<(Parameters, Parts)> {
        let (model, stage) = (&self.config.model, &self.config.generator);
        let random = RandomWeights::new(model, self.config.seed);
        let mut p = Parameters::new(self.device);
        if model.difference.pixel_level {
            // The package compares with one scan, training with another one at each visit.
            let normal: Vec<_> = self.train.iter().filter(|sample| sample.normal).take(1).collect();
            p.add(&self.specs(|name| name == REFERENCE_VOLUME), &random, Kind::Float)?;
            p.set(REFERENCE_VOLUME, &prepared.volumes(&normal).read(self.device)?.squeeze_dim(0))?;
        }
        let starts = |name: &str| of_prompt(name) && name != REFERENCE_VOLUME;
        let start = stage.weights.as_ref().map(SafetensorsWeights::open).transpose()?;
        let begin = start.as_ref().map_or(&random as &dyn Weights, |weights| weights);
        if self.config.warm_up.schedule.epochs > 0.0 {
            let warm = self.run.join("warm_up").join(WEIGHTS);
            stage_file(&warm, "fit generator")?;
            p.add(&self.specs(starts), begin, Kind::Float)?;
            p.add(&self.specs(|n| n.starts_with("resampler.")), &SafetensorsWeights::open(&warm)?, Kind::Float)?;
        } else if start.is_some() {
            p.add(&self.specs(starts), begin, Kind::Float)?;
        } else {
            let features = prepared.feature_statistics(&self.train)?;
            p.add(&self.specs(starts), &ResamplerStart::new(model, self.config.seed, features), Kind::Float)?;
        }
        let specs = FindingsHead::specs(model);
        p.add(&specs, &RandomWeights::from_specs(specs.clone(), self.config.seed), Kind::Float)?;
        match &stage.decoder_weights {
            Some(path) => p.add(&self.specs(of_decoder), &SafetensorsWeights::open(path)?, stage.precision.kind())?,
            None => p.add(&self.specs(of_decoder), &random, stage.precision.kind())?,
        }
        if let Some(lora) = &stage.lora {
            let specs = lora.specs(&model.decoder)?;
            p.add(&specs, &RandomWeights::from_specs(specs.clone(), self.config.seed), Kind::Float)?;
        }
        p.train_only(|name| name != REFERENCE_VOLUME && (stage.lora.is_none() || !of_decoder(name)));
        let parts = Parts::new(&p, model, stage.lora.as_ref())?;
        Ok((p, parts))
    }

    /// Puts the stages' weights and texts where export looks for them.
    fn assemble(&self, description: &Description, tokenizer_json: &str) -> Result<()> {
        let stage = &self.config.generator;
        let open = |stage: &str| SafetensorsWeights::open(self.run.join(stage).join(WEIGHTS));
        let layers = Layers::new([open("encoder")?, open("classifier")?, open("generator")?]);
        let external = stage.lora.is_some();
        let specs = self.specs(|name| !(external && of_decoder(name)));
        save_safetensors(&self.run.join(WEIGHTS), &specs, &layers as &dyn Weights, &Default::default())?;
        if external {
            let decoder = match &stage.decoder_weights {
                Some(path) => Decoder::Files(path.canonicalize().unwrap_or_else(|_| path.clone())),
                None => Decoder::Random(self.config.seed),
            };
            self.write_json("decoder.json", &json!({"weights": decoder, "adapter": ADAPTER}))?;
        }
        self.write_json("references.json", &json!(self.bank_references()))?;
        self.write_json("description.json", &json!(description))?;
        self.write(Path::new("tokenizer.json"), tokenizer_json)?;
        // Last: a folder without it is not taken for a run.
        self.write(Path::new("config.json"), &self.config.model.to_json())
    }

    /// Normal training scans, evenly spread over the data set.
    fn bank_references(&self) -> Vec<ScanFile> {
        let normal: Vec<_> = self.train.iter().filter(|sample| sample.normal).collect();
        let count = self.config.generator.bank_references.min(normal.len());
        (0..count).map(|i| normal[i * normal.len() / count].file()).collect()
    }

    fn write_json(&self, name: &str, value: &serde_json::Value) -> Result<()> {
        self.write(Path::new(name), &format!("{value:#}"))
    }

    fn write(&self, name: &Path, text: &str) -> Result<()> {
        Ok(write_atomic(self.run.join(name), |out| out.write_all(text.as_bytes()))?)
    }
}
