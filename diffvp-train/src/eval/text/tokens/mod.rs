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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts in which the characters that the tokenisers look at are frequent.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-zA-Z]{1,4}",
            4 => "[-.,:;!?'\"`()\\[\\]{}<> \n\t0-9&*@#]{1,3}",
            1 => "\\PC{1,2}",
            1 => Just("cannot".to_owned()),
            1 => Just(". . .".to_owned()),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_tokeniser_and_none_invents_letters(text in texts()) {
            let punkt = Punkt::english();
            let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
            let count = |words: Vec<String>| words.iter().map(|word| letters(word)).sum::<usize>();
            prop_assert_eq!(count(nltk_words(&text, &punkt)), letters(&text));
            prop_assert!(nltk_words(&text, &punkt).iter().all(|word| !word.is_empty() && !word.contains([' ', '\n'])));
            prop_assert_eq!(count(punkt.sentences(&text)), letters(&text));
            prop_assert!(rouge_words(&text).iter().all(|word| word.chars().all(|c| c.is_ascii_alphanumeric())));
            prop_assert!(thirteen_a(&text).iter().all(|word| !word.is_empty()));
        }

        #[test]
        fn no_word_breaks_the_stemmer(word in "[a-zéy]{0,12}") {
            prop_assert!(crate::eval::text::porter::stem(&word).chars().count() <= word.chars().count() + 1);
        }
    }
}
