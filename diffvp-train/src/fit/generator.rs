//! `fit generator`: resampler, difference and decoder on L_gen + L_cls (paper, equations 10 and 11).

use diffvp_exporter::ModelConfig;
use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::classifier::labels;
use super::config::{self, References};
use super::order;
use super::prepared::Prepared;
use super::reading::{Wanted, each};
use super::text::{Row, Sequence};
use super::trainer::{MicroBatch, Stage, told};
use crate::Result;
use crate::data::Sample;
use crate::model::{
    Branches, Contrast, Difference, FindingsHead, Llama, LoraConfig, Mode, Parameters, ResNet3d, Resampler, TextLoss,
    flatten_features,
};

/// A scan with its sequences, one for each order of its sections.
pub(super) type Example = (Sample, Vec<Sequence>);

/// The parts that the stage trains.
pub(super) struct Parts {
    /// Features → tokens.
    pub(super) resampler: Resampler,
    /// Tokens → prompt.
    pub(super) difference: Difference,
    /// The auxiliary head.
    pub(super) head: FindingsHead,
    /// The decoder.
    pub(super) decoder: Llama,
    /// The frozen encoder, where scans are compared at pixel level.
    pub(super) pixel_level: Option<ResNet3d>,
}

impl Parts {
    /// From their parameters, for scans that are compared as tokens.
    ///
    /// # Errors
    /// Where one is missing.
    pub(super) fn new(p: &Parameters, model: &ModelConfig, lora: Option<&LoraConfig>) -> Result<Self> {
        Ok(Parts {
            resampler: Resampler::new(p, model)?,
            difference: Difference::new(p, model)?,
            head: FindingsHead::new(p)?,
            decoder: Llama::new(p, &model.decoder, lora)?,
            pixel_level: None,
        })
    }

    /// Tokens I `[b, n, d]` of scans and their comparison, from what [`GeneratorStage::files`] names.
    fn compare(&self, scans: i64, read: &[Tensor]) -> (Tensor, Contrast) {
        let halves = |both: &Tensor| (both.narrow(0, 0, scans), both.narrow(0, scans, scans));
        let Some(encoder) = &self.pixel_level else {
            let (target, reference) = halves(&self.resampler.forward(&read[0]));
            let contrast = self.difference.forward(&target, &reference);
            return (target, contrast);
        };
        let (own, reference) = halves(&read[1]);
        let features = tch::no_grad(|| flatten_features(&encoder.forward(&(own - reference), Mode::Evaluate)));
        let (target, delta) = halves(&self.resampler.forward(&Tensor::cat(&[&read[0], &features], 0)));
        let both = Tensor::cat(&[&target, &delta], -1);
        let contrast = self.difference.forward(&both, &both);
        (target, contrast)
    }
}

/// Settings of the stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// What a scan is compared with.
    pub(super) references: References,
    /// Weight of L_cls.
    pub(super) findings_loss_weight: f64,
    /// Learning rate of the resampler over the others'.
    pub(super) resampler_rate: f64,
    /// Whether layers are computed again for the gradient.
    pub(super) recompute_layers: bool,
}

impl Settings {
    /// Those of a config.
    pub(super) fn of(stage: &config::GeneratorStage) -> Self {
        Settings {
            references: stage.references,
            findings_loss_weight: stage.findings_loss_weight,
            resampler_rate: stage.resampler_rate,
            recompute_layers: stage.recompute_layers,
        }
    }
}

/// The stage.
pub(super) struct GeneratorStage {
    parameters: Parameters,
    parts: Parts,
    prepared: Prepared,
    train: Vec<Example>,
    validation: Vec<Example>,
    settings: Settings,
}

/// What a forward pass up to the decoder gives.
struct Prompted {
    /// X_in and the report's tokens `[b, t, d_llm]`.
    embeddings: Tensor,
    branches: Option<Branches>,
    loss: TextLoss,
    /// BCE of the auxiliary head, summed over scans.
    findings: Tensor,
}

impl GeneratorStage {
    /// From parameters, of which those to train require a gradient, and scans with features.
    pub(super) fn new(
        parameters: Parameters,
        parts: Parts,
        prepared: Prepared,
        [train, validation]: [Vec<Example>; 2],
        settings: Settings,
    ) -> Self {
        GeneratorStage { parameters, parts, prepared, train, validation, settings }
    }

    /// The reference of each scan. Those of training are for training and validation alike: test scans never are.
    fn references<'s>(&'s self, examples: &[&'s Example], seed: u64) -> Vec<&'s Sample> {
        let any = self.settings.references == References::Any;
        let pool: Vec<&Sample> = self.train.iter().map(|e| &e.0).filter(|s| any || s.normal).collect();
        let mut generator = order::generator(seed, 0, 2);
        let draw = |(sample, _): &&'s Example| {
            let drawn = pool[generator.random_range(0..pool.len())];
            // A normal scan compared with itself would teach that no difference is normal.
            if drawn.name == sample.name { pool[generator.random_range(0..pool.len())] } else { drawn }
        };
        examples.iter().map(draw).collect()
    }

    /// Features of the scans, and then of their references; for a comparison at pixel level features of the scans, and volumes of
    /// both.
    fn files(&self, examples: &[&Example], seed: u64) -> Vec<Wanted> {
        let references = self.references(examples, seed);
        let both: Vec<&Sample> = examples.iter().map(|e| &e.0).chain(references).collect();
        if self.parts.pixel_level.is_some() {
            return vec![self.prepared.features(&both[..examples.len()]), self.prepared.volumes(&both)];
        }
        vec![self.prepared.features(&both)]
    }

    /// The order in which the sections of each scan are written, another one at each visit.
    fn orders<'s>(&self, examples: &[&'s Example], seed: u64) -> Vec<&'s Sequence> {
        let mut generator = order::generator(seed, 0, 5);
        examples.iter().map(|(_, sequences)| &sequences[generator.random_range(0..sequences.len())]).collect()
    }

    fn prompt(&self, examples: &[&Example], sequences: &[&Sequence], read: &[Tensor]) -> Prompted {
        let samples: Vec<&Sample> = examples.iter().map(|e| &e.0).collect();
        let labels = labels(&samples).to_device(self.parameters.device());
        let (target, contrast) = self.parts.compare(samples.len() as i64, read);
        let logits = self.parts.head.forward(&target, &contrast);
        let findings = crate::model::findings_loss(&logits, &labels);
        let (embeddings, loss) = splice(&self.parts.decoder, sequences, &contrast);
        let branches = branches(sequences, embeddings.device());
        Prompted { embeddings, branches, loss, findings }
    }
}

/// Tokens that are asked for, as many in any order.
fn targets((_, sequences): &Example) -> usize {
    sequences[0].targets.len()
}

/// Rows of X_in and of the reports, padded behind, and where the loss is taken.
fn splice(decoder: &Llama, sequences: &[&Sequence], contrast: &Contrast) -> (Tensor, TextLoss) {
    let device = contrast.visual.device();
    let width = sequences.iter().map(|s| s.rows.len()).max().unwrap_or(0);
    let (p, n) = (contrast.prefix.size()[1] as usize, contrast.visual.size()[1] as usize);
    let b = sequences.len();
    let mut ids: Vec<i64> = vec![0];
    let mut places = vec![Place::Padding; b * width];
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for (i, sequence) in sequences.iter().enumerate() {
        for (t, row) in sequence.rows.iter().enumerate() {
            places[i * width + t] = match *row {
                Row::Token(id) => {
                    ids.push(i64::from(id));
                    Place::Text(ids.len() - 1)
                }
                Row::Prefix(at) => Place::Prefix(i * p + at),
                Row::Visual(at) => Place::Visual(i * n + at),
            };
        }
        for &(position, token) in &sequence.targets {
            rows.push((i * width + position) as i64);
            targets.push(i64::from(token));
        }
    }
    let index: Vec<i64> = places
        .iter()
        .map(|place| match *place {
            Place::Padding => 0,
            Place::Text(at) => at as i64,
            Place::Prefix(at) => (ids.len() + at) as i64,
            Place::Visual(at) => (ids.len() + b * p + at) as i64,
        })
        .collect();
    let to = |values: &[i64]| Tensor::from_slice(values).to_device(device);
    let text = decoder.embed(&to(&ids)).to_kind(Kind::Float);
    let all = Tensor::cat(&[text, contrast.prefix.flatten(0, 1), contrast.visual.flatten(0, 1)], 0);
    let d = all.size()[1];
    let embeddings = all.index_select(0, &to(&index)).view([b as i64, width as i64, d]);
    (embeddings, TextLoss { rows: to(&rows), targets: to(&targets) })
}

/// Positions and sight of the rows of sequences, padded behind; nothing where all are in line.
fn branches(sequences: &[&Sequence], device: Device) -> Option<Branches> {
    if sequences.iter().all(|s| s.branches.is_empty()) {
        return None;
    }
    let width = sequences.iter().map(|s| s.rows.len()).max().unwrap_or(0);
    let mut positions: Vec<i64> = Vec::with_capacity(sequences.len() * width);
    // 0 is the prompt, which all see; a sequence in line is nothing but prompt, and so are rows of padding.
    let mut section: Vec<i64> = Vec::with_capacity(sequences.len() * width);
    for sequence in sequences {
        let prompt = sequence.branches.first().copied().unwrap_or(width);
        for row in 0..width {
            let at = sequence.branches.partition_point(|begin| *begin <= row);
            let begin = if at == 0 { 0 } else { sequence.branches[at - 1] - prompt };
            positions.push((row - begin) as i64);
            section.push(at as i64);
        }
    }
    let shape = [sequences.len() as i64, width as i64];
    let to = |values: &[i64]| Tensor::from_slice(values).view(shape).to_device(device);
    let section = to(&section);
    let (row, column) = (section.unsqueeze(2), section.unsqueeze(1));
    let sees = row.eq_tensor(&column).logical_or(&column.eq(0)).tril(0).unsqueeze(1);
    Some(Branches { positions: to(&positions), sees })
}

#[derive(Clone, Copy)]
enum Place {
    Padding,
    Text(usize),
    Prefix(usize),
    Visual(usize),
}

impl Stage for GeneratorStage {
    fn name(&self) -> &'static str {
        "generator"
    }

    fn samples(&self) -> usize {
        self.train.len()
    }

    fn parameters(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn rate(&self, parameter: &str) -> f64 {
        if parameter.starts_with("resampler.") { self.settings.resampler_rate } else { 1.0 }
    }

    fn wanted(&self, part: &MicroBatch<'_>) -> Vec<Wanted> {
        self.files(&part.scans.iter().map(|&i| &self.train[i]).collect::<Vec<_>>(), part.seed)
    }

    fn micro_batch(&mut self, part: &MicroBatch<'_>, read: Vec<Tensor>) -> Result<Vec<(&'static str, Tensor)>> {
        let examples: Vec<&Example> = part.scans.iter().map(|&i| &self.train[i]).collect();
        // Over all tokens of the whole batch, so that parts and processes do not matter.
        let tokens: usize = part.whole.iter().map(|&i| targets(&self.train[i])).sum();
        let (per_token, per_scan) = (1.0 / tokens as f64, self.settings.findings_loss_weight / part.whole.len() as f64);
        let prompted = self.prompt(&examples, &self.orders(&examples, part.seed), &read);
        let (decoder, seed, branches) = (&self.parts.decoder, Some(part.seed as i64), prompted.branches.as_ref());
        let text = if self.settings.recompute_layers {
            let (text, gradient) =
                decoder.backward_recomputing(&prompted.embeddings, branches, &prompted.loss, seed, per_token);
            let through = (&prompted.embeddings * gradient).sum(Kind::Float);
            (through + &prompted.findings * per_scan).backward();
            text
        } else {
            let text = decoder.loss(&decoder.states(&prompted.embeddings, branches, seed), &prompted.loss);
            (&text * per_token + &prompted.findings * per_scan).backward();
            text
        };
        let (text, findings) = (told(&text) * per_token, told(&prompted.findings) / part.whole.len() as f64);
        let loss = &text + &findings * self.settings.findings_loss_weight;
        Ok(vec![("loss", loss), ("text", text), ("findings", findings)])
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        let all: Vec<&Example> = self.validation.iter().collect();
        let (mut text, mut tokens, mut findings) = (0.0, 0, 0.0);
        // The same references every time, so that validations can be compared.
        let wanted = |(index, examples): &(usize, &[&Example])| self.files(examples, *index as u64);
        each(all.chunks(8).enumerate(), self.parameters.device(), wanted, |(_, examples), read| {
            for order in 0..examples[0].1.len() {
                let sequences: Vec<&Sequence> = examples.iter().map(|e| &e.1[order]).collect();
                let prompted = self.prompt(examples, &sequences, &read);
                let decoder = &self.parts.decoder;
                let states = decoder.states(&prompted.embeddings, prompted.branches.as_ref(), None);
                text += f64::try_from(decoder.loss(&states, &prompted.loss))?;
                tokens += examples.iter().map(|e| targets(e)).sum::<usize>();
                if order == 0 {
                    findings += f64::try_from(prompted.findings)?;
                }
            }
            Ok(())
        })?;
        let text = text / tokens as f64;
        let findings = findings / all.len() as f64;
        let loss = text + self.settings.findings_loss_weight * findings;
        Ok(vec![("text".into(), text), ("loss".into(), loss), ("findings".into(), findings)])
    }
}
