//! How long, how fast and in which batches a stage trains.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The schedule of a stage; `describe.rs` has a sentence on each field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in describe.rs, which writes the comments of the config file")]
pub struct Schedule {
    pub epochs: f64,
    pub batch: usize,
    pub micro_batch: usize,
    pub learning_rate: f64,
    pub warm_up_steps: u64,
    pub decay: Decay,
    pub weight_decay: f64,
    pub clip_norm: f64,
    pub validate_every: u64,
    pub patience: u64,
    pub checkpoint_every: u64,
    #[serde(default)]
    pub keep: Keep,
}

/// Which weights a stage leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those of the best validation.
    #[default]
    Best,
    /// Those of the last step.
    Last,
}

/// Course of the learning rate after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// None.
    Constant,
    /// Down to zero along half a cosine.
    Cosine,
}

impl Schedule {
    /// Optimizer steps for a number of training scans; 0 where the stage is left out.
    pub fn steps(&self, samples: usize) -> u64 {
        (self.epochs * samples as f64 / self.batch as f64).ceil() as u64
    }

    /// Learning rate of a step, counted from 0.
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        if step < self.warm_up_steps {
            return self.learning_rate * (step + 1) as f64 / self.warm_up_steps as f64;
        }
        match self.decay {
            Decay::Constant => self.learning_rate,
            Decay::Cosine => {
                let rest = steps.saturating_sub(self.warm_up_steps).max(1) as f64;
                let done = (step - self.warm_up_steps) as f64 / rest;
                self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
            }
        }
    }

    pub(super) fn validate(&self, stage: &str) -> Result<()> {
        let wrong = |field: &str, detail: String| Err(Error::training(format!("{stage}.schedule.{field} {detail}")));
        if !(0.0..=1e6).contains(&self.epochs) {
            return wrong("epochs", format!("is {}, expected 0 to a million", self.epochs));
        }
        if self.micro_batch == 0 || !self.batch.is_multiple_of(self.micro_batch) || self.batch == 0 {
            return wrong(
                "micro_batch",
                format!("is {}, which does not divide the batch of {}", self.micro_batch, self.batch),
            );
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong("learning_rate", format!("is {}, expected a positive number", self.learning_rate));
        }
        for (field, value) in [("weight_decay", self.weight_decay), ("clip_norm", self.clip_norm)] {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(field, format!("is {value}, expected 0 or more"));
            }
        }
        if self.validate_every == 0 || self.checkpoint_every == 0 {
            return wrong("validate_every", "and checkpoint_every are at least 1".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_holds_or_falls() {
        let mut schedule = super::super::presets::demo().generator.schedule;
        (schedule.warm_up_steps, schedule.learning_rate) = (4, 1.0);
        schedule.decay = Decay::Constant;
        let rates: Vec<f64> = (0..6).map(|s| schedule.rate(s, 10)).collect();
        assert_eq!(rates, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
        schedule.decay = Decay::Cosine;
        assert_eq!(schedule.rate(4, 10), 1.0);
        assert!((schedule.rate(7, 10) - 0.5).abs() < 1e-12 && schedule.rate(10, 10) < 1e-12);
    }
}
