//! What is taken off a text before it is scored.

use super::python::{is_space, words};

/// Which headings are taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Strip {
    /// Nothing: texts are scored as they are.
    #[default]
    None,
    /// `The region 3 is lung: `, then white space is folded, as Reg2RG does before it scores.
    Radgenome,
    /// The same, and `The other report is: {pleura: …}{other: }`, the form of its CTRG-Chest-548K reports.
    Ctrg,
}

impl Strip {
    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Strip::None => "none",
            Strip::Radgenome => "radgenome",
            Strip::Ctrg => "ctrg",
        }
    }

    /// The text without its headings.
    pub fn apply(self, text: &str) -> String {
        match self {
            Strip::None => text.to_owned(),
            Strip::Radgenome => fold(&without_region_headings(text)),
            Strip::Ctrg => fold(&without_other_report(&without_region_headings(text))),
        }
    }
}

/// Whether a text has a region heading.
pub(crate) fn has_headings(text: &str) -> bool {
    text.match_indices(REGION).any(|(at, _)| heading_length(&text[at..]).is_some())
}

const REGION: &str = "The region ";
const OTHER: &str = "The other report is";

fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in words(text) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Length of `The region \d+ is [^:]+: ` at the start of a text.
fn heading_length(text: &str) -> Option<usize> {
    let (_, end) = region_heading(text)?;
    text[end..].starts_with(": ").then_some(end + 2)
}

/// Number and end of the name of `The region \d+ is [^:]+:` at the start of a text.
pub(crate) fn region_heading(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix(REGION)?;
    let digits = rest.find(|c: char| !super::python::is_digit(c)).filter(|&digits| digits > 0)?;
    let name = rest[digits..].strip_prefix(" is ")?;
    let colon = name.find(':').filter(|&colon| colon > 0)?;
    Some((&rest[..digits], text.len() - name.len() + colon))
}

fn without_region_headings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(REGION) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match heading_length(rest) {
            Some(length) => rest = &rest[length..],
            None if !rest.contains(':') => break,
            None => {
                out.push_str(REGION);
                rest = &rest[REGION.len()..];
            }
        }
    }
    out + rest
}

/// Takes `The other report is:` off and puts the text of each `{name: …}` in its place. A group that never closes stays as it
/// is, as in the published numbers.
fn without_other_report(text: &str) -> String {
    let Some((before, groups)) = text.split_once(OTHER) else { return text.to_owned() };
    let mut out = before.to_owned();
    // Some predictions forget the colon.
    let mut rest = groups.strip_prefix(':').unwrap_or(groups);
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let Some(close) = rest.find('}') else { break };
        match rest[1..close].split_once(':') {
            Some((name, body)) if name.chars().all(|c| c.is_alphabetic() || is_space(c)) => {
                out.push(' ');
                out.push_str(body);
            }
            _ => out.push_str(&rest[..=close]),
        }
        rest = &rest[close + 1..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_headings_and_white_space_go() {
        let text = "The region 0 is lung: Clear.\n\nThe region 12 is trachea and bronchie:  Open. The region is: wide.";
        assert_eq!(Strip::Radgenome.apply(text), "Clear. Open. The region is: wide.");
        assert_eq!(Strip::None.apply(text), text);
        assert!(has_headings(text) && !has_headings("The region 3 of interest: x"));
    }

    #[test]
    fn a_heading_must_end_with_colon_and_space() {
        assert_eq!(Strip::Radgenome.apply("The region 1 is lung:clear"), "The region 1 is lung:clear");
        assert_eq!(Strip::Radgenome.apply("The region 1 is "), "The region 1 is");
    }

    #[test]
    fn the_other_report_of_ctrg_is_taken_apart() {
        let text = "The region 0 is heart: Normal. The other report is: {pleura: No effusion.}{other: }";
        assert_eq!(Strip::Ctrg.apply(text), "Normal. No effusion.");
        assert_eq!(Strip::Ctrg.apply(&text.replace("is: {", "is {")), "Normal. No effusion.");
    }
}
