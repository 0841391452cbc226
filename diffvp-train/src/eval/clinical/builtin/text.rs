//! A report as short sentences of plain lower-case words.
//!
//! Everything after this file sees ASCII only, with single spaces between words, so that a phrase of a rule is a
//! short regular expression. Each step reads the text once.

/// Longest sentence in bytes. Longer ones are cut at a word, so that the work on a report stays linear in its length.
const LONGEST: usize = 1500;

/// A sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Words and marks (`,` `;` `:` `(` `)` `?`), lower case, one space between; a decimal point is `.`.
    pub(super) words: String,
    /// Whether the sentence ended with its line: what stands on a line of its own may be a heading.
    pub(super) line: bool,
}

/// Splits a report into sentences.
///
/// A sentence ends at `.`, `!`, at `?` outside brackets, at quotation marks and bullets, and at a line break unless
/// the next line goes on in lower case. A point between digits or after an abbreviation ends nothing.
pub(super) fn sentences(report: &str) -> Vec<Sentence> {
    let mut out = Splitter::default();
    let mut before = ' ';
    let mut characters = report.chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        match c {
            '.' | ',' if before.is_ascii_digit() && next.is_ascii_digit() => out.push('.'),
            '.' if out.ends_with_abbreviation() => {}
            '.' | '!' | '"' | '“' | '”' | '«' | '»' | '•' | '·' | '●' | '▪' | '|' => out.end(false),
            '?' => {
                out.mark('?');
                if out.brackets == 0 && (next == '\n' || next == ' ') {
                    out.question = true;
                }
            }
            '\n' | '\r' => {
                let mut breaks = 1;
                while characters.next_if(|c| c.is_whitespace()).inspect(|c| breaks += usize::from(*c == '\n')).is_some()
                {
                }
                // A wrapped line goes on in lower case; anything else begins anew.
                let goes_on = breaks == 1 && characters.peek().is_some_and(|c| c.is_lowercase());
                if goes_on { out.space() } else { out.end(true) }
            }
            ',' | ';' | ':' | '(' | ')' => out.mark(c),
            '[' | '{' => out.mark('('),
            ']' | '}' => out.mark(')'),
            '\'' | '’' | '´' | '`' => {}
            '×' => {
                out.space();
                out.push('x');
                out.space();
            }
            c if c.is_whitespace() => out.space(),
            c => out.letter(c),
        }
        before = c;
    }
    out.end(true);
    out.done
}

/// Abbreviations whose point ends no sentence.
const ABBREVIATIONS: [&str; 8] = ["e", "eg", "i", "ie", "approx", "vs", "dr", "cf"];

#[derive(Default)]
struct Splitter {
    done: Vec<Sentence>,
    words: String,
    brackets: usize,
    /// A question mark came: the sentence ends if the next word is capitalised.
    question: bool,
}

impl Splitter {
    fn push(&mut self, c: char) {
        self.words.push(c);
    }

    fn last(&self) -> Option<u8> {
        self.words.as_bytes().last().copied()
    }

    fn space(&mut self) {
        if !matches!(self.last(), None | Some(b' ')) {
            self.words.push(' ');
            if self.words.len() > LONGEST {
                self.end(false);
            }
        }
    }

    fn mark(&mut self, c: char) {
        match c {
            '(' => self.brackets += 1,
            ')' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.space();
        self.words.push(c);
        self.space();
    }

    fn letter(&mut self, c: char) {
        if self.question {
            self.question = false;
            if c.is_uppercase() {
                self.end(false);
            }
        }
        for c in c.to_lowercase() {
            match fold(c) {
                "" if c.is_ascii_alphanumeric() => self.alphanumeric(c),
                "" if c.is_alphanumeric() => self.words.push('_'),
                "" => self.space(),
                folded => folded.chars().for_each(|c| self.alphanumeric(c)),
            }
        }
        // Text without spaces is no text: it must not make one endless word.
        if self.words.len() > LONGEST + 200 {
            self.end(false);
        }
    }

    /// A letter or digit; `13x9mm` becomes `13 x 9 mm`.
    fn alphanumeric(&mut self, c: char) {
        match self.last() {
            Some(before) if before.is_ascii_digit() && c.is_ascii_alphabetic() => self.words.push(' '),
            Some(b'x') if c.is_ascii_digit() && (self.words.len() < 2 || self.words.ends_with(" x")) => {
                self.words.push(' ')
            }
            _ => {}
        }
        self.words.push(c);
    }

    fn ends_with_abbreviation(&self) -> bool {
        let word = self.words.rsplit(' ').next().unwrap_or("");
        ABBREVIATIONS.contains(&word)
    }

    fn end(&mut self, line: bool) {
        let words = self.words.trim();
        if words.bytes().any(|b| b.is_ascii_alphanumeric()) {
            self.done.push(Sentence { words: words.to_owned(), line });
        }
        self.words.clear();
        self.brackets = 0;
        self.question = false;
    }
}

/// What stands for a letter that is not ASCII; empty where nothing does.
fn fold(c: char) -> &'static str {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => "a",
        'ç' | 'ć' | 'č' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ı' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => "o",
        'ş' | 'š' => "s",
        'ß' => "ss",
        'ù' | 'ú' | 'û' | 'ü' => "u",
        'æ' => "ae",
        'œ' => "oe",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        sentences(text).into_iter().map(|s| s.words).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        assert_eq!(words("Nodule of 3.5 mm.No effusion"), ["nodule of 3.5 mm", "no effusion"]);
        assert_eq!(words("A 13x9,3mm node\nis seen"), ["a 13 x 9.3 mm node is seen"]);
        assert_eq!(words("Effusion\nNodule"), ["effusion", "nodule"]);
        assert_eq!(words("no\n\neffusion"), ["no", "effusion"]);
        assert_eq!(words("• Cyst? Mass (tumour? node?) seen"), ["cyst ?", "mass ( tumour ? node ? ) seen"]);
        assert_eq!(words("Ground-glass, e.g. at the apex"), ["ground glass , eg at the apex"]);
        assert_eq!(words("Œdème d’origine"), ["oedeme dorigine"]);
        assert_eq!(words("…  \u{fffd}"), [""; 0]);
    }

    #[test]
    fn a_line_of_its_own_is_known() {
        let lines: Vec<bool> = sentences("Findings\nA. B\n").into_iter().map(|s| s.line).collect();
        assert_eq!(lines, [true, false, true]);
    }

    proptest! {
        #[test]
        fn any_text_becomes_bounded_ascii(text in "(?s).{0,400}", repeat in 1usize..20) {
            for sentence in sentences(&text.repeat(repeat)) {
                prop_assert!(sentence.words.is_ascii() && sentence.words.len() <= LONGEST + 210);
                prop_assert!(!sentence.words.contains("  "));
            }
        }
    }
}
