//! A small byte-level tokenizer for demo models, trained on a list of sentences that is part of this crate.

use std::collections::HashSet;

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use crate::error::{Error, Result};
use crate::package::lineage::{FINDINGS, FINDINGS_PREFIX, INSTRUCTION, NO_FINDINGS, REGIONS};

/// Begins every prompt; id 0.
pub const BEGIN: &str = "<s>";
/// Ends a report or a section; id 1.
pub const END: &str = "</s>";

/// Smallest vocabulary: all bytes and the two special tokens.
pub const SMALLEST_VOCABULARY: usize = 258;

const SENTENCES: &str = include_str!("../assets/demo_sentences.txt");

/// A trained tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedTokenizer {
    /// `tokenizer.json` of the `tokenizers` crate.
    pub json: String,
    /// Number of tokens, the special ones among them.
    pub vocab_size: usize,
}

/// Regions with the built-in sentences about them.
pub fn demo_sentences() -> impl Iterator<Item = (&'static str, &'static str)> {
    SENTENCES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

/// The tokenizer of the demo: at most `vocab_size` tokens, trained on the built-in sentences with their
/// headings, the names of the findings and the instruction. The same input gives the same bytes.
///
/// # Errors
/// [`Error::Tokenizer`], see [`train`].
pub fn demo(vocab_size: usize) -> Result<TrainedTokenizer> {
    let heading = |region: &str| REGIONS.iter().find(|r| r.region == region).map_or("", |r| r.heading);
    let sections = demo_sentences().map(|(region, sentence)| format!("{}: {sentence}", heading(region)));
    let findings = FINDINGS.iter().map(|name| format!("{FINDINGS_PREFIX}{name}, {name}."));
    // Fixed texts stand in every prompt, so that they are worth tokens of their own.
    let fixed = [NO_FINDINGS, INSTRUCTION].into_iter().flat_map(|text| [text.to_string(), text.to_string()]);
    train(sections.chain(findings).chain(fixed), vocab_size)
}

/// Trains a byte-level BPE (any text can be encoded and comes back as it was) with [`BEGIN`] and [`END`].
///
/// # Errors
/// [`Error::Tokenizer`] for a vocabulary below [`SMALLEST_VOCABULARY`], or where training fails.
pub fn train(texts: impl IntoIterator<Item = String>, vocab_size: usize) -> Result<TrainedTokenizer> {
    if vocab_size < SMALLEST_VOCABULARY {
        let detail =
            format!("a vocabulary of {vocab_size} does not hold {SMALLEST_VOCABULARY} bytes and special tokens");
        return Err(Error::Tokenizer { detail });
    }
    let failed = |error: tokenizers::Error| Error::Tokenizer { detail: error.to_string() };
    let special = [BEGIN, END].map(|token| AddedToken::from(token, true)).to_vec();
    let alphabet: HashSet<char> = ByteLevel::alphabet().into_iter().collect();
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special)
        .initial_alphabet(alphabet)
        .build();
    let byte_level = ByteLevel::new(false, false, true);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(byte_level)).with_decoder(Some(byte_level));
    // In one order whatever the caller's was, and fed one by one: nothing may depend on threads.
    let texts: Vec<String> = texts.into_iter().collect();
    tokenizer.train(&mut TrainerWrapper::BpeTrainer(trainer), texts.into_iter()).map_err(failed)?;
    Ok(TrainedTokenizer {
        vocab_size: tokenizer.get_vocab_size(true),
        json: tokenizer.to_string(true).map_err(failed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_twice_gives_the_same_bytes() {
        let first = demo(600).unwrap();
        for _ in 0..3 {
            assert_eq!(demo(600).unwrap(), first);
        }
        // Pinned: another hash would make every demo package another one.
        assert_eq!(
            diffvp::files::sha256(first.json.as_bytes()),
            "a2d93f984edbb08d969eee4adad42a5084796b701d235409924938ecca39705d"
        );
    }

    #[test]
    fn special_tokens_come_first_and_text_comes_back() {
        let trained = demo(600).unwrap();
        assert_eq!(trained.vocab_size, 600);
        let tokenizer = Tokenizer::from_bytes(trained.json.as_bytes()).unwrap();
        assert_eq!((tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)), (Some(0), Some(1)));
        for text in ["The heart is enlarged, 12 mm.", "Œdème µ 7 mm\n"] {
            let ids = tokenizer.encode(text, false).unwrap();
            assert_eq!(tokenizer.decode(ids.get_ids(), true).unwrap(), text);
        }
        let ids = tokenizer.encode(" No pleural effusion is seen.", false).unwrap();
        assert!(ids.len() <= 9, "frequent words are one token each: {:?}", ids.get_tokens());
    }

    #[test]
    fn sentences_cover_the_ten_regions() {
        let regions: HashSet<&str> = demo_sentences().map(|s| s.0).collect();
        assert_eq!(regions, REGIONS.iter().map(|r| r.region).collect());
        assert!(demo_sentences().count() >= 80);
        assert!(matches!(demo(100), Err(Error::Tokenizer { .. })));
    }
}
