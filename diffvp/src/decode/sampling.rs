//! Picking the next token.

use rand::RngExt;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::{Error, Result};

/// How the next token is picked from the logits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Sampling {
    /// The most probable token; the lowest id where two are equal.
    #[default]
    Greedy,
    /// At random, by the report's seed. The filters act in the order temperature, top-k, top-p.
    Random {
        /// Logits are divided by this; above 0.
        temperature: f32,
        /// Only this many most probable tokens; 0 for all.
        top_k: usize,
        /// Only the smallest set of tokens whose probability reaches this; 1 for all.
        top_p: f32,
    },
}

impl Sampling {
    /// Checks the numbers before a report is asked for.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a temperature that is not positive or a `top_p` outside (0, 1].
    pub fn validate(&self) -> Result<()> {
        if let Sampling::Random { temperature, top_p, .. } = *self {
            if !(temperature.is_finite() && temperature > 0.0) {
                let detail = format!("{temperature} is not above 0");
                return Err(Error::InvalidOption { name: "temperature", detail });
            }
            if !(top_p > 0.0 && top_p <= 1.0) {
                return Err(Error::InvalidOption { name: "top_p", detail: format!("{top_p} is not in (0, 1]") });
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Sampling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Sampling::Greedy => f.write_str("greedy"),
            Sampling::Random { temperature, top_k, top_p } => {
                write!(f, "random(temperature {temperature}, top_k {top_k}, top_p {top_p})")
            }
        }
    }
}

/// A picked token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) id: u32,
    /// Whether logits that differ in their last digits would have given the same token.
    pub(crate) certain: bool,
}

/// Differences that a pick must bear to be certain: of logits, as a share of the largest; of probabilities. Runs of one and of
/// several rows differ by some 10⁻⁶ in float32.
const MARGIN: f32 = 1e-3;

/// Picks tokens for one report.
#[derive(Clone)]
pub(crate) struct Sampler {
    sampling: Sampling,
    random: Pcg64,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, seed: u64) -> Result<Self> {
        sampling.validate()?;
        Ok(Sampler { sampling, random: Pcg64::seed_from_u64(seed) })
    }

    /// One for a part of the report, whose draws do not depend on the other parts.
    pub(crate) fn fork(&mut self) -> Self {
        Sampler { sampling: self.sampling, random: Pcg64::seed_from_u64(self.random.random()) }
    }

    /// The next token id.
    ///
    /// # Errors
    /// [`Error::Inference`] for logits that are not numbers.
    pub(crate) fn pick(&mut self, logits: &[f32]) -> Result<Pick> {
        if logits.is_empty() || logits.iter().any(|l| l.is_nan()) {
            return Err(Error::Inference { graph: "decoder".into(), detail: "the logits hold NaN".into() });
        }
        match self.sampling {
            Sampling::Greedy => Ok(largest(logits)),
            Sampling::Random { temperature, top_k, top_p } => Ok(self.draw(logits, temperature, top_k, top_p)),
        }
    }

    fn draw(&mut self, logits: &[f32], temperature: f32, top_k: usize, top_p: f32) -> Pick {
        let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
        let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        if top_k > 0 && top_k < ids.len() {
            ids.select_nth_unstable_by(top_k - 1, by_logit);
            ids.truncate(top_k);
        }
        ids.sort_unstable_by(by_logit);
        let highest = f64::from(logits[ids[0] as usize]);
        let weight = |id: u32| ((f64::from(logits[id as usize]) - highest) / f64::from(temperature)).exp();
        let mut weights: Vec<f64> = ids.iter().map(|&id| weight(id)).collect();
        let total: f64 = weights.iter().sum();
        let mut kept = 0.0;
        let keep = weights
            .iter()
            .position(|w| {
                kept += w / total;
                kept >= f64::from(top_p)
            })
            .map_or(weights.len(), |last| last + 1);
        weights.truncate(keep);
        let sum: f64 = weights.iter().sum();
        let mut point = self.random.random::<f64>() * sum;
        let margin = f64::from(MARGIN) * sum;
        for (&id, weight) in ids.iter().zip(&weights) {
            if point < *weight {
                return Pick { id, certain: point > margin && weight - point > margin };
            }
            point -= weight;
        }
        Pick { id: ids[keep - 1], certain: false }
    }
}

fn largest(logits: &[f32]) -> Pick {
    let (mut best, mut second) = (0, f32::NEG_INFINITY);
    for (index, &logit) in logits.iter().enumerate().skip(1) {
        if logit > logits[best] {
            (best, second) = (index, logits[best]);
        } else {
            second = second.max(logit);
        }
    }
    Pick { id: best as u32, certain: logits[best] - second > MARGIN * logits[best].abs().max(second.abs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [0.0, 3.0, 1.0, 3.0, -2.0];

    #[test]
    fn greedy_takes_the_first_of_equals_and_refuses_nan() {
        let mut sampler = Sampler::new(Sampling::Greedy, 0).unwrap();
        assert_eq!(sampler.pick(&LOGITS).unwrap(), Pick { id: 1, certain: false });
        assert_eq!(sampler.pick(&[-3.0, 1.0, 0.9]).unwrap(), Pick { id: 1, certain: true });
        assert!(!sampler.pick(&[1.0, 0.9995]).unwrap().certain);
        assert!(sampler.pick(&[0.0, f32::NAN]).is_err());
        assert!(sampler.pick(&[]).is_err());
    }

    #[test]
    fn random_picks_follow_the_distribution() {
        let sampling = Sampling::Random { temperature: 2.0, top_k: 0, top_p: 1.0 };
        let mut sampler = Sampler::new(sampling, 7).unwrap();
        let mut counts = [0f64; 5];
        for _ in 0..20_000 {
            counts[sampler.pick(&LOGITS).unwrap().id as usize] += 1.0;
        }
        let weights: Vec<f64> = LOGITS.iter().map(|l| f64::from(l / 2.0).exp()).collect();
        let total: f64 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(&weights) {
            assert!((count / 20_000.0 - weight / total).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn filters_exclude_and_seeds_repeat() {
        let run = |sampling, seed| {
            let mut sampler = Sampler::new(sampling, seed).unwrap();
            (0..300).map(|_| sampler.pick(&LOGITS).unwrap().id).collect::<Vec<_>>()
        };
        let top_k = Sampling::Random { temperature: 5.0, top_k: 2, top_p: 1.0 };
        assert!(run(top_k, 1).iter().all(|id| [1, 3].contains(id)));
        let top_p = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 0.3 };
        assert!(run(top_p, 1).iter().all(|id| *id == 1));
        assert_eq!(run(top_k, 5), run(top_k, 5));
        assert_ne!(run(top_k, 5), run(top_k, 6));
    }

    #[test]
    fn impossible_options_are_refused() {
        for (temperature, top_p) in [(0.0, 1.0), (-1.0, 1.0), (f32::NAN, 1.0), (1.0, 0.0), (1.0, 1.5), (1.0, f32::NAN)]
        {
            assert!(Sampling::Random { temperature, top_k: 0, top_p }.validate().is_err());
        }
    }
}
