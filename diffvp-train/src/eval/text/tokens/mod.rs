//! The tokenisers of the reference implementations, one file each.

mod punkt;
mod rouge_words;
mod thirteen_a;
mod treebank;

pub(crate) use punkt::Punkt;
pub(crate) use rouge_words::rouge_words;
pub(crate) use thirteen_a::thirteen_a;
pub(crate) use treebank::treebank;

/// NLTK's `word_tokenize`: sentences by Punkt's English model, then Treebank tokens of each.
pub(crate) fn nltk_words(text: &str, punkt: &Punkt) -> Vec<String> {
    let mut words = Vec::new();
    for sentence in punkt.sentences(text) {
        words.extend(treebank(&sentence));
    }
    words
}

/// Appends a text with each piece that `find` names set off by spaces; `find` gives the end of a piece that
/// starts at a character, or none.
pub(crate) fn pad(text: &str, find: impl Fn(&str, char) -> Option<usize>) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match find(&text[at..], c) {
            Some(length) => {
                out.push(' ');
                out.push_str(&text[at..at + length]);
                out.push(' ');
                at += length;
            }
            None => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    out
}
