//! What the sentences of a report state to be there: findings with their sides, lobes and sizes.
//!
//! The rules of the built-in labeller say which findings a sentence states; places and sizes are read beside them. Used
//! to warm up the resampler on what reports of training state, and to compare reports with the exact truth of phantoms.

use crate::eval::clinical::builtin::RuleLabeller;
use crate::labels::FINDINGS;

/// A finding that a sentence states to be there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statement {
    /// Index in [`FINDINGS`].
    pub finding: usize,
    /// Right, left; neither where the sentence names no side.
    pub sides: [bool; 2],
    /// Upper, middle, lower lobe; none where the sentence names none.
    pub lobes: [bool; 3],
    /// Size in mm, where the sentence gives one.
    pub size_mm: Option<f32>,
}

/// The statements of regions and their texts, in the order of the text. A region without a name is the whole scan.
pub fn statements<'t>(regions: impl IntoIterator<Item = (&'t str, &'t str)>) -> Vec<Statement> {
    let labeller = RuleLabeller::get();
    let mut found = Vec::new();
    for (region, text) in regions {
        for sentence in sentences(text) {
            let mut stated = [false; FINDINGS.len()];
            let whole = if region.is_empty() { sentence.clone() } else { format!("{region}: {sentence}") };
            for evidence in labeller.explain(&whole) {
                stated[evidence.finding] |= evidence.counts;
            }
            let count = stated.iter().filter(|s| **s).count();
            // One size in a sentence on two things belongs to either.
            let size_mm = if count == 1 { millimetres(&sentence) } else { None };
            let (sides, lobes) = places(&sentence);
            let one = |finding| Statement { finding, sides, lobes, size_mm };
            found.extend((0..FINDINGS.len()).filter(|&k| stated[k]).map(one));
        }
    }
    found
}

fn places(sentence: &str) -> ([bool; 2], [bool; 3]) {
    let has = |words: &[&str]| words.iter().any(|w| has_word(sentence, w));
    let both = has(&["both", "bilateral", "bilaterally"]);
    let sides = [both || has(&["right"]), both || has(&["left"])];
    // The ventricle in which a lead ends is not the side it comes from.
    let ventricle = sentence.contains("right ventricle") && !sentence.contains("right chest");
    let sides = [sides[0] && !ventricle, sides[1]];
    (sides, [has(&["upper", "lingula", "lingular"]), has(&["middle"]), has(&["lower"])])
}

/// Sentences in lower case. A full stop inside a number ends none.
fn sentences(text: &str) -> Vec<String> {
    text.to_lowercase().split(". ").map(|s| s.trim_end_matches('.').to_string()).filter(|s| !s.is_empty()).collect()
}

fn has_word(sentence: &str, word: &str) -> bool {
    sentence.split(|c: char| !c.is_alphanumeric()).any(|w| w == word)
}

/// The first size in a sentence, in mm.
fn millimetres(sentence: &str) -> Option<f32> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    words.windows(2).find_map(|w| {
        let factor = match w[1].trim_matches(|c: char| !c.is_alphanumeric()) {
            "mm" => 1.0,
            "cm" => 10.0,
            _ => return None,
        };
        let value: f32 = w[0].trim_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
        (value > 0.0 && value < 1000.0).then_some(value * factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{PhantomOptions, report, truth};

    #[test]
    fn sides_lobes_and_sizes_are_read() {
        let text = "A 12 mm solid nodule is seen in the right upper lobe. No consolidation is seen in the left lung. \
                    Consolidation of 2.5 cm in both lower lobes.";
        let found = statements([("lung", text)]);
        let nodule = Statement { finding: 9, sides: [true, false], lobes: [true, false, false], size_mm: Some(12.0) };
        let consolidation =
            Statement { finding: 15, sides: [true, true], lobes: [false, false, true], size_mm: Some(25.0) };
        assert_eq!(found, [nodule, consolidation]);
    }

    /// The reports of phantoms state what is in them and nothing else, whatever the phrasing.
    #[test]
    fn reports_of_phantoms_are_read_without_an_error() {
        let mut wrong = std::collections::BTreeMap::<String, usize>::new();
        for index in 0..200 {
            let truth = truth(5, index, &PhantomOptions::default()).unwrap();
            let regions = report(&truth);
            let found = statements(regions.iter().map(|r| (r.region, r.text.as_str())));
            for (k, label) in FINDINGS.iter().enumerate() {
                let (there, said) = (truth.has(label), found.iter().any(|s| s.finding == k));
                if there != said {
                    *wrong.entry(format!("{label}: there {there}, read {said}")).or_default() += 1;
                }
            }
            for statement in &found {
                let label = FINDINGS[statement.finding];
                let sides = [("right", 0), ("left", 1)].map(|(word, s)| (word, statement.sides[s]));
                let sided = truth.of(label).any(|f| f.side.is_some());
                if sided && sides.iter().any(|s| s.1) {
                    let right = sides
                        .iter()
                        .filter(|s| s.1)
                        .all(|(word, _)| truth.of(label).any(|f| f.side.is_some_and(|side| side.word() == *word)));
                    if !right {
                        *wrong.entry(format!("{label}: side")).or_default() += 1;
                    }
                }
                if let Some(mm) = statement.size_mm
                    && !truth.of(label).any(|f| (f.size_mm as f32 - mm).abs() <= 0.51)
                {
                    *wrong.entry(format!("{label}: size")).or_default() += 1;
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
