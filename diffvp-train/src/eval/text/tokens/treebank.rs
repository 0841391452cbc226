//! NLTK's destructive word tokeniser (`NLTKWordTokenizer`), applied to one sentence.
//!
//! The original is a list of regular expressions that rewrite the text one after another. Each is one function or
//! one call of [`pad`] here, in the same order; a step is skipped where a character it needs is not in the text.

use super::pad;
use crate::eval::text::python::{is_digit, is_regex_word, is_space, is_word, words};

/// Tokens of one sentence; case is kept.
pub(crate) fn treebank(sentence: &str) -> Vec<String> {
    let mut text = sentence.to_owned();
    let quotes = text.contains(['"', '\'', '`', '«', '“', '‘', '„', '»', '”', '’']);
    if quotes {
        text = opening_quotes(text);
    }
    text = punctuation(text);
    if text.contains(['[', ']', '(', ')', '{', '}', '<', '>']) {
        text = pad_any(&text, &['[', ']', '(', ')', '{', '}', '<', '>']);
    }
    if text.contains("--") {
        text = pad_literal(&text, "--");
    }
    text = format!(" {text} ");
    if quotes {
        text = closing_quotes(&text);
    } else {
        text = fold_spaces(&text);
    }
    text = contractions(&text);
    words(&text).map(str::to_owned).collect()
}

fn pad_any(text: &str, set: &[char]) -> String {
    pad(text, |_, c| set.contains(&c).then_some(c.len_utf8()))
}

fn pad_literal(text: &str, literal: &str) -> String {
    pad(text, |rest, _| rest.starts_with(literal).then_some(literal.len()))
}

fn run_length(text: &str, wanted: char) -> usize {
    text.chars().take_while(|&c| c == wanted).count() * wanted.len_utf8()
}

fn opening_quotes(text: String) -> String {
    let mut text = pad(&text, |rest, c| match c {
        '«' | '“' | '‘' | '„' => Some(c.len_utf8()),
        '`' => Some(run_length(rest, '`')),
        _ => None,
    });
    if text.starts_with('"') {
        text.replace_range(..1, "``");
    }
    text = pad_literal(&text, "``");
    text = quotes_after_opening(&text);
    split_leading_apostrophes(&text)
}

/// `([ \(\[{<])("|'{2})` → `` \1 `` ``
fn quotes_after_opening(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        out.push(c);
        at += c.len_utf8();
        if matches!(c, ' ' | '(' | '[' | '{' | '<') {
            let length = ["\"", "''"].iter().find(|quote| text[at..].starts_with(**quote)).map_or(0, |q| q.len());
            if length > 0 {
                out.push_str(" `` ");
                at += length;
            }
        }
    }
    out
}

/// `(?i)(?<!\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)` → `\1 `
fn split_leading_apostrophes(text: &str) -> String {
    const CLITICS: [&str; 8] = ["re", "ve", "ll", "m", "t", "s", "d", "n"];
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = None;
    for (at, c) in text.char_indices() {
        out.push(c);
        if c == '\'' && !before.is_some_and(is_regex_word) {
            let rest = &text[at + 1..];
            let clitic = CLITICS.iter().any(|clitic| {
                matched(rest, clitic).is_some_and(|length| !rest[length..].chars().next().is_some_and(is_regex_word))
            });
            if !clitic && rest.chars().next().is_some_and(is_regex_word) {
                out.push(' ');
            }
        }
        before = Some(c);
    }
    out
}

fn punctuation(mut text: String) -> String {
    let stops = text.contains('.');
    if stops {
        let closing = |c| matches!(c, ']' | ')' | '}' | '>' | '"' | '\'' | '»' | '”' | '’' | ' ');
        text = final_period(text, closing, " . ");
    }
    if text.contains([':', ',']) {
        text = colons_and_commas(&text);
    }
    if stops {
        text = pad(&text, |rest, c| if c == '.' { Some(run_length(rest, '.')).filter(|&n| n > 1) } else { None });
    }
    if text.contains([';', '@', '#', '$', '%', '&']) {
        text = pad_any(&text, &[';', '@', '#', '$', '%', '&']);
    }
    if text.contains(['\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}']) {
        text = pad_any(&text, &['\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}']);
    }
    if stops {
        text = final_period(text, |c| matches!(c, ']' | ')' | '}' | '>' | '"' | '\''), " .");
    }
    if text.contains(['?', '!']) {
        text = pad_any(&text, &['?', '!']);
    }
    if text.contains("' ") {
        text = apostrophe_before_space(&text);
    }
    if text.contains('*') {
        text = pad_any(&text, &['*']);
    }
    text
}

/// `([^\.])(\.)(CLOSING*)\s*$`: sets off the last period of the sentence. Only the last period of the text can match,
/// because neither closing characters nor white space hold one.
fn final_period(text: String, closing: impl Fn(char) -> bool, replacement: &str) -> String {
    let Some(at) = text.rfind('.') else { return text };
    if text[..at].chars().next_back().is_none_or(|c| c == '.') {
        return text;
    }
    let tail = &text[at + 1..];
    let kept = tail.find(|c| !closing(c)).unwrap_or(tail.len());
    if tail[kept..].chars().any(|c| !c.is_whitespace()) {
        return text;
    }
    format!("{}{replacement}{} ", &text[..at], &tail[..kept])
}

/// `([:,])([^\d])` → ` \1 \2`, then `([:,])$` → ` \1 `.
fn colons_and_commas(text: &str) -> String {
    let mark = |c: char| c == ':' || c == ',';
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if mark(c)
            && let Some(next) = rest.next_if(|&next| !is_digit(next))
        {
            out.extend([' ', c, ' ', next]);
            continue;
        }
        out.push(c);
    }
    // `$` also stands before a line feed at the very end.
    let newline = out.ends_with('\n');
    let body = if newline { &out[..out.len() - 1] } else { &out[..] };
    match body.chars().next_back() {
        Some(last) if mark(last) => {
            let end = if newline { "\n" } else { "" };
            format!("{} {last} {end}", &body[..body.len() - 1])
        }
        _ => out,
    }
}

/// `([^'])' ` → `\1 ' `
fn apostrophe_before_space(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        out.push(c);
        at += c.len_utf8();
        if c != '\'' && text[at..].starts_with("' ") {
            out.push_str(" ' ");
            at += 2;
        }
    }
    out
}

fn closing_quotes(text: &str) -> String {
    let text = pad_any(text, &['»', '”', '’']);
    let text = pad_literal(&text, "''");
    let text = text.replace('"', " '' ");
    let text = fold_spaces(&text);
    let text = split_clitics(&text, &["'s", "'S", "'m", "'M", "'d", "'D", "'"]);
    split_clitics(&text, &["'ll", "'LL", "'re", "'RE", "'ve", "'VE", "n't", "N'T"])
}

/// `\s+` → ` `
fn fold_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_whitespace() {
            true if out.ends_with(' ') => {}
            true => out.push(' '),
            false => out.push(c),
        }
    }
    out
}

/// `([^' ])(CLITIC) ` → `\1 \2 `
fn split_clitics(text: &str, clitics: &[&str]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        out.push(c);
        at += c.len_utf8();
        if c == '\'' || c == ' ' {
            continue;
        }
        let rest = &text[at..];
        let found = clitics.iter().find(|clitic| rest.strip_prefix(**clitic).is_some_and(|r| r.starts_with(' ')));
        if let Some(clitic) = found {
            out.push(' ');
            out.push_str(clitic);
            out.push(' ');
            at += clitic.len() + 1;
        }
    }
    out
}

/// MacIntyre's contractions: `cannot` → ` can not `, and so on.
fn contractions(text: &str) -> String {
    const WHOLE: [(&str, &str); 7] =
        [("can", "not"), ("d", "'ye"), ("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"), ("more", "'n")];
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = None;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let boundary = |length: usize| !rest[length..].chars().next().is_some_and(is_word);
        let mut pieces = None;
        if is_word(c)
            && !before.is_some_and(is_word)
            && matches!(c.to_ascii_lowercase(), 'c' | 'd' | 'g' | 'l' | 'm' | 'w')
        {
            let whole = WHOLE.iter().find_map(|(a, b)| both(rest, a, b).filter(|&(_, end)| boundary(end)));
            let wanna = || both(rest, "wan", "na").filter(|&(_, end)| rest[end..].starts_with(is_space));
            pieces = whole.or_else(wanna);
        }
        match pieces {
            Some((middle, end)) => {
                out.push_str(&format!(" {} {} ", &rest[..middle], &rest[middle..end]));
                before = rest[..end].chars().next_back();
                at += end;
            }
            None => {
                out.push(c);
                before = Some(c);
                at += c.len_utf8();
            }
        }
    }
    let out = split_it(&out, "is");
    split_it(&out, "was")
}

/// ` ('t)(is)\b` → ` \1 \2 `
fn split_it(text: &str, verb: &str) -> String {
    if !text.contains(" '") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at + c.len_utf8()..];
        let found = if c == ' ' { both(rest, "'t", verb) } else { None };
        match found.filter(|&(_, end)| !rest[end..].chars().next().is_some_and(is_word)) {
            Some((middle, end)) => {
                out.push_str(&format!(" {} {} ", &rest[..middle], &rest[middle..end]));
                at += 1 + end;
            }
            None => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    out
}

/// Where two literals that follow each other end, whatever their case.
fn both(text: &str, first: &str, second: &str) -> Option<(usize, usize)> {
    let middle = matched(text, first)?;
    let end = middle + matched(&text[middle..], second)?;
    Some((middle, end))
}

/// Length of the start of a text that matches a lower-case literal, whatever its case.
fn matched(text: &str, literal: &str) -> Option<usize> {
    let mut length = 0;
    let mut rest = text.chars();
    for wanted in literal.chars() {
        let c = rest.next()?;
        // The long s is the only other character that folds to a letter of these literals.
        if c.to_ascii_lowercase() != wanted && !(wanted == 's' && c == 'ſ') {
            return None;
        }
        length += c.len_utf8();
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_period_is_set_off() {
        assert_eq!(treebank("A 4.5 mm. nodule (RLL)."), ["A", "4.5", "mm.", "nodule", "(", "RLL", ")", "."]);
        assert_eq!(treebank("Wait...  what?!"), ["Wait", "...", "what", "?", "!"]);
        assert_eq!(treebank("end.) "), ["end", ".", ")"]);
    }

    #[test]
    fn quotes_become_treebank_quotes() {
        assert_eq!(treebank("\"crazy paving\" sign"), ["``", "crazy", "paving", "''", "sign"]);
        assert_eq!(treebank("the patient's o'clock 'tis"), ["the", "patient", "'s", "o'clock", "'", "tis"]);
        assert_eq!(treebank("don't cannot WANNA go"), ["do", "n't", "can", "not", "WAN", "NA", "go"]);
    }

    #[test]
    fn marks_between_digits_stay() {
        assert_eq!(treebank("12:30, 1,000: 5,x"), ["12:30", ",", "1,000", ":", "5", ",", "x"]);
        assert_eq!(treebank("a–b 5%--c"), ["a", "–", "b", "5", "%", "--", "c"]);
    }
}
