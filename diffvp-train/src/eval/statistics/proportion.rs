//! Intervals of proportions.

use statrs::distribution::{ContinuousCDF, Normal};

use super::Interval;

/// Wilson's score interval of `successes` among `trials`; `confidence` is a fraction, such as 0.95. Nothing without trials.
///
/// Wilson, *Probable inference, the law of succession, and statistical inference*, JASA 1927.
pub fn wilson(successes: u64, trials: u64, confidence: f64) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let z = Normal::new(0.0, 1.0).ok()?.inverse_cdf(0.5 + confidence / 2.0);
    let n = trials as f64;
    let p = successes as f64 / n;
    let z2 = z * z / n;
    let centre = (p + z2 / 2.0) / (1.0 + z2);
    let half = z * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt() / (1.0 + z2);
    // Rounding must not leave the ends of the scale open.
    let low = if successes == 0 { 0.0 } else { centre - half };
    let high = if successes == trials { 1.0 } else { centre + half };
    Some(Interval { low, value: p, high })
}
