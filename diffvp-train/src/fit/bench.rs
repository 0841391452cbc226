//! How long a training step of the generator takes: the stage and the loop of a run, with random weights, features and texts.

use std::path::{Path, PathBuf};
use std::time::Instant;

use diffvp::files::write_atomic;
use diffvp_exporter::ModelConfig;
use diffvp_exporter::weights::{RandomWeights, tensor_specs};
use half::f16;
use rand::RngExt;
use serde::Serialize;
use tch::{Cuda, Device, Kind};

use super::adamw::AdamW;
use super::assemble::of_prompt;
use super::config::FitConfig;
use super::generator::{Example, GeneratorStage, Parts as Model, Settings};
use super::order;
use super::parallel::Group;
use super::parts::Parts;
use super::prepared::Prepared;
use super::text::{Row, Sequence};
use super::trainer::{Stage, one_step};
use crate::data::{LabelSource, Sample, Split};
use crate::labels::FINDINGS;
use crate::model::{FindingsHead, Parameters};
use crate::run::of_decoder;
use crate::{Error, Result};

/// Tokens of the prompt's texts and of E, about what those of the lineage take.
const PROMPT_TOKENS: usize = 64;

/// What [`step`] measures.
#[derive(Debug, Clone)]
pub struct StepRequest {
    /// Sizes, schedule and precision; files of start weights are not read.
    pub config: FitConfig,
    /// Steps that are measured.
    pub steps: u64,
    /// Steps before them that are not.
    pub warm_up: u64,
    /// Scans of a step; the schedule's without it.
    pub batch: Option<usize>,
    /// Mean number of rows of prompt and report.
    pub rows: usize,
    /// What the device computes at most, in 10¹² floating-point operations per second.
    pub peak_tflops: f64,
    /// Whether to measure the GPU.
    pub cuda: bool,
}

/// What [`step`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepTimes {
    /// Scans of a step.
    pub batch: usize,
    /// Scans computed at a time.
    pub micro_batch: usize,
    /// Rows of prompts and reports of a step.
    pub rows: usize,
    /// Tokens of a step that are predicted.
    pub targets: usize,
    /// Numbers that are trained.
    pub trained_parameters: usize,
    /// Time of each step.
    pub step_seconds: Vec<f64>,
    /// Their median.
    pub median_step_seconds: f64,
    /// Rows over the median.
    pub rows_per_second: f64,
    /// Operations of the decoder in a step, in 10¹².
    pub model_tflop: f64,
    /// The same with layers that are computed again.
    pub computed_tflop: f64,
    /// Operations over time and peak.
    pub share_of_peak_model: f64,
    /// The same with layers that are computed again.
    pub share_of_peak_computed: f64,
    /// Most memory that the process had on the host, in GiB, where the system tells.
    pub peak_host_gib: Option<f64>,
    /// Loss of the first and the last step, before it.
    pub losses: [f64; 2],
}

/// Rows of prompt and report of a scan: 3/4 to 5/4 of the mean, spread evenly.
fn rows_of(scan: usize, mean: usize) -> usize {
    mean * 3 / 4 + scan * 7919 % (mean / 2)
}

/// Measures training steps of the generator.
///
/// # Errors
/// Those of the config and of the folder for temporary files; [`Error::Training`] for rows that hold no report, no GPU, or a
/// loss that is not a number.
pub fn step(request: StepRequest) -> Result<StepTimes> {
    let mut group = Group::alone();
    let device = group.device(request.cuda)?;
    let (config, mut schedule) = (&request.config, request.config.generator.schedule.clone());
    let model = &config.model;
    schedule.batch = request.batch.unwrap_or(schedule.batch);
    schedule.micro_batch = schedule.micro_batch.min(schedule.batch);
    schedule.validate("generator")?;
    let prompt = model.difference.prefix_tokens + model.resampler.tokens + PROMPT_TOKENS;
    if request.rows * 3 / 4 <= prompt || request.rows * 5 / 4 > model.decoder.context_length || request.steps == 0 {
        let context = model.decoder.context_length;
        return Err(Error::training(format!(
            "{} rows and {} steps: 3/4 of the rows must be more than the {prompt} of the prompt, 5/4 at most the context of {context}",
            request.rows, request.steps
        )));
    }
    let cache = tempfile::tempdir().map_err(|e| Error::training(format!("no folder for temporary files: {e}")))?;
    let prepared = Prepared::new(cache.path(), &config.preprocessing, None, model).with_encoder(&"0".repeat(64));
    let examples: Vec<Example> = (0..schedule.batch).map(|i| example(i, rows_of(i, request.rows), model)).collect();
    write_features(&prepared, &examples)?;
    let sizes: Vec<[usize; 2]> = examples.iter().map(|(_, s)| [s[0].rows.len(), s[0].targets.len()]).collect();
    let parameters = parameters(config, device)?;
    let parts = Model::new(&parameters, model, config.generator.lora.as_ref())?;
    let settings = Settings::of(&config.generator);
    let mut stage = GeneratorStage::new(parameters, parts, prepared, [examples, Vec::new()], settings);
    let trained_parameters = stage.parameters().trained().iter().map(|(_, t)| t.numel()).sum();

    let steps = request.warm_up + request.steps;
    let mut coming = Parts::new(&schedule, config.seed, [0, 1], 0..steps, schedule.batch, device);
    let (mut adam, mut times, mut losses) = (AdamW::default(), Vec::new(), Vec::new());
    for step in 0..steps {
        let start = Instant::now();
        let outcome = one_step(&mut stage, &schedule, &mut group, &mut coming, [step, steps], &mut adam)?;
        if let Device::Cuda(index) = device {
            Cuda::synchronize(index as i64);
        }
        times.push(start.elapsed().as_secs_f64());
        losses.push(outcome.losses[0].1);
        if outcome.losses.iter().any(|(_, loss)| !loss.is_finite()) || !outcome.norm.is_finite() {
            return Err(Error::training(format!(
                "step {}: losses {:?}, norm {}",
                step + 1,
                outcome.losses,
                outcome.norm
            )));
        }
    }
    let step_seconds = times.split_off(request.warm_up as usize);
    let median = median(&step_seconds);
    let frozen = config.generator.lora.is_some();
    let [model_tflop, computed_tflop] = tflop(model, &sizes, frozen, config.generator.recompute_layers);
    let rows = sizes.iter().map(|s| s[0]).sum();
    Ok(StepTimes {
        batch: schedule.batch,
        micro_batch: schedule.micro_batch,
        rows,
        targets: sizes.iter().map(|s| s[1]).sum(),
        trained_parameters,
        median_step_seconds: median,
        step_seconds,
        rows_per_second: rows as f64 / median,
        model_tflop,
        computed_tflop,
        share_of_peak_model: model_tflop / median / request.peak_tflops,
        share_of_peak_computed: computed_tflop / median / request.peak_tflops,
        peak_host_gib: peak_host_gib(),
        losses: [losses[0], losses[losses.len() - 1]],
    })
}

/// Operations of a step, in 10¹², without and with those of layers computed again; `sizes` are rows and targets of each
/// sequence. The adapter and what is before the decoder are left out: they are less than a hundredth.
fn tflop(config: &ModelConfig, sizes: &[[usize; 2]], frozen: bool, recomputed: bool) -> [f64; 2] {
    let c = &config.decoder;
    let (query, keys) = (c.query_size(), c.key_value_size());
    let weights = c.hidden_size * (2 * query + 2 * keys + 3 * c.intermediate_size);
    let (mut layers, mut head) = (0.0, 0.0);
    for &[rows, targets] in sizes {
        let (t, attention) = (rows as f64, 2.0 * (rows * rows * query) as f64);
        layers += c.layers as f64 * (2.0 * weights as f64 * t + attention) / 1e12;
        head += 2.0 * (c.hidden_size * c.vocab_size * targets) as f64 / 1e12;
    }
    let passes = if frozen { 2.0 } else { 3.0 };
    let model = passes * (layers + head);
    [model, model + if recomputed { layers } else { 0.0 }]
}

/// A scan with a sequence of random tokens.
fn example(index: usize, rows: usize, model: &ModelConfig) -> Example {
    let mut random = order::generator(index as u64, 0, 3);
    let sample = Sample {
        name: format!("scan{index}"),
        scan: PathBuf::new().into(),
        organs: None,
        finding_masks: None,
        labels: FINDINGS.iter().map(|_| u8::from(random.random::<f64>() < 0.2)).collect(),
        label_source: LabelSource::Table,
        regions: Vec::new(),
        report: None,
        normal: true,
        split: Split::Train,
    };
    let (prefix, visual) = (model.difference.prefix_tokens, model.resampler.tokens);
    let mut all: Vec<Row> = (0..prefix).map(Row::Prefix).chain((0..visual).map(Row::Visual)).collect();
    let mut targets = Vec::new();
    while all.len() < rows {
        let token = random.random_range(0..model.decoder.vocab_size as u32);
        if all.len() >= prefix + visual + PROMPT_TOKENS {
            targets.push((all.len() - 1, token));
        }
        all.push(Row::Token(token));
    }
    (sample, vec![Sequence { rows: all, targets, branches: Vec::new() }])
}

fn write_features(prepared: &Prepared, examples: &[Example]) -> Result<()> {
    for (index, (sample, _)) in examples.iter().enumerate() {
        let wanted = prepared.features(&[sample]);
        let path: &Path = &wanted.paths[0];
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| diffvp::Error::Write { path: folder.to_path_buf(), source })?;
        }
        let mut random = order::generator(index as u64, 0, 4);
        let values = (0..wanted.shape.iter().product::<i64>()).map(|_| f16::from_f32(random.random::<f32>()));
        let bytes: Vec<u8> = values.flat_map(f16::to_le_bytes).collect();
        write_atomic(path, |out| std::io::Write::write_all(out, &bytes))?;
    }
    Ok(())
}

/// Those of the stage, the decoder's made on the device.
fn parameters(config: &FitConfig, device: Device) -> Result<Parameters> {
    let (model, stage) = (&config.model, &config.generator);
    let (decoder, rest): (Vec<_>, Vec<_>) = tensor_specs(model)
        .into_iter()
        .filter(|s| of_prompt(&s.name) || of_decoder(&s.name))
        .partition(|s| of_decoder(&s.name));
    let mut trained = rest;
    trained.extend(FindingsHead::specs(model));
    if let Some(lora) = &stage.lora {
        trained.extend(lora.specs(&model.decoder)?);
    }
    let mut p = Parameters::new(device);
    p.add(&trained, &RandomWeights::from_specs(trained.clone(), config.seed), Kind::Float)?;
    tch::manual_seed(config.seed as i64);
    p.add_random(&decoder, stage.precision.kind());
    p.train_only(|name| stage.lora.is_none() || !of_decoder(name));
    Ok(p)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Linux tells the most memory that a process ever had.
fn peak_host_gib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / (1 << 20) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::config::Precision;
    use crate::fit::presets::Preset;
    use crate::model::LoraConfig;

    /// A frozen decoder in bfloat16 with an adapter and recomputed layers, as the paper's, and a trained one.
    #[test]
    fn small_steps_are_measured_and_counted_by_hand() {
        let mut config = Preset::Tiny.config();
        let request = |config: &FitConfig| StepRequest {
            config: config.clone(),
            steps: 2,
            warm_up: 1,
            batch: Some(2),
            rows: 160,
            peak_tflops: 1.0,
            cuda: false,
        };
        let trained = step(request(&config)).unwrap();
        let targets = ["q_proj", "v_proj"].map(String::from).to_vec();
        config.generator.lora = Some(LoraConfig { rank: 8, alpha: 32.0, dropout: 0.1, targets });
        (config.generator.precision, config.generator.recompute_layers) = (Precision::Bf16, true);
        config.generator.schedule.micro_batch = 1;
        let frozen = step(request(&config)).unwrap();
        assert_eq!([frozen.batch, frozen.micro_batch, frozen.rows, frozen.step_seconds.len()], [2, 1, 120 + 199, 2]);
        assert!(frozen.losses.iter().chain([&frozen.rows_per_second]).all(|v| v.is_finite() && *v > 0.0));
        assert!(trained.trained_parameters > frozen.trained_parameters);
        let c = &config.model.decoder;
        let (d, t) = (c.hidden_size as f64, [120.0, 199.0]);
        let weights = d * (2.0 * d + d + 3.0 * c.intermediate_size as f64);
        let layers: f64 = t.iter().map(|t| c.layers as f64 * (2.0 * weights * t + 2.0 * t * t * d)).sum();
        let model = 2.0 * (layers + 2.0 * d * c.vocab_size as f64 * frozen.targets as f64);
        assert!((frozen.model_tflop / (model / 1e12) - 1.0).abs() < 1e-9);
        assert!((frozen.computed_tflop / ((model + layers) / 1e12) - 1.0).abs() < 1e-9);
        assert!((trained.model_tflop / (1.5 * model / 1e12) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn rows_without_room_for_a_report_are_refused() {
        let config = Preset::Tiny.config();
        let request =
            StepRequest { config, steps: 1, warm_up: 0, batch: None, rows: 100, peak_tflops: 1.0, cuda: false };
        assert!(step(request).unwrap_err().to_string().contains("100 rows"));
    }
}
