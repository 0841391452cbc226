//! Punkt sentence segmentation (Kiss and Strunk 2006) as NLTK implements it, with NLTK's English model.
//!
//! `punkt_english.tsv` holds the model: abbreviations (`a`), collocations (`c`), frequent sentence starters (`s`) and
//! the orthographic contexts of words (`o`, a set of bits). `docs/evaluation.md` says where it is from.

use std::collections::{HashMap, HashSet};

use crate::eval::text::python::{is_digit, is_regex_word, is_space, trim};

const MODEL: &str = include_str!("punkt_english.tsv");

const MID_UPPER: u8 = 1 << 2;
const UPPER: u8 = (1 << 1) | MID_UPPER | (1 << 3);
const BEGIN_LOWER: u8 = 1 << 4;
const LOWER: u8 = BEGIN_LOWER | (1 << 5) | (1 << 6);

/// The segmenter.
pub(crate) struct Punkt {
    abbreviations: HashSet<&'static str>,
    collocations: HashSet<(&'static str, &'static str)>,
    starters: HashSet<&'static str>,
    contexts: HashMap<&'static str, u8>,
}

/// A possible end of a sentence: the mark, the word before it, and what follows.
struct Candidate {
    word_start: usize,
    mark: usize,
    /// Where the looked-at text ends.
    after_end: usize,
    /// Where the next word starts, if white space comes between.
    next_word: Option<usize>,
}

impl Punkt {
    /// The English model.
    pub(crate) fn english() -> Punkt {
        let mut punkt = Punkt {
            abbreviations: HashSet::new(),
            collocations: HashSet::new(),
            starters: HashSet::new(),
            contexts: HashMap::new(),
        };
        for line in MODEL.lines() {
            let mut cells = line.split('\t');
            match (cells.next(), cells.next(), cells.next()) {
                (Some("a"), Some(word), _) => _ = punkt.abbreviations.insert(word),
                (Some("c"), Some(first), Some(second)) => _ = punkt.collocations.insert((first, second)),
                (Some("s"), Some(word), _) => _ = punkt.starters.insert(word),
                (Some("o"), Some(word), Some(bits)) => _ = punkt.contexts.insert(word, bits.parse().unwrap_or(0)),
                _ => {}
            }
        }
        punkt
    }

    /// The sentences of a text, in order.
    pub(crate) fn sentences(&self, text: &str) -> Vec<String> {
        let text: Vec<char> = text.chars().collect();
        let mut slices = Vec::new();
        let mut start = 0;
        for candidate in candidates(&text) {
            if self.breaks(&text[candidate.word_start..candidate.after_end]) {
                slices.push((start, candidate.mark + 1));
                start = candidate.next_word.unwrap_or(candidate.mark + 1);
            }
        }
        let end = text.len() - text.iter().rev().take_while(|&&c| is_space(c)).count();
        slices.push((start, end));
        realign(&text, &slices)
    }

    /// Whether a sentence ends within these words, before the last of them.
    fn breaks(&self, context: &[char]) -> bool {
        let context: String = context.iter().collect();
        let mut tokens: Vec<Token> = Vec::new();
        for line in context.split('\n').filter(|line| !trim(line).is_empty()) {
            let line: Vec<char> = line.chars().collect();
            tokens.extend(tokenize(&line).map(|token| Token::new(token, self)));
        }
        // Only a token with one after it can show a break.
        (1..tokens.len()).any(|i| self.ends_before(&tokens[i - 1], &tokens[i]))
    }

    /// The decision of the second pass for a token, from its own first one and the next token.
    fn ends_before(&self, token: &Token, next: &Token) -> bool {
        if !token.text.ends_with('.') {
            return token.ends_sentence;
        }
        let kind = token.kind_without_period();
        let next_kind = if next.ends_sentence { next.kind_without_period() } else { &next.kind };
        let initial = token.is_initial();
        if self.collocations.contains(&(kind, next_kind)) {
            return false;
        }
        let next_upper = next.first().is_uppercase();
        if (token.abbreviation || token.ellipsis) && !initial {
            let starter = next_upper && self.starters.contains(next_kind);
            if self.starts_sentence(next, next_kind) == Some(true) || starter {
                return true;
            }
        }
        if initial || kind == "##number##" {
            match self.starts_sentence(next, next_kind) {
                Some(false) => return false,
                None if initial && next_upper && self.context(next_kind) & LOWER == 0 => return false,
                _ => {}
            }
        }
        token.ends_sentence
    }

    /// What the orthography of a word says about whether it starts a sentence; nothing, if it is not sure.
    fn starts_sentence(&self, token: &Token, kind: &str) -> Option<bool> {
        if matches!(token.text.as_str(), ";" | ":" | "," | "." | "!" | "?") {
            return Some(false);
        }
        let context = self.context(kind);
        let first = token.first();
        if first.is_uppercase() && context & LOWER != 0 && context & MID_UPPER == 0 {
            return Some(true);
        }
        if first.is_lowercase() && (context & UPPER != 0 || context & BEGIN_LOWER == 0) {
            return Some(false);
        }
        None
    }

    fn context(&self, kind: &str) -> u8 {
        self.contexts.get(kind).copied().unwrap_or(0)
    }
}

/// A token with what its own form says.
struct Token {
    text: String,
    /// In lower case; numbers are all the same.
    kind: String,
    ends_sentence: bool,
    abbreviation: bool,
    ellipsis: bool,
}

impl Token {
    fn new(text: String, punkt: &Punkt) -> Token {
        let lower = text.to_lowercase();
        let (mut ends_sentence, mut abbreviation, mut ellipsis) = (false, false, false);
        if matches!(text.as_str(), "." | "?" | "!") {
            ends_sentence = true;
        } else if text.len() > 1 && text.chars().all(|c| c == '.') {
            ellipsis = true;
        } else if text.ends_with('.') && !text.ends_with("..") {
            let word = text[..text.len() - 1].to_lowercase();
            let last = word.rsplit('-').next().unwrap_or_default();
            abbreviation = punkt.abbreviations.contains(word.as_str()) || punkt.abbreviations.contains(last);
            ends_sentence = !abbreviation;
        }
        let kind = if is_number(&lower) { "##number##".into() } else { lower };
        Token { text, kind, ends_sentence, abbreviation, ellipsis }
    }

    fn first(&self) -> char {
        self.text.chars().next().unwrap_or(' ')
    }

    fn kind_without_period(&self) -> &str {
        match self.kind.strip_suffix('.') {
            Some(word) if !word.is_empty() => word,
            _ => &self.kind,
        }
    }

    /// One letter and a period.
    fn is_initial(&self) -> bool {
        let mut chars = self.text.chars();
        let letter = chars.next().is_some_and(|c| is_regex_word(c) && !is_digit(c));
        letter && chars.as_str() == "."
    }
}

/// `^-?[\.,]?\d[\d,\.-]*\.?$`
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let text = text.strip_prefix(['.', ',']).unwrap_or(text);
    let mut chars = text.chars();
    chars.next().is_some_and(is_digit) && chars.all(|c| is_digit(c) || matches!(c, ',' | '.' | '-'))
}

/// Characters that end a word wherever they stand.
fn ends_word(c: char) -> bool {
    matches!(c, ')' | '"' | ';' | '}' | ']' | '*' | ':' | '@' | '\'' | '(' | '{' | '[' | '!' | '?')
        || matches!(c, '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '«' | '»')
}

fn candidates(text: &[char]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut previous: Option<Candidate> = None;
    let (mut previous_start, mut previous_mark) = (0, 0);
    for mark in (0..text.len()).filter(|&i| matches!(text[i], '.' | '?' | '!')) {
        let Some((after_end, next_word)) = after(text, mark) else { continue };
        // Here NLTK looks for white space of ASCII only, and takes a first character for none.
        let ascii_space = |c: &char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
        let space = text[previous_mark..mark].iter().rposition(ascii_space).unwrap_or(0);
        let word_start = if space > 0 { previous_mark + space + 1 } else { previous_start };
        if let Some(candidate) = previous.take_if(|_| previous_mark <= word_start) {
            found.push(candidate);
        }
        previous = Some(Candidate { word_start, mark, after_end, next_word });
        (previous_start, previous_mark) = (word_start, mark);
    }
    found.extend(previous);
    found
}

/// What a possible end must be followed by: a character that ends words, or white space and a word.
fn after(text: &[char], mark: usize) -> Option<(usize, Option<usize>)> {
    let next = *text.get(mark + 1)?;
    if ends_word(next) {
        return Some((mark + 2, None));
    }
    let spaces = text[mark + 1..].iter().take_while(|c| c.is_whitespace()).count();
    let word = mark + 1 + spaces;
    if spaces == 0 || word == text.len() {
        return None;
    }
    let length = text[word..].iter().take_while(|&&c| !c.is_whitespace()).count();
    Some((word + length, Some(word)))
}

/// Moves closing quotes and brackets that follow an end into the sentence they close.
fn realign(text: &[char], slices: &[(usize, usize)]) -> Vec<String> {
    let piece = |start: usize, end: usize| text.get(start..end.max(start)).unwrap_or(&[]).iter().collect::<String>();
    let mut sentences = Vec::new();
    let mut moved = 0;
    for (i, &(start, end)) in slices.iter().enumerate() {
        let start = start + moved;
        moved = 0;
        if let Some(&(next_start, next_end)) = slices.get(i + 1) {
            let next = text.get(next_start..next_end).unwrap_or(&[]);
            if let Some((closing, all)) = closing_run(next) {
                sentences.push(piece(start, next_start + closing));
                moved = all;
                continue;
            }
        }
        sentences.push(piece(start, end));
        sentences.last().is_some_and(String::is_empty).then(|| sentences.pop());
    }
    sentences
}

/// `["')\]}‘’“”«»]+?(?:\s+|(?=--)|$)` at the start of a text: the length without and with the white space.
fn closing_run(text: &[char]) -> Option<(usize, usize)> {
    let closing = |c: char| {
        matches!(c, '"' | '\'' | ')' | ']' | '}' | '«' | '»' | '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}')
    };
    let mut length = 0;
    while length < text.len() && closing(text[length]) {
        length += 1;
        let rest = &text[length..];
        let spaces = rest.iter().take_while(|c| c.is_whitespace()).count();
        if spaces > 0 || rest.is_empty() || rest.starts_with(&['-', '-']) {
            return Some((length, length + spaces));
        }
    }
    None
}

/// Words and marks of one line, as Punkt tells them apart.
fn tokenize(line: &[char]) -> impl Iterator<Item = String> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < line.len() && line[at].is_whitespace() {
            at += 1;
        }
        let first = *line.get(at)?;
        let start = at;
        at += match many_marks(&line[at..]) {
            Some(length) => length,
            None if starts_word(first) => word_length(&line[at..]),
            None => 1,
        };
        Some(line[start..at].iter().collect())
    })
}

fn starts_word(c: char) -> bool {
    !matches!(c, '(' | '"' | '`' | '{' | '[' | ':' | ';' | '&' | '#' | '*' | '@' | ')' | '}' | ']' | '-' | ',')
}

fn word_length(text: &[char]) -> usize {
    let ends = |at: usize| {
        text.get(at).is_none_or(|&c| c.is_whitespace() || ends_word(c) || many_marks(&text[at..]).is_some())
    };
    (1..text.len()).find(|&at| ends(at) || (text[at] == ',' && ends(at + 1))).unwrap_or(text.len())
}

/// `\-{2,}|\.{2,}|(?:\.\s){2,}\.` at the start of a text: its length.
fn many_marks(text: &[char]) -> Option<usize> {
    let mark = *text.first().filter(|&&c| c == '-' || c == '.')?;
    let run = text.iter().take_while(|&&c| c == mark).count();
    if run > 1 {
        return Some(run);
    }
    if mark == '-' {
        return None;
    }
    let pairs = text.chunks_exact(2).take_while(|pair| pair[0] == '.' && pair[1].is_whitespace()).count();
    // The last period stands alone, or is given back by the last pair.
    let pairs = if text.get(2 * pairs) == Some(&'.') { pairs } else { pairs.saturating_sub(1) };
    (pairs >= 2).then_some(2 * pairs + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        Punkt::english().sentences(text)
    }

    #[test]
    fn the_model_is_whole() {
        let punkt = Punkt::english();
        assert_eq!((punkt.abbreviations.len(), punkt.collocations.len()), (156, 37));
        assert_eq!((punkt.starters.len(), punkt.contexts.len()), (39, 20_366));
    }

    #[test]
    fn abbreviations_numbers_and_initials_do_not_end_sentences() {
        assert_eq!(split("Seen by Dr. Smith. No change."), ["Seen by Dr. Smith.", "No change."]);
        assert_eq!(split("In segment 5. the nodule grew."), ["In segment 5. the nodule grew."]);
        assert_eq!(split("In segment 5. The nodule grew."), ["In segment 5.", "The nodule grew."]);
        assert_eq!(split("a 4 mm. nodule"), ["a 4 mm.", "nodule"]);
    }

    #[test]
    fn closing_marks_stay_with_their_sentence() {
        assert_eq!(split("(Seen.) Then (not?) \"End.\" Next"), ["(Seen.)", "Then (not?)", "\"End.\"", "Next"]);
        assert_eq!(split("Really?!! Yes... It is. . . so"), ["Really?!!", "Yes...", "It is.", ".", ".", "so"]);
        assert!(split("  \n ").is_empty());
    }
}
