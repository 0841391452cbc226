//! The 13a tokeniser of WMT (`mteval-v13a`), as sacrebleu and Hugging Face `evaluate` have it.

use super::pad;
use crate::eval::text::python::words;

/// Tokens of a text; case is kept.
pub(crate) fn thirteen_a(text: &str) -> Vec<String> {
    let mut line = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if line.contains('&') {
        line = line.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    }
    let line = pad(&format!(" {line} "), |_, c| symbol(c).then_some(c.len_utf8()));
    let line = split_after_non_digit(&line);
    let line = split_before_non_digit(&line);
    let line = split_dash_after_digit(&line);
    words(&line).map(str::to_owned).collect()
}

/// ASCII punctuation but `'`, `,`, `-` and `.`; the space is among them, which changes nothing.
fn symbol(c: char) -> bool {
    matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

fn stop(c: char) -> bool {
    c == '.' || c == ','
}

/// `([^0-9])([\.,])` → `\1 \2 `. Matches do not overlap: both characters are used up.
fn split_after_non_digit(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if !c.is_ascii_digit()
            && let Some(mark) = rest.next_if(|&next| stop(next))
        {
            out.extend([' ', mark, ' ']);
        }
    }
    out
}

/// `([\.,])([^0-9])` → ` \1 \2`.
fn split_before_non_digit(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if stop(c)
            && let Some(next) = rest.next_if(|next| !next.is_ascii_digit())
        {
            out.extend([' ', c, ' ', next]);
            continue;
        }
        out.push(c);
    }
    out
}

/// `([0-9])(-)` → `\1 \2 `.
fn split_dash_after_digit(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if c.is_ascii_digit() && rest.next_if_eq(&'-').is_some() {
            out.push_str(" - ");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_whole_and_marks_are_split() {
        assert_eq!(thirteen_a("A 4.5 mm nodule, 3-5x2."), ["A", "4.5", "mm", "nodule", ",", "3", "-", "5x2", "."]);
        assert_eq!(thirteen_a("T&amp;C (x)"), ["T", "&", "C", "(", "x", ")"]);
        assert_eq!(thirteen_a("so-\ncalled\nleft-sided"), ["socalled", "left-sided"]);
        assert_eq!(thirteen_a("a.. b"), ["a", ".", ".", "b"]);
        assert!(thirteen_a(" \n").is_empty());
    }
}
