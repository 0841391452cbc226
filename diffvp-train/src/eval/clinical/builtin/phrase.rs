//! The phrases that rules are made of, and the regular expressions they become.
//!
//! | in a phrase | matches |
//! |---|---|
//! | `effusion` | that word |
//! | `nodul*` | a word that begins so |
//! | `(pleura\|pleural)` | one of several words; they may be of several words, and have `*` |
//! | `[mild]` | the word or nothing |
//! | `<3>` | up to three words or marks of any kind |
//! | `,` `;` `:` `(` `)` `?` | not part of phrases; `<n>` passes over them |

use regex::Regex;

/// A phrase that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PhraseError(pub(super) String);

/// Translates a phrase to the regular expression of its words.
pub(super) fn expression(phrase: &str) -> Result<String, PhraseError> {
    let mut out = String::from(r"(?-u:\b)");
    let mut first = true;
    for part in parts(phrase)? {
        match part {
            Part::Gap(n) if first => return Err(PhraseError(format!("{phrase:?} begins with a gap of {n}"))),
            // Any printable ASCII but the space is part of a word or mark.
            Part::Gap(n) => out.push_str(&format!("(?: [!-~]+){{0,{n}}}")),
            Part::One(choices) => {
                if !first {
                    out.push(' ');
                }
                out.push_str(&alternatives(phrase, &choices)?);
                first = false;
            }
            Part::Optional(choices) if first => {
                out.push_str(&format!("(?:{} )?", alternatives(phrase, &choices)?));
            }
            Part::Optional(choices) => out.push_str(&format!("(?: {})?", alternatives(phrase, &choices)?)),
        }
    }
    if first {
        return Err(PhraseError(format!("{phrase:?} names no word")));
    }
    out.push_str(r"(?-u:\b)");
    Ok(out)
}

/// One regular expression of a phrase.
pub(super) fn compile(phrase: &str) -> Result<Regex, PhraseError> {
    Regex::new(&expression(phrase)?).map_err(|e| PhraseError(format!("{phrase:?}: {e}")))
}

/// One regular expression of several phrases.
pub(super) fn compile_any(phrases: &[String]) -> Result<Regex, PhraseError> {
    let expressions = phrases.iter().map(|p| expression(p)).collect::<Result<Vec<_>, _>>()?;
    Regex::new(&expressions.join("|")).map_err(|e| PhraseError(e.to_string()))
}

enum Part {
    One(String),
    Optional(String),
    Gap(u8),
}

fn parts(phrase: &str) -> Result<Vec<Part>, PhraseError> {
    let mut parts = Vec::new();
    let mut rest = phrase.trim();
    while let Some(c) = rest.chars().next() {
        let closed = |close: char| {
            rest.find(close).ok_or_else(|| PhraseError(format!("{phrase:?} opens {c:?} and does not close it")))
        };
        let end = match c {
            '(' => closed(')')?,
            '[' => closed(']')?,
            '<' => closed('>')?,
            _ => rest.find([' ', '(', '[', '<']).unwrap_or(rest.len()) - 1,
        };
        let inner = &rest[..=end];
        parts.push(match c {
            '(' => Part::One(inner[1..end].to_owned()),
            '[' => Part::Optional(inner[1..end].to_owned()),
            '<' => Part::Gap(
                inner[1..end].parse().map_err(|_| PhraseError(format!("{phrase:?}: {inner} is no number of words")))?,
            ),
            _ => Part::One(inner.to_owned()),
        });
        rest = rest[end + 1..].trim_start();
    }
    Ok(parts)
}

fn alternatives(phrase: &str, choices: &str) -> Result<String, PhraseError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ' ' | '*' | '|' | '.');
    if choices.is_empty() || !choices.chars().all(allowed) {
        return Err(PhraseError(format!("{phrase:?}: {choices:?} is not made of lower-case words")));
    }
    let choice = |words: &str| words.trim().replace('.', r"\.").replace('*', "[a-z0-9_]*");
    Ok(format!("(?:{})", choices.split('|').map(choice).collect::<Vec<_>>().join("|")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stems_choices_and_gaps() {
        let matches = |phrase: &str, text: &str| compile(phrase).unwrap().is_match(text);
        assert!(matches("nodul*", "two nodules , both small") && !matches("nodul*", "binodular"));
        assert!(matches("effusion", "effusion") && !matches("effusion", "effusions"));
        assert!(matches("(pleural|pleura) <1> effusion", "pleural minimal effusion"));
        assert!(!matches("pleural <1> effusion", "pleural small old effusion"));
        assert!(matches("ground [like] glass", "ground glass") && matches("[dense] ground", "ground"));
        assert!(matches("(wall of|in) aorta", "wall of aorta"));
    }

    #[test]
    fn a_phrase_that_cannot_be_read_is_named() {
        for phrase in ["", "<2>", "<2> nodule", "(a|b", "Nodule", "a+", "a <x> b"] {
            assert!(compile(phrase).is_err(), "{phrase:?}");
        }
    }
}
