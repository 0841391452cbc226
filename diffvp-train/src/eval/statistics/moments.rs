//! Means and deviations with NumPy's order of summation, so that the digits are the same.

/// NumPy's pairwise summation of a contiguous array.
fn sum(values: &[f64]) -> f64 {
    match values.len() {
        0..8 => values.iter().sum(),
        8..=128 => {
            let mut parts = [0.0; 8];
            parts.copy_from_slice(&values[..8]);
            let mut chunks = values[8..].chunks_exact(8);
            for chunk in &mut chunks {
                parts.iter_mut().zip(chunk).for_each(|(part, value)| *part += value);
            }
            let [a, b, c, d, e, f, g, h] = parts;
            let whole = ((a + b) + (c + d)) + ((e + f) + (g + h));
            chunks.remainder().iter().fold(whole, |sum, value| sum + value)
        }
        n => {
            let half = n / 2 - (n / 2) % 8;
            sum(&values[..half]) + sum(&values[half..])
        }
    }
}

/// Mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    sum(values) / values.len() as f64
}

/// Standard deviation with `n - freedom` in the denominator: 0 for the spread of these values (`numpy.std`), 1 for an estimate
/// from a sample.
pub fn standard_deviation(values: &[f64], freedom: usize) -> f64 {
    let mean = mean(values);
    let squares: Vec<f64> = values.iter().map(|value| (value - mean) * (value - mean)).collect();
    (sum(&squares) / (values.len() as f64 - freedom as f64)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_pairwise() {
        // numpy.mean and numpy.std of 0.1 * arange(1000) and of [0.1, 0.2, 0.4]
        let long: Vec<f64> = (0..1000).map(|i| 0.1 * f64::from(i)).collect();
        assert_eq!(mean(&long), 49.95);
        assert_eq!(standard_deviation(&long, 0), 28.867499025720953);
        assert_eq!(standard_deviation(&[0.1, 0.2, 0.4], 1), 0.1527525231651947);
        assert!(mean(&[]).is_nan());
    }
}
