//! Phrases of training reports, as tokens: what a model that was trained with them is likely to write.
//!
//! Reports are formulaic. A phrase that begins as the report goes on right now says what probably follows, and the
//! decoder checks several such tokens in one run. The phrases change how fast a report is written, never what is written.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::files::{read_error, write_atomic};
use crate::{Error, Result};

const TOKENS: &str = "tokens";
const COUNTS: &str = "counts";
const ORDER: &str = "order";

/// Tokens of all phrases together, at most.
pub const MAX_PHRASE_TOKENS: usize = 1 << 22;
/// Room that the file may take beyond its tensors, in bytes.
const MAX_EXTRA_BYTES: u64 = 1 << 16;
/// Tokens of context that are compared, at most.
const LONGEST_CONTEXT: usize = 12;
/// Places that are asked what follows, at most.
const MOST_ASKED: usize = 64;

/// Phrases with a suffix array over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhraseBank {
    /// Phrases one behind the other. Each begins with [`PhraseBank::start`] of its section and ends with an end token.
    tokens: Vec<u32>,
    /// How often the phrase of each token was seen.
    counts: Vec<u32>,
    /// Places in `tokens`, in the order of what stands from there on.
    order: Vec<u32>,
    vocab_size: u32,
}

/// What probably comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guess {
    /// The token.
    pub token: u32,
    /// Share of the phrases with this context that go on so, 0 to 1.
    pub share: f32,
    /// Tokens of context that they have in common with the report.
    pub context: usize,
}

impl PhraseBank {
    /// A bank of phrases, given as section and tokens with the end token last. Equal phrases are kept once; of more than
    /// `max_tokens` tokens the rarest are left out.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for an empty phrase, or a token that is not below `vocab_size`.
    pub fn new(
        phrases: impl IntoIterator<Item = (usize, Vec<u32>)>,
        vocab_size: usize,
        max_tokens: usize,
    ) -> Result<PhraseBank> {
        let refused = |detail: String| Error::InvalidOption { name: "phrases", detail };
        let vocab = u32::try_from(vocab_size).map_err(|_| refused(format!("{vocab_size} tokens of vocabulary")))?;
        let mut seen: BTreeMap<(usize, Vec<u32>), u32> = BTreeMap::new();
        for (section, phrase) in phrases {
            if phrase.is_empty() || phrase.iter().any(|&token| token >= vocab) {
                return Err(refused(format!("a phrase is empty or has tokens that are not below {vocab}")));
            }
            let count = seen.entry((section, phrase)).or_default();
            *count = count.saturating_add(1);
        }
        let mut phrases: Vec<_> = seen.into_iter().collect();
        phrases.sort_by_key(|((_, phrase), count)| (std::cmp::Reverse(*count), phrase.len()));
        let (mut tokens, mut counts) = (Vec::new(), Vec::new());
        for ((section, phrase), count) in phrases {
            if tokens.len() + phrase.len() + 1 > max_tokens.min(MAX_PHRASE_TOKENS) {
                break;
            }
            tokens.push(start_of(section, vocab).ok_or_else(|| refused(format!("section {section}")))?);
            tokens.extend(phrase);
            counts.resize(tokens.len(), count);
        }
        let mut order: Vec<u32> = (0..tokens.len() as u32).collect();
        order.par_sort_unstable_by_key(|&place| (suffix(&tokens, place, vocab), place));
        Ok(PhraseBank { tokens, counts, order, vocab_size: vocab })
    }

    /// Number of phrases.
    pub fn len(&self) -> usize {
        self.tokens.iter().filter(|&&token| token >= self.vocab_size).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The mark at which phrases of a section begin.
    pub fn start(&self, section: usize) -> u32 {
        start_of(section, self.vocab_size).unwrap_or(u32::MAX)
    }

    /// What follows in the phrases that share the longest end of `context`: the tokens of a section so far, behind the
    /// [`start`](PhraseBank::start) of the section.
    pub fn next(&self, context: &[u32]) -> Option<Guess> {
        let longest = context.len().min(LONGEST_CONTEXT);
        // Whether any place has an end of some length falls with the length: halve.
        let (mut some, mut none) = (0, longest + 1);
        while none - some > 1 {
            let middle = some.midpoint(none);
            if self.places(&context[context.len() - middle..]).is_empty() {
                none = middle;
            } else {
                some = middle;
            }
        }
        if some == 0 {
            return None;
        }
        let places = self.places(&context[context.len() - some..]);
        let step = places.len().div_ceil(MOST_ASKED);
        let mut votes: Vec<(u32, u64)> = Vec::new();
        for &place in places.iter().step_by(step) {
            let at = place as usize + some;
            let Some(&token) = self.tokens.get(at).filter(|&&token| token < self.vocab_size) else { continue };
            let count = u64::from(self.counts[place as usize]);
            match votes.iter_mut().find(|vote| vote.0 == token) {
                Some(vote) => vote.1 += count,
                None => votes.push((token, count)),
            }
        }
        let all: u64 = votes.iter().map(|vote| vote.1).sum();
        let (token, count) = votes.into_iter().max_by_key(|&(token, count)| (count, std::cmp::Reverse(token)))?;
        Some(Guess { token, share: count as f32 / all as f32, context: some })
    }

    /// Places from which on `wanted` stands.
    fn places(&self, wanted: &[u32]) -> &[u32] {
        let head = |place: u32| {
            let suffix = suffix(&self.tokens, place, self.vocab_size);
            &suffix[..suffix.len().min(wanted.len())]
        };
        let from = self.order.partition_point(|&place| head(place) < wanted);
        let rest = &self.order[from..];
        &rest[..rest.partition_point(|&place| head(place) == wanted)]
    }

    /// Writes the file; the same phrases give the same bytes.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let bytes = 4 * self.tokens.len();
        let tensors = [(TOKENS, &self.tokens), (COUNTS, &self.counts), (ORDER, &self.order)];
        let entry = |i: usize| json!({ "dtype": "U32", "shape": [self.tokens.len()], "data_offsets": [i * bytes, (i + 1) * bytes] });
        let header: serde_json::Map<_, _> =
            tensors.iter().enumerate().map(|(i, t)| (t.0.to_owned(), entry(i))).collect();
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        write_atomic(path.as_ref(), |writer| {
            writer.write_all(&(header.len() as u64).to_le_bytes())?;
            writer.write_all(&header)?;
            tensors.iter().flat_map(|(_, values)| *values).try_for_each(|value| writer.write_all(&value.to_le_bytes()))
        })
    }

    /// Reads the file of a package with this vocabulary.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Read`], [`Error::LimitExceeded`]; [`Error::PackageContent`] where it is not such a file.
    pub fn read(path: &Path, vocab_size: usize) -> Result<PhraseBank> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let found = std::fs::metadata(path).map_err(|source| read_error(path, source))?.len();
        let limit = 12 * MAX_PHRASE_TOKENS as u64 + MAX_EXTRA_BYTES;
        if found > limit {
            return Err(Error::LimitExceeded { what: format!("{file} in bytes"), found, limit });
        }
        let bytes = std::fs::read(path).map_err(|source| read_error(path, source))?;
        let content = |detail: String| Error::PackageContent { file: file.clone(), detail };
        let parsed = SafeTensors::deserialize(&bytes).map_err(|e| content(format!("not safetensors: {e}")))?;
        let values = |name: &str| -> Result<Vec<u32>> {
            let view = parsed.tensor(name).map_err(|_| content(format!("has no tensor {name:?}")))?;
            if view.dtype() != Dtype::U32 || view.shape().len() != 1 {
                return Err(content(format!("{name} is {:?} {:?}, expected U32 [tokens]", view.dtype(), view.shape())));
            }
            Ok(view.data().as_chunks::<4>().0.iter().map(|value| u32::from_le_bytes(*value)).collect())
        };
        let vocab_size = u32::try_from(vocab_size).map_err(|e| content(e.to_string()))?;
        let bank = PhraseBank { tokens: values(TOKENS)?, counts: values(COUNTS)?, order: values(ORDER)?, vocab_size };
        bank.check().map_err(content)?;
        Ok(bank)
    }

    /// Whether lookups stay inside. An order that is wrong in other ways gives bad guesses, which the decoder rejects.
    fn check(&self) -> std::result::Result<(), String> {
        let count = self.tokens.len();
        if self.counts.len() != count || self.order.len() != count {
            return Err(format!("{count} tokens, {} counts and {} places", self.counts.len(), self.order.len()));
        }
        if self.order.iter().any(|&place| place as usize >= count) {
            return Err(format!("a place is not below {count}"));
        }
        if self.tokens.first().is_some_and(|&token| token < self.vocab_size) {
            return Err("the first phrase has no start".into());
        }
        Ok(())
    }
}

/// What stands from a place to the end of its phrase. The mark of a start is the first of its own phrase only.
fn suffix(tokens: &[u32], place: u32, vocab_size: u32) -> &[u32] {
    let rest = &tokens[place as usize..];
    let more = rest[1..].iter().take(LONGEST_CONTEXT).take_while(|&&token| token < vocab_size).count();
    &rest[..1 + more]
}

fn start_of(section: usize, vocab_size: u32) -> Option<u32> {
    vocab_size.checked_add(u32::try_from(section).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bank() -> PhraseBank {
        let phrases = [(0, vec![1, 2, 3, 0]), (0, vec![1, 2, 4, 0]), (0, vec![1, 2, 4, 0]), (1, vec![5, 2, 3, 0])];
        PhraseBank::new(phrases, 10, 1000).unwrap()
    }

    #[test]
    fn the_longest_context_and_the_most_frequent_phrase_decide() {
        let bank = bank();
        assert_eq!(bank.len(), 3);
        let next = |context: &[u32]| bank.next(context).map(|g| (g.token, g.share, g.context));
        assert_eq!(next(&[bank.start(0)]), Some((1, 1.0, 1)));
        assert_eq!(next(&[bank.start(0), 1, 2]), Some((4, 2.0 / 3.0, 3)));
        assert_eq!(next(&[bank.start(1), 5, 2]), Some((3, 1.0, 3)));
        // 7 is nowhere: what comes behind it counts, in every section.
        assert_eq!(next(&[bank.start(0), 7, 2]), Some((3, 0.5, 1)));
        assert_eq!(next(&[7]), None);
        assert_eq!(next(&[bank.start(4)]), None);
        assert_eq!(next(&[]), None);
        assert_eq!(next(&[bank.start(0), 1, 2, 3, 0]), None, "a phrase ends with its end token");
    }

    #[test]
    fn the_rarest_phrases_are_left_out_first() {
        let phrases = [(0, vec![1, 0]), (0, vec![2, 0]), (0, vec![2, 0])];
        let bank = PhraseBank::new(phrases, 10, 3).unwrap();
        assert_eq!(bank.next(&[bank.start(0)]).map(|g| g.token), Some(2));
        assert_eq!(bank.len(), 1);
        assert!(PhraseBank::new([(0, vec![10])], 10, 100).is_err());
        assert!(PhraseBank::new([(0, vec![])], 10, 100).is_err());
        assert!(PhraseBank::new([], 10, 100).unwrap().next(&[10]).is_none());
    }

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phrases.safetensors");
        bank().write(&path).unwrap();
        assert_eq!(PhraseBank::read(&path, 10).unwrap(), bank());
        let bytes = std::fs::read(&path).unwrap();
        bank().write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        // The first start mark is a token of a larger vocabulary.
        assert!(matches!(PhraseBank::read(&path, 100), Err(Error::PackageContent { .. })));
        std::fs::write(&path, &bytes[..bytes.len() - 2]).unwrap();
        assert!(matches!(PhraseBank::read(&path, 10), Err(Error::PackageContent { .. })));
        let mut outside = bytes.clone();
        let last = outside.len() - 4;
        outside[last..].copy_from_slice(&1000u32.to_le_bytes());
        std::fs::write(&path, &outside).unwrap();
        assert!(matches!(PhraseBank::read(&path, 10), Err(Error::PackageContent { .. })));
    }

    /// The phrases one by one: the most frequent continuation of the longest end of the context that any has.
    fn by_hand(phrases: &[(usize, Vec<u32>)], context: &[u32], vocab: u32) -> Option<(usize, Vec<(u32, usize)>)> {
        let whole: Vec<Vec<u32>> = phrases.iter().map(|(s, p)| [&[vocab + *s as u32], p.as_slice()].concat()).collect();
        for length in (1..=context.len().min(LONGEST_CONTEXT)).rev() {
            let end = &context[context.len() - length..];
            let (mut stands, mut votes) = (false, BTreeMap::new());
            for phrase in &whole {
                for at in 0..=phrase.len().saturating_sub(length) {
                    if phrase[at..].starts_with(end) {
                        stands = true;
                        if let Some(&token) = phrase.get(at + length) {
                            *votes.entry(token).or_insert(0) += 1;
                        }
                    }
                }
            }
            if stands {
                return Some((length, votes.into_iter().collect()));
            }
        }
        None
    }

    proptest! {
        #[test]
        fn guesses_are_those_of_a_search_by_hand(
            phrases in proptest::collection::vec((0usize..2, proptest::collection::vec(1u32..5, 1..8)), 1..8),
            context in proptest::collection::vec(1u32..6, 0..8),
            section in 0usize..3,
        ) {
            let phrases: Vec<_> = phrases.into_iter().map(|(s, mut p)| { p.push(0); (s, p) }).collect();
            let bank = PhraseBank::new(phrases.clone(), 8, 10_000).unwrap();
            let context = [&[bank.start(section)], context.as_slice()].concat();
            match (bank.next(&context), by_hand(&phrases, &context, 8)) {
                (Some(guess), Some((length, votes))) => {
                    prop_assert_eq!(guess.context, length);
                    let all: usize = votes.iter().map(|v| v.1).sum();
                    let most = votes.iter().map(|v| v.1).max().unwrap();
                    prop_assert!(votes.contains(&(guess.token, most)));
                    prop_assert!((guess.share - most as f32 / all as f32).abs() < 1e-6);
                }
                (None, by_hand) => prop_assert!(by_hand.is_none_or(|(_, votes)| votes.is_empty())),
                (found, by_hand) => prop_assert!(false, "{:?} {:?}", found, by_hand),
            }
        }

        #[test]
        fn damaged_files_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("phrases.safetensors");
            bank().write(&path).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            std::fs::write(&path, bytes).unwrap();
            if let Ok(bank) = PhraseBank::read(&path, 10) {
                let _ = bank.next(&[bank.start(0), 1, 2]);
            }
        }
    }
}
