//! Bootstrap: the aggregate of the rouge_score package, and paired intervals of differences.

use rand_mt::Mt;

use super::mean;

/// Resamples of the rouge_score package's aggregator.
pub const RESAMPLES: usize = 1000;

/// An interval with its middle.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// The value itself.
    pub value: f64,
    /// Upper bound.
    pub high: f64,
}

/// `numpy.random.choice(numpy.arange(n), size=n)` of a `RandomState`: Mersenne Twister, a masked draw until it is in range.
fn choice(random: &mut Mt, n: usize, drawn: &mut Vec<usize>) {
    drawn.clear();
    let last = (n - 1) as u32;
    let mask = u32::MAX.checked_shr(last.leading_zeros()).unwrap_or(0);
    drawn.extend((0..n).map(|_| {
        if last == 0 {
            return 0; // NumPy draws nothing where there is no choice
        }
        loop {
            let value = random.next_u32() & mask;
            if value <= last {
                return value as usize;
            }
        }
    }));
}

/// What `evaluate.load("rouge")` gives for a corpus: for each metric, in order, the median over [`RESAMPLES`] resampled
/// means of its per-report scores, with one stream of random numbers for all.
pub fn rouge_aggregate<const N: usize>(scores: [&[f64]; N], seed: u32) -> [f64; N] {
    let mut random = Mt::new(seed);
    let mut drawn = Vec::new();
    scores.map(|scores| {
        if scores.is_empty() || u32::try_from(scores.len()).is_err() {
            return f64::NAN;
        }
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                choice(&mut random, scores.len(), &mut drawn);
                drawn.iter().fold(0.0, |sum, &i| sum + scores[i]) / scores.len() as f64
            })
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        percentile(&means, 50.0)
    })
}

/// Percentile of sorted values with linear interpolation, as `numpy.percentile`.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let at = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, part) = (at.floor() as usize, at.fract());
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    if part >= 0.5 { high - (high - low) * (1.0 - part) } else { low + (high - low) * part }
}

/// The mean of paired differences with a percentile interval: differences are resampled whole, so pairs stay pairs.
///
/// `confidence` is a fraction, such as 0.95. Nothing for fewer than two differences, or more than 2³².
pub fn paired_bootstrap(differences: &[f64], resamples: usize, confidence: f64, seed: u32) -> Option<Interval> {
    if differences.len() < 2 || resamples == 0 || u32::try_from(differences.len()).is_err() {
        return None;
    }
    let mut random = Mt::new(seed);
    let (mut drawn, mut sample) = (Vec::new(), Vec::new());
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            choice(&mut random, differences.len(), &mut drawn);
            sample.clear();
            sample.extend(drawn.iter().map(|&i| differences[i]));
            mean(&sample)
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let (low, high) = (percentile(&means, 100.0 * tail), percentile(&means, 100.0 * (1.0 - tail)));
    Some(Interval { low, value: mean(differences), high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_numpys() {
        // numpy.random.seed(42); numpy.random.choice(numpy.arange(10), size=10)
        let mut drawn = Vec::new();
        let mut random = Mt::new(42);
        choice(&mut random, 10, &mut drawn);
        assert_eq!(drawn, [6, 3, 7, 4, 6, 9, 2, 6, 7, 4]);
        choice(&mut Mt::new(1), 1, &mut drawn);
        assert_eq!(drawn, [0]);
    }
}
