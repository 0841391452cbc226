//! Precision, recall and F1 of label sets, as `sklearn.metrics.classification_report(…, zero_division=0)` has them.

use serde::Serialize;

use super::Labels;

/// Right and wrong answers about one label, or about all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the truth and predicted.
    pub true_positives: u64,
    /// Predicted, but not in the truth.
    pub false_positives: u64,
    /// In the truth, but not predicted.
    pub false_negatives: u64,
}

impl Counts {
    /// How often the label is in the truth.
    pub fn support(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// Precision, recall and F1; each 0 where its denominator is.
    pub fn prf(&self) -> Prf {
        let ratio = |over: u64| if over == 0 { 0.0 } else { self.true_positives as f64 / over as f64 };
        let answers = 2 * self.true_positives + self.false_positives + self.false_negatives;
        Prf {
            precision: ratio(self.true_positives + self.false_positives),
            recall: ratio(self.support()),
            f1: 2.0 * ratio(answers),
        }
    }

    fn add(&mut self, truth: bool, predicted: bool) {
        match (truth, predicted) {
            (true, true) => self.true_positives += 1,
            (false, true) => self.false_positives += 1,
            (true, false) => self.false_negatives += 1,
            (false, false) => {}
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), |sum, counts| Counts {
            true_positives: sum.true_positives + counts.true_positives,
            false_positives: sum.false_positives + counts.false_positives,
            false_negatives: sum.false_negatives + counts.false_negatives,
        })
    }
}

/// Precision, recall and their harmonic mean, from 0 to 1.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub struct Prf {
    /// Of what was predicted, the part that is true.
    pub precision: f64,
    /// Of what is true, the part that was predicted.
    pub recall: f64,
    /// 2·TP / (2·TP + FP + FN).
    pub f1: f64,
}

impl Prf {
    fn mean(parts: impl Iterator<Item = (Prf, f64)>) -> Prf {
        let (mut sum, mut weights) = (Prf::default(), 0.0);
        for (prf, weight) in parts {
            sum.precision += prf.precision * weight;
            sum.recall += prf.recall * weight;
            sum.f1 += prf.f1 * weight;
            weights += weight;
        }
        if weights == 0.0 {
            return Prf::default();
        }
        Prf { precision: sum.precision / weights, recall: sum.recall / weights, f1: sum.f1 / weights }
    }
}

/// Counts that grow report by report, in constant memory.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Scores {
    reports: u64,
    labels: [Counts; 18],
    /// Sums over reports of their own precision, recall and F1.
    samples: Prf,
    /// Reports with every label right.
    exact: u64,
}

impl Scores {
    /// Adds one report.
    pub fn add(&mut self, truth: &Labels, predicted: &Labels) {
        let mut own = Counts::default();
        for ((counts, truth), predicted) in self.labels.iter_mut().zip(truth).zip(predicted) {
            counts.add(*truth, *predicted);
            own.add(*truth, *predicted);
        }
        let prf = own.prf();
        self.samples.precision += prf.precision;
        self.samples.recall += prf.recall;
        self.samples.f1 += prf.f1;
        self.reports += 1;
        self.exact += u64::from(truth == predicted);
    }

    /// Number of reports.
    pub fn reports(&self) -> u64 {
        self.reports
    }

    /// Counts of each label, in the order of [`FINDINGS`](crate::labels::FINDINGS).
    pub fn labels(&self) -> &[Counts; 18] {
        &self.labels
    }

    /// Counts over all (report, label) pairs together.
    pub fn total(&self) -> Counts {
        self.labels.iter().copied().sum()
    }

    /// From the counts of all pairs together: what papers on reports print.
    pub fn micro(&self) -> Prf {
        self.total().prf()
    }

    /// Mean of the labels' scores, each label with the same weight, also those with no support.
    pub fn macro_average(&self) -> Prf {
        Prf::mean(self.labels.iter().map(|counts| (counts.prf(), 1.0)))
    }

    /// Mean of the labels' scores, weighted by support.
    pub fn weighted(&self) -> Prf {
        Prf::mean(self.labels.iter().map(|counts| (counts.prf(), counts.support() as f64)))
    }

    /// Mean of the reports' own scores; a report without any label in truth and prediction counts as 0, as in sklearn.
    pub fn samples(&self) -> Prf {
        let n = self.reports.max(1) as f64;
        Prf { precision: self.samples.precision / n, recall: self.samples.recall / n, f1: self.samples.f1 / n }
    }

    /// Part of the reports with every label right.
    pub fn exact_match(&self) -> f64 {
        self.exact as f64 / self.reports.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(present: &[usize]) -> Labels {
        std::array::from_fn(|i| present.contains(&i))
    }

    #[test]
    fn averages_by_hand() {
        let mut scores = Scores::default();
        scores.add(&labels(&[0, 1]), &labels(&[0]));
        scores.add(&labels(&[]), &labels(&[1]));
        scores.add(&labels(&[]), &labels(&[]));
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        assert_eq!(scores.total(), Counts { true_positives: 1, false_positives: 1, false_negatives: 1 });
        close(scores.micro().f1, 0.5);
        close(scores.macro_average().f1, 1.0 / 18.0);
        close(scores.weighted().f1, 0.5);
        close(scores.samples().f1, (2.0 / 3.0) / 3.0);
        close(scores.samples().precision, 1.0 / 3.0);
        close(scores.exact_match(), 1.0 / 3.0);
    }

    #[test]
    fn nothing_scores_nothing_and_no_nan() {
        let scores = Scores::default();
        for prf in [scores.micro(), scores.macro_average(), scores.weighted(), scores.samples()] {
            assert_eq!(prf, Prf::default());
        }
    }
}
