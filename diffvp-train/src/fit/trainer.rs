//! The loop that every stage runs in: batches, gradients, checkpoints, validation, early stop.

use std::path::Path;
use std::time::Instant;

use tch::{Kind, Tensor};

use super::adamw::{self, AdamW, Update};
use super::checkpoint::{self, Best, Progress};
use super::metrics::Metrics;
use super::parallel::Group;
pub(super) use super::parts::MicroBatch;
use super::parts::Parts;
use super::reading::Wanted;
use super::schedule::{Keep, Schedule};
use crate::model::Parameters;
use crate::{Error, Result};

/// What differs between stages.
pub(super) trait Stage {
    /// Name, which is also that of its folder.
    fn name(&self) -> &'static str;
    /// Number of training scans.
    fn samples(&self) -> usize;
    /// All parameters; those that require a gradient are trained.
    fn parameters(&mut self) -> &mut Parameters;
    /// The files that a part of a batch is computed from.
    fn wanted(&self, part: &MicroBatch<'_>) -> Vec<Wanted>;
    /// Adds the gradients of the part to those of the trained parameters, so that the parts of a batch add up to the gradient
    /// of the batch. `read` is what it [wanted](Self::wanted). Returns named losses that add up likewise, as [`told`]
    /// gives them; the first is the one trained on.
    fn micro_batch(&mut self, part: &MicroBatch<'_>, read: Vec<Tensor>) -> Result<Vec<(&'static str, Tensor)>>;
    /// Metrics on the validation scans; the first is the criterion, the lower the better.
    fn validate(&mut self) -> Result<Vec<(String, f64)>>;
    /// Learning rate of a parameter as a multiple of the schedule's.
    fn rate(&self, _parameter: &str) -> f64 {
        1.0
    }
    /// Batch-norm statistics that this stage changes.
    fn changes_statistics(&self, _name: &str) -> bool {
        false
    }
}

/// A loss to be told: still on its device, so that a GPU need not be waited for before the whole step is under way.
pub(super) fn told(loss: &Tensor) -> Tensor {
    loss.detach().to_kind(Kind::Double)
}

/// How a stage is run.
pub(super) struct Run<'a> {
    /// Its folder.
    pub(super) folder: &'a Path,
    /// Its schedule.
    pub(super) schedule: &'a Schedule,
    /// Seed.
    pub(super) seed: u64,
    /// Whether to go on from a checkpoint.
    pub(super) resume: bool,
    /// Hash of all that a checkpoint must agree with.
    pub(super) belongs_to: &'a str,
}

/// File of the newest checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";

/// Trains a stage to its end, and leaves the parameters of the best validation in it.
///
/// # Errors
/// [`Error::Training`] where the loss is not a number; those of checkpoints, metrics and the stage.
pub(super) fn train(stage: &mut dyn Stage, run: &Run<'_>, group: &mut Group) -> Result<Progress> {
    let schedule = run.schedule;
    let parts = schedule.batch / schedule.micro_batch;
    if !parts.is_multiple_of(group.size) {
        return Err(Error::training(format!(
            "{} processes cannot share {parts} parts of {} scans: choose batch and micro_batch so that they can",
            group.size, schedule.micro_batch
        )));
    }
    let steps = schedule.steps(stage.samples());
    let path = run.folder.join(CHECKPOINT);
    std::fs::create_dir_all(run.folder).map_err(|source| diffvp::Error::Write { path: run.folder.into(), source })?;
    let (mut progress, mut adam, mut best) = if run.resume && path.exists() {
        checkpoint::load(&path, run.belongs_to, stage.parameters())?
    } else {
        let progress = Progress {
            stage: stage.name().into(),
            step: 0,
            best: None,
            best_step: 0,
            since_best: 0,
            belongs_to: run.belongs_to.into(),
        };
        (progress, AdamW::default(), Best::new())
    };
    let mut teller =
        if group.rank == 0 { Some(Metrics::open(run.folder, stage.name(), progress.step, steps)?) } else { None };
    let mut recent: Vec<f64> = Vec::new();
    let (ranks, samples, device) = ([group.rank, group.size], stage.samples(), stage.parameters().device());
    let mut parts = Parts::new(schedule, run.seed, ranks, progress.step..steps, samples, device);
    while progress.step < steps && !stopped(schedule, &progress) {
        let (start, step) = (Instant::now(), progress.step);
        let outcome = one_step(stage, schedule, group, &mut parts, [step, steps], &mut adam)?;
        if let Some(problem) = outcome.problem() {
            return Err(not_a_number(stage.name(), &problem, step, schedule.rate(step, steps), &recent));
        }
        recent.push(outcome.losses[0].1);
        let keep = recent.len().saturating_sub(20);
        recent.drain(..keep);
        progress.step += 1;
        if let Some(teller) = &mut teller {
            let seconds = start.elapsed().as_secs_f64();
            let mut values: Vec<(String, f64)> = outcome.losses.iter().map(|(n, v)| (n.to_string(), *v)).collect();
            values.push(("gradient_norm".into(), outcome.norm));
            values.push(("learning_rate".into(), schedule.rate(step, steps)));
            values.push(("scans_per_second".into(), schedule.batch as f64 / seconds));
            teller.record(progress.step, "train", &values)?;
            let mean = recent.iter().sum::<f64>() / recent.len() as f64;
            teller.show(progress.step, &format!("{} {mean:.4}", outcome.losses[0].0));
        }
        let last = progress.step == steps;
        if last || progress.step.is_multiple_of(schedule.validate_every) {
            validate(stage, &mut progress, &mut best, teller.as_mut())?;
        }
        if group.rank == 0
            && (last || stopped(schedule, &progress) || progress.step.is_multiple_of(schedule.checkpoint_every))
        {
            if let Some(teller) = &mut teller {
                teller.sync()?;
            }
            checkpoint::save(&path, &progress, &state(stage), &adam, &best)?;
        }
    }
    if let Some(teller) = &mut teller {
        if stopped(schedule, &progress) {
            teller.say(&format!(
                "{}: ended at step {}: no better since step {}",
                stage.name(),
                progress.step,
                progress.best_step
            ));
        }
        teller.finish();
    }
    let kept = if schedule.keep == Keep::Best { best } else { Best::new() };
    for (name, tensor) in &kept {
        stage.parameters().set(name, tensor)?;
    }
    group.wait()?;
    Ok(progress)
}

fn stopped(schedule: &Schedule, progress: &Progress) -> bool {
    schedule.patience > 0 && progress.since_best >= schedule.patience
}

/// Everything of a stage that changes: trained parameters and statistics.
fn state(stage: &mut dyn Stage) -> Vec<(String, Tensor)> {
    let mut state = stage.parameters().trained();
    state.extend(statistics(stage));
    state
}

fn statistics(stage: &mut dyn Stage) -> Vec<(String, Tensor)> {
    let names: Vec<String> = stage.parameters().statistics(|_| true).into_iter().map(|s| s.0).collect();
    let changed: Vec<String> = names.into_iter().filter(|name| stage.changes_statistics(name)).collect();
    stage.parameters().statistics(|name| changed.iter().any(|c| c == name))
}

fn validate(
    stage: &mut dyn Stage,
    progress: &mut Progress,
    best: &mut Best,
    teller: Option<&mut Metrics>,
) -> Result<()> {
    let metrics = tch::no_grad(|| stage.validate())?;
    let criterion = metrics[0].1;
    let better = progress.best.is_none_or(|b| criterion < b);
    if better {
        (progress.best, progress.best_step, progress.since_best) = (Some(criterion), progress.step, 0);
        *best = state(stage).into_iter().map(|(name, t)| (name, t.detach().copy())).collect();
    } else {
        progress.since_best += 1;
    }
    if let Some(teller) = teller {
        teller.record(progress.step, "validation", &metrics)?;
        let all: Vec<String> = metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        let mark = if better { ", the best so far" } else { "" };
        teller.say(&format!("{}: step {}: validation {}{mark}", stage.name(), progress.step, all.join(", ")));
    }
    Ok(())
}

/// What a step tells.
pub(super) struct Outcome {
    /// Losses by name, the first the one trained on.
    pub(super) losses: Vec<(&'static str, f64)>,
    /// Norm of the gradient.
    pub(super) norm: f64,
}

impl Outcome {
    fn problem(&self) -> Option<String> {
        let bad = self.losses.iter().find(|(_, value)| !value.is_finite());
        let loss = bad.map(|(name, value)| format!("the loss {name:?} is {value}"));
        loss.or_else(|| (!self.norm.is_finite()).then(|| format!("the norm of the gradient is {}", self.norm)))
    }
}

/// One step of `steps`: `coming` gives its parts.
///
/// # Errors
/// Those of the cache, the stage and the group. A loss that is not a number changes nothing, and is told.
pub(super) fn one_step(
    stage: &mut dyn Stage,
    schedule: &Schedule,
    group: &mut Group,
    coming: &mut Parts,
    [step, steps]: [u64; 2],
    adam: &mut AdamW,
) -> Result<Outcome> {
    let parts = schedule.batch / schedule.micro_batch;
    let before: Vec<Tensor> = statistics(stage).iter().map(|(_, t)| t.copy()).collect();
    let mut moved: Vec<Tensor> = before.iter().map(Tensor::zeros_like).collect();
    let mut losses: Vec<(&'static str, Tensor)> = Vec::new();
    for _ in 0..parts / group.size {
        let Some((part, read)) = coming.next(stage)? else { break };
        let part = part.micro_batch();
        tch::manual_seed(part.seed as i64);
        for (i, (name, value)) in stage.micro_batch(&part, read)?.into_iter().enumerate() {
            match losses.get_mut(i) {
                Some(sum) => sum.1 = &sum.1 + value,
                None => losses.push((name, value)),
            }
        }
        // Each part starts from the same statistics and their moves are averaged: the parts of a batch have no order.
        for (((_, now), before), moved) in statistics(stage).iter_mut().zip(&before).zip(&mut moved) {
            let _ = moved.g_add_(&((&*now - before) / parts as f64));
            now.copy_(before);
        }
    }
    let trained = stage.parameters().trained();
    let mut gradients: Vec<Tensor> = Vec::with_capacity(trained.len());
    for (_, parameter) in &trained {
        let gradient = parameter.grad();
        gradients.push(if gradient.defined() { gradient.detach() } else { parameter.zeros_like() });
    }
    let summed = if group.size > 1 {
        let mut losses = values(&losses)?;
        all_reduce(group, gradients.iter_mut().chain(moved.iter_mut()), &mut losses)?;
        Some(losses)
    } else {
        None
    };
    for (((_, now), before), moved) in statistics(stage).iter_mut().zip(&before).zip(&moved) {
        now.copy_(&(before + moved));
    }
    // The first wait for a GPU: until here, it has the whole step to do.
    let norm = adamw::norm(&gradients).map_or(Ok(0.0), f64::try_from)?;
    let outcome = Outcome { losses: summed.map_or_else(|| values(&losses), Ok)?, norm };
    if outcome.problem().is_none() {
        let clipped = (schedule.clip_norm > 0.0 && norm > schedule.clip_norm).then(|| schedule.clip_norm / norm);
        let update = Update { step, rate: schedule.rate(step, steps), clipped, weight_decay: schedule.weight_decay };
        adam.step(&trained, &gradients, &update, |name| stage.rate(name));
    }
    for (_, mut parameter) in trained {
        parameter.zero_grad();
    }
    Ok(outcome)
}

fn values(losses: &[(&'static str, Tensor)]) -> Result<Vec<(&'static str, f64)>> {
    losses.iter().map(|(name, value)| Ok((*name, f64::try_from(value)?))).collect()
}

fn all_reduce<'t>(
    group: &mut Group,
    tensors: impl Iterator<Item = &'t mut Tensor>,
    losses: &mut [(&'static str, f64)],
) -> Result<()> {
    let tensors: Vec<&mut Tensor> = tensors.collect();
    let mut flat: Vec<f32> = losses.iter().map(|(_, value)| *value as f32).collect();
    for tensor in &tensors {
        let values = tensor.to_device(tch::Device::Cpu).to_kind(tch::Kind::Float).flatten(0, -1);
        flat.extend(Vec::<f32>::try_from(values)?);
    }
    group.sum(&mut flat)?;
    let mut at = losses.len();
    losses.iter_mut().zip(&flat).for_each(|(loss, value)| loss.1 = f64::from(*value));
    for tensor in tensors {
        let count = tensor.numel();
        tensor.copy_(&Tensor::from_slice(&flat[at..at + count]).view(tensor.size().as_slice()));
        at += count;
    }
    Ok(())
}

fn not_a_number(stage: &str, problem: &str, step: u64, rate: f64, recent: &[f64]) -> Error {
    let tail: Vec<String> = recent.iter().rev().take(5).rev().map(|v| format!("{v:.4}")).collect();
    Error::training(format!(
        "{stage}: {problem} at step {}, with a learning rate of {rate:e}; the losses before were [{}]. The parameters were not \
         changed by this step, and the last checkpoint is as it was. Usual causes: a learning rate that is too high, too few \
         warm_up_steps, clip_norm = 0, bf16 where f32 is needed, or a volume with absurd values",
        step + 1,
        tail.join(", ")
    ))
}
