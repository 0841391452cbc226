//! Whether the right regions are reported.

use std::collections::BTreeMap;

use serde::Serialize;

use super::headings::names;
use super::sections;
use crate::eval::statistics::{mean, standard_deviation};
use crate::eval::text::Pair;

/// Decisions about one region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RegionCounts {
    /// In both reports (or numbered alike).
    pub true_positives: u64,
    /// In the prediction only.
    pub false_positives: u64,
    /// In the reference only.
    pub false_negatives: u64,
}

/// Rates of one region, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RegionRates {
    /// The counts.
    #[serde(flatten)]
    pub counts: RegionCounts,
    /// Precision.
    pub precision: f64,
    /// Recall.
    pub recall: f64,
    /// F1.
    pub f1: f64,
}

/// Presence by name: whether a region with any text is in both reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Presence {
    /// By region.
    pub regions: BTreeMap<String, RegionRates>,
    /// Share of (report, region) decisions that agree, over all regions that any report has.
    pub accuracy: f64,
    /// Over the summed counts.
    pub micro_f1: f64,
    /// Mean of the regions' F1.
    pub macro_f1: f64,
}

/// The lineage's measure: whether the prediction gives each numbered region the same name as the reference. In Reg2RG the model is
/// shown numbered crops and must say what they are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberedRegions {
    /// By the first word of the region's name, as the lineage's script takes it.
    pub regions: BTreeMap<String, RegionRates>,
    /// Mean over reports of the share of regions named rightly.
    pub accuracy_mean: f64,
    /// Its standard deviation, n in the denominator.
    pub accuracy_std: f64,
}

/// Presence of regions by name, in texts with headings.
pub fn presence(pairs: &[Pair]) -> Presence {
    let reported: Vec<_> = pairs.iter().map(|pair| (names(&pair.reference), names(&pair.prediction))).collect();
    let mut counts: BTreeMap<String, RegionCounts> = BTreeMap::new();
    for (reference, prediction) in &reported {
        for region in reference.union(prediction) {
            let count = counts.entry(region.clone()).or_default();
            match (reference.contains(region), prediction.contains(region)) {
                (true, true) => count.true_positives += 1,
                (true, false) => count.false_negatives += 1,
                _ => count.false_positives += 1,
            }
        }
    }
    let mut total = RegionCounts::default();
    for count in counts.values() {
        total.true_positives += count.true_positives;
        total.false_positives += count.false_positives;
        total.false_negatives += count.false_negatives;
    }
    let decisions = (pairs.len() * counts.len()) as f64;
    let wrong = (total.false_positives + total.false_negatives) as f64;
    let regions: BTreeMap<String, RegionRates> =
        counts.into_iter().map(|(region, counts)| (region, rates(counts, 0.0))).collect();
    let f1: Vec<f64> = regions.values().map(|rates| rates.f1).collect();
    let accuracy = if decisions > 0.0 { 1.0 - wrong / decisions } else { 0.0 };
    Presence { accuracy, micro_f1: rates(total, 0.0).f1, macro_f1: mean(&f1), regions }
}

/// Agreement of numbered regions. A report of reference without a numbered region is left out of the accuracy.
pub fn numbered(pairs: &[Pair]) -> NumberedRegions {
    /// What the lineage's script adds to each denominator.
    const EPSILON: f64 = 1e-5;
    let by_number = |text: &str| -> BTreeMap<String, String> {
        sections(text).into_iter().map(|section| (section.number, first_word(&section.name))).collect()
    };
    let reports: Vec<_> = pairs.iter().map(|pair| (by_number(&pair.reference), by_number(&pair.prediction))).collect();
    let mut counts: BTreeMap<String, RegionCounts> = BTreeMap::new();
    for (reference, _) in &reports {
        for name in reference.values() {
            counts.entry(name.clone()).or_default();
        }
    }
    let mut accuracies = Vec::new();
    for (reference, prediction) in &reports {
        let mut right = 0;
        for (number, name) in reference {
            let said = prediction.get(number);
            if said == Some(name) {
                right += 1;
                counts.entry(name.clone()).or_default().true_positives += 1;
                continue;
            }
            counts.entry(name.clone()).or_default().false_negatives += 1;
            // A name that is no region of the references is a miss only.
            if let Some(count) = said.and_then(|said| counts.get_mut(said)) {
                count.false_positives += 1;
            }
        }
        if !reference.is_empty() {
            accuracies.push(f64::from(right) / reference.len() as f64);
        }
    }
    let regions = counts.into_iter().map(|(region, counts)| (region, rates(counts, EPSILON))).collect();
    NumberedRegions { regions, accuracy_mean: mean(&accuracies), accuracy_std: standard_deviation(&accuracies, 0) }
}

fn first_word(name: &str) -> String {
    name.chars().take_while(|&c| crate::eval::text::python::is_word(c)).collect()
}

fn rates(counts: RegionCounts, epsilon: f64) -> RegionRates {
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let hits = counts.true_positives as f64;
    let precision = share(hits, hits + counts.false_positives as f64 + epsilon);
    let recall = share(hits, hits + counts.false_negatives as f64 + epsilon);
    let f1 = share(2.0 * precision * recall, precision + recall + epsilon);
    RegionRates { counts, precision, recall, f1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(reference: &str, prediction: &str) -> Pair {
        Pair { row: 1, id: None, reference: reference.into(), prediction: prediction.into() }
    }

    #[test]
    fn presence_is_by_name() {
        let pairs = [
            pair(
                "The region 0 is lung: a. The region 1 is bone: b.",
                "The region 4 is lung: c. The region 1 is heart: d.",
            ),
            pair("The region 0 is lung: a.", "The region 0 is lung: c."),
        ];
        let presence = presence(&pairs);
        assert_eq!(presence.regions["lung"].counts.true_positives, 2);
        assert_eq!((presence.regions["bone"].recall, presence.regions["heart"].precision), (0.0, 0.0));
        assert_eq!(presence.accuracy, 1.0 - 2.0 / 6.0);
    }

    #[test]
    fn numbers_must_agree_in_the_lineages_measure() {
        let pairs = [pair(
            "The region 0 is lung: a. The region 1 is bone: b.",
            "The region 1 is lung: c. The region 0 is lung: d.",
        )];
        let numbered = numbered(&pairs);
        assert_eq!(numbered.accuracy_mean, 0.5);
        let lung = numbered.regions["lung"].counts;
        assert_eq!((lung.true_positives, lung.false_positives), (1, 1));
        assert_eq!(numbered.regions["bone"].counts.false_negatives, 1);
    }
}
