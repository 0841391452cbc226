//! Region headings in the text: `The region 3 is trachea and bronchie: …`, the form of the lineage.

use std::collections::{BTreeMap, BTreeSet};

use crate::eval::text::{Pair, python};

/// A piece of a report under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The number in the heading.
    pub number: String,
    /// The region.
    pub name: String,
    /// The text below the heading, without white space around.
    pub text: String,
}

const MARK: &str = "The region ";
const OTHER: &str = "The other report is";

/// The sections of a report, in order. A section ends where the next heading starts; a heading without a colon ends one and
/// starts none.
pub fn sections(report: &str) -> Vec<Section> {
    // What follows the regions in CTRG's form belongs to no one region.
    let report = report.split(OTHER).next().unwrap_or_default();
    let starts: Vec<usize> =
        report.match_indices(MARK).map(|(at, _)| at).filter(|&at| mark(&report[at..]).is_some()).collect();
    let mut found = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        let piece = &report[start..starts.get(i + 1).copied().unwrap_or(report.len())];
        let Some((number, rest)) = mark(piece) else { continue };
        if let Some((name, text)) = rest.split_once(':') {
            let name = name.strip_prefix(' ').unwrap_or(name);
            found.push(Section { number: number.into(), name: name.into(), text: python::trim(text).into() });
        }
    }
    found
}

/// `The region \d+ is` at the start of a text: the number, and what follows.
fn mark(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(MARK)?;
    let digits = rest.find(|c: char| !python::is_digit(c)).filter(|&digits| digits > 0)?;
    Some((&rest[..digits], rest[digits..].strip_prefix(" is")?))
}

/// Text by region: sections of the same region are joined by a space, empty ones left out.
pub fn region_texts(report: &str) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for section in sections(report).into_iter().filter(|section| !section.text.is_empty()) {
        let text = texts.entry(section.name).or_default();
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&section.text);
    }
    texts
}

/// Takes pairs of reports apart: for each region of the references, the pairs of its texts.
///
/// As the lineage does, a region is scored where both reports have it. With `missing_scores_zero`, a region that only the reference
/// has is scored against nothing, which is 0 in every metric.
pub fn region_pairs(pairs: &[Pair], missing_scores_zero: bool) -> BTreeMap<String, Vec<Pair>> {
    let mut by_region: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
    for pair in pairs {
        let (references, mut predictions) = (region_texts(&pair.reference), region_texts(&pair.prediction));
        for (region, reference) in references {
            let prediction = match predictions.remove(&region) {
                Some(text) => text,
                None if missing_scores_zero => String::new(),
                None => continue,
            };
            let pair = Pair { row: pair.row, id: pair.id.clone(), reference, prediction };
            by_region.entry(region).or_default().push(pair);
        }
    }
    by_region
}

/// Names of the regions a report speaks of.
pub(crate) fn names(report: &str) -> BTreeSet<String> {
    region_texts(report).into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_taken_apart_by_heading() {
        let report = "The region 0 is lung: Clear. The region 1 is trachea and bronchie:  Open.\nThe region 2 is lung: No nodule. The region 3 is bone: ";
        let texts = region_texts(report);
        assert_eq!(texts["lung"], "Clear. No nodule.");
        assert_eq!(texts["trachea and bronchie"], "Open.");
        assert_eq!(texts.len(), 2);
        assert_eq!(sections(report).len(), 4);
        assert!(sections("The region of interest is: x").is_empty());
    }

    #[test]
    fn only_common_regions_are_paired_unless_asked() {
        let pair = Pair {
            row: 1,
            id: None,
            reference: "The region 0 is lung: a. The region 1 is bone: b.".into(),
            prediction: "The region 0 is lung: c. The region 1 is heart: d.".into(),
        };
        assert_eq!(region_pairs(std::slice::from_ref(&pair), false).keys().collect::<Vec<_>>(), ["lung"]);
        let all = region_pairs(&[pair], true);
        assert_eq!(all["bone"][0].prediction, "");
        assert_eq!(all.len(), 2);
    }
}
