//! Facts that a report states, as numbers: what the resampler is warmed up on.
//!
//! For each finding: whether it is there (the label), and where its sentences say so, its sides, lobes and size. What a
//! report does not state is not asked.

use crate::data::Sample;
use crate::labels::FINDINGS;
use crate::statement::{Statement, statements};

/// Numbers of one finding behind the 18 labels: right, left, upper, middle, lower, size.
const OF_FINDING: usize = 6;
/// Number of facts.
pub(super) const FACTS: usize = FINDINGS.len() * (1 + OF_FINDING);
/// Sizes are learned as `ln(mm / 20)`, which is within ±3 for anything in a chest.
const SIZE_UNIT_MM: f32 = 20.0;

/// Facts of one report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// Values, [`FACTS`] of them.
    pub(super) values: Vec<f32>,
    /// 1 where the report states the fact, else 0.
    pub(super) stated: Vec<f32>,
}

/// Whether a fact is a size rather than a yes or no.
pub(super) fn is_size(fact: usize) -> bool {
    fact >= FINDINGS.len() && (fact - FINDINGS.len()) % OF_FINDING == OF_FINDING - 1
}

/// Whether a fact is a side.
pub(super) fn is_side(fact: usize) -> bool {
    fact >= FINDINGS.len() && (fact - FINDINGS.len()) % OF_FINDING < 2
}

/// Reads the facts of a report.
pub(super) fn read(sample: &Sample) -> Facts {
    let mut facts = Facts { values: vec![0.0; FACTS], stated: vec![0.0; FACTS] };
    for (k, &label) in sample.labels.iter().enumerate() {
        (facts.values[k], facts.stated[k]) = (f32::from(label), 1.0);
    }
    let regions = sample.regions.iter().map(|(region, text)| (region.as_str(), text.as_str()));
    let whole = sample.report.iter().filter(|_| sample.regions.is_empty()).map(|report| ("", report.as_str()));
    for statement in statements(regions.chain(whole)) {
        // A sentence against the label is a sentence misread.
        if sample.labels.get(statement.finding) == Some(&1) {
            facts.add(&statement);
        }
    }
    facts
}

impl Facts {
    fn add(&mut self, statement: &Statement) {
        let at = FINDINGS.len() + statement.finding * OF_FINDING;
        let mut state = |offset: usize, values: &[bool]| {
            if values.iter().any(|v| *v) {
                for (i, &value) in values.iter().enumerate() {
                    // A second finding of the kind adds its place.
                    let fact = at + offset + i;
                    (self.values[fact], self.stated[fact]) = (self.values[fact].max(f32::from(u8::from(value))), 1.0);
                }
            }
        };
        state(0, &statement.sides);
        state(2, &statement.lobes);
        if let Some(mm) = statement.size_mm {
            let (fact, size) = (at + 5, (mm / SIZE_UNIT_MM).ln());
            let first = self.stated[fact] == 0.0;
            self.values[fact] = if first { size } else { self.values[fact].max(size) };
            self.stated[fact] = 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::data::{LabelSource, Split};
    use crate::synth::{PhantomOptions, report, truth};

    fn sample(labels: &[usize], regions: &[(&str, &str)]) -> Sample {
        Sample {
            name: "a".into(),
            scan: PathBuf::from("a").into(),
            organs: None,
            finding_masks: None,
            labels: (0..18).map(|k| u8::from(labels.contains(&k))).collect(),
            label_source: LabelSource::Table,
            regions: regions.iter().map(|(r, t)| (r.to_string(), t.to_string())).collect(),
            report: None,
            normal: false,
            split: Split::Train,
        }
    }

    #[test]
    fn sides_lobes_and_sizes_are_read_and_the_rest_is_not_asked() {
        let text = "A 12 mm solid nodule is seen in the right upper lobe. No consolidation is seen in the left lung.";
        let facts = read(&sample(&[9, 15], &[("lung", text)]));
        let at = 18 + 9 * 6;
        assert_eq!(facts.values[at..at + 5], [1.0, 0.0, 1.0, 0.0, 0.0]);
        assert!((facts.values[at + 5] - 0.6f32.ln()).abs() < 1e-6);
        assert_eq!(facts.stated[at..at + 6], [1.0; 6]);
        let consolidation = 18 + 15 * 6;
        assert_eq!(facts.stated[consolidation..consolidation + 6], [0.0; 6], "negated");
        // The same from a report that is not divided into regions.
        let mut undivided = sample(&[9, 15], &[]);
        undivided.report = Some(text.into());
        assert_eq!(read(&undivided), facts);
        assert!(is_size(at + 5) && is_side(at + 1) && !is_side(at + 2) && !is_size(5));
    }

    /// On phantoms, whose truth is known: what is stated is true, and most of what can be stated is found.
    #[test]
    fn facts_of_phantoms_are_true() {
        let (mut sides, mut found, mut wrong) = (0, 0, 0);
        for index in 0..300 {
            let truth = truth(5, index, &PhantomOptions::default()).unwrap();
            let regions: Vec<_> = report(&truth).into_iter().map(|r| (r.region.to_string(), r.text)).collect();
            let mut sample = sample(&[], &[]);
            (sample.labels, sample.regions) = (truth.labels().to_vec(), regions);
            let facts = read(&sample);
            for (k, label) in FINDINGS.iter().enumerate().filter(|(k, _)| [8, 9, 10, 11, 12, 15, 16].contains(k)) {
                for (s, side) in ["right", "left"].iter().enumerate() {
                    let there = truth.of(label).any(|f| f.side.is_some_and(|have| have.word() == *side));
                    let fact = 18 + k * 6 + s;
                    sides += usize::from(there);
                    found += usize::from(there && facts.stated[fact] == 1.0 && facts.values[fact] == 1.0);
                    wrong += usize::from(facts.stated[fact] == 1.0 && (facts.values[fact] == 1.0) != there);
                }
            }
        }
        assert!(
            sides > 300 && found as f64 > 0.95 * sides as f64 && wrong <= sides / 100,
            "{found} of {sides}, {wrong} wrong"
        );
    }
}
