//! Finding the sections of a text by their headings.

use serde::Serialize;

use crate::package::manifest::SectionSpec;
use crate::{Warning, WarningCode};

/// A part of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Section {
    /// Region as the data spells it; empty for text that stands under no heading.
    pub region: String,
    /// Heading as printed; empty for text that stands under no heading.
    pub heading: String,
    /// Text without heading, trimmed, never empty.
    pub text: String,
}

/// Splits a text at the headings of a manifest.
///
/// A heading counts where it is followed by a colon and stands at the beginning, after the end of a
/// sentence or after a line break; case does not matter. Sections keep the order of the text. A heading
/// that comes again adds to its first section. Text before the first heading becomes a section without
/// region. Sections without text are left out.
pub fn parse_sections(text: &str, specs: &[SectionSpec]) -> (Vec<Section>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let marks = find_headings(text, specs);
    let mut sections: Vec<Section> = Vec::new();
    let first = marks.first().map_or(text.len(), |mark| mark.begin);
    push(&mut sections, "", "", &text[..first]);
    for (index, mark) in marks.iter().enumerate() {
        let end = marks.get(index + 1).map_or(text.len(), |next| next.begin);
        let spec = &specs[mark.spec];
        push(&mut sections, &spec.region, &spec.heading, &text[mark.end..end]);
    }
    if marks.is_empty() && !text.trim().is_empty() {
        warnings.push(Warning::new(WarningCode::NoSections, "the text has none of the section headings"));
    }
    (sections, warnings)
}

struct Mark {
    spec: usize,
    /// Where the heading begins.
    begin: usize,
    /// Where the text after the colon begins.
    end: usize,
}

fn find_headings(text: &str, specs: &[SectionSpec]) -> Vec<Mark> {
    let mut marks = Vec::new();
    // Every heading ends with a colon, so colons are the only places to look at.
    for (colon, _) in text.match_indices(':') {
        let before = &text[..colon];
        let longest = specs
            .iter()
            .enumerate()
            .filter(|(_, spec)| ends_with_heading(before, &spec.heading))
            .max_by_key(|(_, spec)| spec.heading.len());
        if let Some((spec, found)) = longest {
            marks.push(Mark { spec, begin: colon - found.heading.len(), end: colon + 1 });
        }
    }
    marks
}

fn ends_with_heading(before: &str, heading: &str) -> bool {
    let Some(begin) = before.len().checked_sub(heading.len()) else { return false };
    if heading.is_empty() || !before.is_char_boundary(begin) || !before[begin..].eq_ignore_ascii_case(heading) {
        return false;
    }
    let lead = &before[..begin];
    let without_space = lead.trim_end();
    let sentence_end = without_space.is_empty() || without_space.ends_with(['.', '!', '?', ';', ':']);
    let new_line = lead[without_space.len()..].contains('\n');
    // "…the lung:" inside a sentence is no heading, and neither is "heart.Lung:" a common typing error we guess at.
    (sentence_end && lead.len() > without_space.len()) || new_line || lead.is_empty()
}

fn push(sections: &mut Vec<Section>, region: &str, heading: &str, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    match sections.iter_mut().find(|section| section.region == region && section.heading == heading) {
        Some(section) => {
            section.text.push(' ');
            section.text.push_str(text);
        }
        None => sections.push(Section { region: region.into(), heading: heading.into(), text: text.into() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn specs() -> Vec<SectionSpec> {
        [("lung", "Lung"), ("heart", "Heart"), ("trachea and bronchie", "Trachea and bronchi")]
            .map(|(region, heading)| SectionSpec { region: region.into(), heading: heading.into() })
            .to_vec()
    }

    fn texts(text: &str) -> Vec<(String, String)> {
        parse_sections(text, &specs()).0.into_iter().map(|s| (s.region, s.text)).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn headings_divide_the_text() {
        let text = "Lung: Clear. No nodule. Trachea and bronchi: Patent.\nHEART: Normal size.";
        let expected =
            pairs(&[("lung", "Clear. No nodule."), ("trachea and bronchie", "Patent."), ("heart", "Normal size.")]);
        assert_eq!(texts(text), expected);
    }

    #[test]
    fn colons_inside_sentences_are_no_headings() {
        let text = "Lung: Two findings in the lung: a nodule. The left heart: enlarged.";
        assert_eq!(texts(text), pairs(&[("lung", "Two findings in the lung: a nodule. The left heart: enlarged.")]));
    }

    #[test]
    fn repeated_headings_join_and_empty_ones_vanish() {
        let text = "Before. Lung: One. Heart: Lung: Two.";
        assert_eq!(texts(text), pairs(&[("", "Before."), ("lung", "One. Two.")]));
    }

    #[test]
    fn text_without_headings_is_kept_and_marked() {
        let (sections, warnings) = parse_sections("Clear lungs.", &specs());
        assert_eq!(sections[0].text, "Clear lungs.");
        assert_eq!(warnings[0].code, WarningCode::NoSections);
        assert_eq!(parse_sections("", &specs()), (vec![], vec![]));
    }

    proptest! {
        #[test]
        fn written_sections_are_read_back(parts in proptest::collection::vec("[a-zäö ]{0,20}[a-z]\\.", 3)) {
            let specs = specs();
            let text: Vec<String> =
                specs.iter().zip(&parts).map(|(spec, part)| format!("{}: {part}", spec.heading)).collect();
            let expected: Vec<String> = parts.iter().map(|part| part.trim().to_owned()).collect();
            for separator in [" ", "\n", "\n\n"] {
                let (sections, warnings) = parse_sections(&text.join(separator), &specs);
                let found: Vec<String> = sections.into_iter().map(|s| s.text).collect();
                prop_assert_eq!(&found, &expected);
                prop_assert!(warnings.is_empty());
            }
        }

        #[test]
        fn no_text_breaks_the_parser(text in "(Lung|Heart|[: .\n]|\\PC){0,40}") {
            let (sections, _) = parse_sections(&text, &specs());
            prop_assert!(sections.iter().all(|s| !s.text.trim().is_empty()));
        }
    }
}
