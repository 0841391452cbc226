//! Thresholds of the findings, and how good predictions are.

/// Counts of one or all findings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Scores {
    /// Predicted and there.
    pub(super) hits: u64,
    /// Predicted and not there.
    pub(super) false_alarms: u64,
    /// There and not predicted.
    pub(super) misses: u64,
}

impl Scores {
    /// 2 hits / (2 hits + false alarms + misses); 0 where there is nothing to find.
    pub(super) fn f1(&self) -> f64 {
        let all = 2 * self.hits + self.false_alarms + self.misses;
        if all == 0 { 0.0 } else { 2.0 * self.hits as f64 / all as f64 }
    }

    /// Hits among the predicted; 0 where nothing is predicted.
    pub(super) fn precision(&self) -> f64 {
        ratio(self.hits, self.hits + self.false_alarms)
    }

    /// Hits among those that are there.
    pub(super) fn recall(&self) -> f64 {
        ratio(self.hits, self.hits + self.misses)
    }

    fn count(&mut self, predicted: bool, there: bool) {
        match (predicted, there) {
            (true, true) => self.hits += 1,
            (true, false) => self.false_alarms += 1,
            (false, true) => self.misses += 1,
            (false, false) => {}
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A threshold that no probability reaches.
pub(super) const NEVER: f32 = 2.0;

/// For each label the threshold with the best F1 among those whose precision is at least `least_precision`, or
/// [`NEVER`]. A threshold chosen by F1 alone lets a label that cannot be told fire on half of the scans.
pub(super) fn choose(probabilities: &[Vec<f32>], truth: &[Vec<u8>], least_precision: f64) -> Vec<f32> {
    (0..truth.first().map_or(0, Vec::len)).map(|k| choose_one(probabilities, truth, k, least_precision)).collect()
}

fn choose_one(probabilities: &[Vec<f32>], truth: &[Vec<u8>], k: usize, least_precision: f64) -> f32 {
    let mut pairs: Vec<(f32, bool)> = probabilities.iter().zip(truth).map(|(p, y)| (p[k], y[k] == 1)).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let there = pairs.iter().filter(|pair| pair.1).count() as u64;
    let (mut best, mut threshold) = (0.0, NEVER);
    let mut scores = Scores { misses: there, ..Scores::default() };
    for (i, &(p, y)) in pairs.iter().enumerate() {
        if y {
            (scores.hits, scores.misses) = (scores.hits + 1, scores.misses - 1);
        } else {
            scores.false_alarms += 1;
        }
        let next = pairs.get(i + 1).map(|pair| pair.0);
        if next == Some(p) {
            continue;
        }
        if scores.f1() > best && scores.precision() >= least_precision {
            best = scores.f1();
            // Halfway to the next one: what is nearest to the boundary on other scans may lie on either side.
            threshold = next.map_or(p, |next| 0.5 * (p + next));
        }
    }
    threshold
}

/// Scores over all labels.
pub(super) fn scores(probabilities: &[Vec<f32>], truth: &[Vec<u8>], thresholds: &[f32]) -> Scores {
    let mut all = Scores::default();
    for (p, y) in probabilities.iter().zip(truth) {
        p.iter().zip(y).zip(thresholds).for_each(|((p, y), t)| all.count(p >= t, *y == 1));
    }
    all
}

/// Scores of each label.
pub(super) fn per_label(probabilities: &[Vec<f32>], truth: &[Vec<u8>], thresholds: &[f32]) -> Vec<Scores> {
    let mut labels = vec![Scores::default(); thresholds.len()];
    for (p, y) in probabilities.iter().zip(truth) {
        for (k, label) in labels.iter_mut().enumerate() {
            label.count(p[k] >= thresholds[k], y[k] == 1);
        }
    }
    labels
}

/// Mean over the labels of the probability that a scan with the finding gets more than one without; labels that all or no
/// scan has are left out.
pub(super) fn mean_auc(probabilities: &[Vec<f32>], truth: &[Vec<u8>]) -> f64 {
    let labels = truth.first().map_or(0, Vec::len);
    let aucs: Vec<f64> = (0..labels).filter_map(|k| auc(probabilities, truth, k)).collect();
    if aucs.is_empty() { 0.5 } else { aucs.iter().sum::<f64>() / aucs.len() as f64 }
}

fn auc(probabilities: &[Vec<f32>], truth: &[Vec<u8>], k: usize) -> Option<f64> {
    let of = |wanted: u8| -> Vec<f32> {
        probabilities.iter().zip(truth).filter(|(_, y)| y[k] == wanted).map(|(p, _)| p[k]).collect()
    };
    let (with, without) = (of(1), of(0));
    if with.is_empty() || without.is_empty() {
        return None;
    }
    let wins: f64 = with
        .iter()
        .map(|a| {
            without
                .iter()
                .map(|b| {
                    if a > b {
                        1.0
                    } else if a == b {
                        0.5
                    } else {
                        0.0
                    }
                })
                .sum::<f64>()
        })
        .sum();
    Some(wins / (with.len() * without.len()) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hopeless_labels_never_fire_and_clear_ones_are_cut_between() {
        let p: Vec<Vec<f32>> = (0..10).map(|i| vec![i as f32 / 10.0, [0.3, 0.8][i % 2]]).collect();
        let y: Vec<Vec<u8>> = (0..10).map(|i| vec![u8::from(i >= 7), u8::from(i == 4)]).collect();
        let chosen = choose(&p, &y, 0.4);
        assert_eq!(chosen, [0.65, NEVER]);
        assert_eq!(scores(&p, &y, &chosen), Scores { hits: 3, false_alarms: 0, misses: 1 });
        assert_eq!(per_label(&p, &y, &chosen)[0].f1(), 1.0);
        assert!(choose(&p, &y, 0.0)[1] < 1.0, "F1 alone would let it fire");
    }

    #[test]
    fn auc_counts_pairs() {
        let p = vec![vec![0.1], vec![0.4], vec![0.35], vec![0.8]];
        let y = vec![vec![0], vec![0], vec![1], vec![1]];
        assert_eq!(mean_auc(&p, &y), 0.75);
    }
}
