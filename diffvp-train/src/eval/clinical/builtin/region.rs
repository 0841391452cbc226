//! Sections of a report, and the region of the body that a sentence speaks of.

use regex::{Regex, RegexSet};
use serde::Deserialize;

use super::phrase::{PhraseError, compile_any};
use super::text::Sentence;

/// Regions as bits, in the order of `rules/regions.toml`.
pub(super) type Regions = u16;

/// The table `regions.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Headings of sections that state findings; they end an ignored one.
    stating: Vec<String>,
    /// Headings of sections that state none, such as the indication.
    ignored: Vec<String>,
    region: Vec<RegionTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionTable {
    name: String,
    /// Words that make a heading of the region.
    headings: Vec<String>,
    /// Words that show that a sentence speaks of it.
    words: Vec<String>,
}

/// The compiled table.
#[derive(Debug)]
pub(super) struct RegionTables {
    names: Vec<String>,
    /// One expression a region: which of them a sentence holds is asked once.
    words: RegexSet,
    headings: Vec<Regex>,
    stating: Regex,
    ignored: Regex,
    numbered: Regex,
}

/// What the text up to a sentence says about it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// Regions that the heading names; 0 without one.
    heading: Regions,
    /// Regions of the last sentence that named any.
    last: Regions,
    ignored: bool,
}

impl RegionTables {
    pub(super) fn parse(toml: &str) -> Result<RegionTables, PhraseError> {
        let table: Table = toml::from_str(toml).map_err(|e| PhraseError(format!("regions.toml: {e}")))?;
        if table.region.len() > Regions::BITS as usize {
            return Err(PhraseError(format!("regions.toml: {} regions, and 16 at most", table.region.len())));
        }
        let whole = |phrases: &[String]| {
            let any = compile_any(phrases)?;
            Regex::new(&format!("^(?:{})$", any.as_str())).map_err(|e| PhraseError(e.to_string()))
        };
        let words = table.region.iter().map(|r| compile_any(&r.words)).collect::<Result<Vec<_>, _>>()?;
        Ok(RegionTables {
            names: table.region.iter().map(|r| r.name.clone()).collect(),
            words: RegexSet::new(words.iter().map(Regex::as_str)).map_err(|e| PhraseError(e.to_string()))?,
            headings: table.region.iter().map(|r| whole(&r.headings)).collect::<Result<_, _>>()?,
            stating: whole(&table.stating)?,
            ignored: whole(&table.ignored)?,
            numbered: Regex::new(r"^(?:the )?region [0-9]+ is ").map_err(|e| PhraseError(e.to_string()))?,
        })
    }

    /// The bit of a region.
    pub(super) fn bit(&self, name: &str) -> Result<Regions, PhraseError> {
        let index = self.names.iter().position(|n| n == name);
        index.map(|i| 1 << i).ok_or_else(|| PhraseError(format!("no region {name:?}; there are {:?}", self.names)))
    }

    /// Takes headings off the front of a sentence and follows them. Returns what is left, with the regions it
    /// speaks of: those it names, else that of the heading, else those of the sentence before. `None` where nothing
    /// is left or the section states no findings.
    pub(super) fn follow<'a>(&self, sentence: &'a Sentence, place: &mut Place) -> Option<(&'a str, Regions)> {
        let mut words = sentence.words.as_str();
        while let Some((heading, rest)) = words.split_once(':').map(|(h, r)| (h.trim(), r.trim())) {
            if !self.heading(heading, place) {
                break;
            }
            words = rest;
        }
        if sentence.line && self.heading(words, place) || words.is_empty() || place.ignored {
            return None;
        }
        let named = self.named(words);
        let regions = match (named, place.heading) {
            (0, 0) => place.last,
            (0, heading) => heading,
            (named, _) => named,
        };
        if named != 0 {
            place.last = named;
        }
        Some((words, regions))
    }

    fn heading(&self, words: &str, place: &mut Place) -> bool {
        // Headings are short; a long text before a colon is none.
        if words.len() > 60 {
            return false;
        }
        let words = self.numbered.find(words).map_or(words, |m| &words[m.end()..]);
        if self.stating.is_match(words) {
            *place = Place::default();
            return true;
        }
        if self.ignored.is_match(words) {
            *place = Place { ignored: true, ..Place::default() };
            return true;
        }
        // "Lungs and pleura" is the heading of two regions.
        let parts = || words.split(" and ").flat_map(|w| w.split(" , ")).flat_map(|w| w.split(" & "));
        let one = |words: &str| {
            (0..self.names.len()).filter(|&i| self.headings[i].is_match(words)).fold(0, |r, i| r | 1 << i)
        };
        let whole: Regions = one(words);
        let regions: Regions = if whole != 0 { whole } else { parts().map(one).fold(0, |a, b| a | b) };
        if regions == 0 || whole == 0 && !parts().all(|part| one(part) != 0) {
            return false;
        }
        *place = Place { heading: regions, last: 0, ignored: false };
        true
    }

    fn named(&self, words: &str) -> Regions {
        self.words.matches(words).iter().fold(0, |regions, index| regions | 1 << index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{REGIONS, text};
    use super::*;

    fn follow(report: &str) -> Vec<(String, Vec<String>)> {
        let tables = RegionTables::parse(REGIONS).unwrap();
        let mut place = Place::default();
        let mut found = Vec::new();
        for sentence in text::sentences(report) {
            if let Some((words, regions)) = tables.follow(&sentence, &mut place) {
                let names = tables.names.iter().filter(|name| regions & tables.bit(name).unwrap() != 0);
                found.push((words.to_owned(), names.cloned().collect()));
            }
        }
        found
    }

    #[test]
    fn headings_of_every_form_are_taken_off() {
        for report in
            ["The region 5 is lung: A nodule.", "Lung: A nodule.", "LUNGS\nA nodule", "Findings: Lungs: A nodule"]
        {
            assert_eq!(follow(report), [("a nodule".to_owned(), vec!["lung".to_owned()])], "{report}");
        }
        assert_eq!(follow("Lungs and pleura: clear")[0].1, ["lung", "pleura"]);
        assert_eq!(follow("The region 9 is trachea and bronchie: open")[0].1, ["airways"]);
    }

    #[test]
    fn a_sentence_without_a_region_stays_where_the_text_is() {
        let found = follow(
            "A nodule in the thyroid. It is stable. In the right lung a cyst. A second one. Impression: A third.",
        );
        assert_eq!(
            found.iter().map(|(_, r)| r.join(" ")).collect::<Vec<_>>(),
            ["thyroid", "thyroid", "lung", "lung", ""]
        );
    }

    #[test]
    fn sections_that_state_nothing_are_left_out() {
        assert_eq!(
            follow("Indication: effusion? Cough.\nFindings: none seen. Technique: catheter"),
            [("none seen".to_owned(), vec![])]
        );
    }
}
