//! Two-sided t-tests, as SciPy computes them.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{mean, standard_deviation};

/// A two-sided t-test of the hypothesis that two means are equal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TTest {
    /// The statistic; positive where the second mean is larger.
    pub t: f64,
    /// Degrees of freedom.
    pub degrees: f64,
    /// Probability of a difference at least as large, if the means were equal.
    pub p: f64,
}

impl TTest {
    /// Nothing where a test says nothing: no spread and no difference.
    fn new(difference: f64, error: f64, degrees: f64) -> Option<TTest> {
        if error == 0.0 {
            let t = f64::INFINITY.copysign(difference);
            return (difference != 0.0).then_some(TTest { t, degrees, p: 0.0 });
        }
        let t = difference / error;
        let student = StudentsT::new(0.0, 1.0, degrees).ok()?;
        Some(TTest { t, degrees, p: (2.0 * student.sf(t.abs())).min(1.0) })
    }
}

/// Paired test (`scipy.stats.ttest_rel(b, a)`), from the differences b − a. Nothing for fewer than two pairs, or where all
/// differences are 0.
pub fn paired_t_test(differences: &[f64]) -> Option<TTest> {
    let n = differences.len();
    if n < 2 {
        return None;
    }
    TTest::new(mean(differences), standard_deviation(differences, 1) / (n as f64).sqrt(), n as f64 - 1.0)
}

/// Welch's test of two independent samples of unequal variance (`scipy.stats.ttest_ind(b, a, equal_var=False)`). Nothing for
/// fewer than two values on either side, or where neither varies and they agree.
pub fn welch_t_test(a: &[f64], b: &[f64]) -> Option<TTest> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (va, vb) = (standard_deviation(a, 1).powi(2) / n, standard_deviation(b, 1).powi(2) / m);
    let degrees =
        if va + vb > 0.0 { (va + vb).powi(2) / (va * va / (n - 1.0) + vb * vb / (m - 1.0)) } else { n + m - 2.0 };
    TTest::new(mean(b) - mean(a), (va + vb).sqrt(), degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_without_spread_says_so() {
        assert_eq!(paired_t_test(&[0.0, 0.0, 0.0]), None);
        let certain = paired_t_test(&[1.0, 1.0]).unwrap();
        assert_eq!((certain.t, certain.p), (f64::INFINITY, 0.0));
        assert_eq!((paired_t_test(&[1.0]), welch_t_test(&[1.0], &[1.0, 2.0])), (None, None));
    }
}
