//! What of a table can be the text of a report.

/// Longest report in characters. Real ones have less than a tenth; a quotation mark that is missing makes one text of
/// half a table.
const LONGEST: usize = 100_000;

/// Why a text is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoReport {
    /// Nothing but spaces.
    Empty,
    /// No letter and no digit.
    Punctuation,
    /// That many characters.
    Long(usize),
}

impl std::fmt::Display for NoReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoReport::Empty => f.write_str("the report is empty"),
            NoReport::Punctuation => f.write_str("the report is only punctuation"),
            NoReport::Long(n) => {
                write!(f, "the report has {n} characters, and {LONGEST} are the most: is a quotation mark missing?")
            }
        }
    }
}

/// The text of a report, trimmed.
pub(super) fn report(text: &str) -> Result<String, NoReport> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NoReport::Empty);
    }
    if !text.chars().any(char::is_alphanumeric) {
        return Err(NoReport::Punctuation);
    }
    // Bytes first: they are never fewer.
    if text.len() > LONGEST && text.chars().count() > LONGEST {
        return Err(NoReport::Long(text.chars().count()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_no_report() {
        assert_eq!(report(" Clear.\n").unwrap(), "Clear.");
        assert_eq!(report(" \n"), Err(NoReport::Empty));
        assert_eq!(report("…, -- ."), Err(NoReport::Punctuation));
        assert_eq!(report(&"é".repeat(LONGEST)).map(|text| text.len()), Ok(2 * LONGEST));
        assert_eq!(report(&"a".repeat(LONGEST + 1)), Err(NoReport::Long(LONGEST + 1)));
    }
}
