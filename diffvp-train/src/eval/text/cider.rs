//! CIDEr as pycocoevalcap computes it (n 4, σ 6) with one reference a report, on the raw words: the lineage does not run the
//! package's PTB tokeniser first, so case and punctuation count.

use std::collections::HashMap;

use rayon::prelude::*;

use super::ngrams::{LONGEST, Vocabulary, keys};
use super::python::words;

const SIGMA: f64 = 6.0;

/// Parts of the table of n-grams, filled in parallel.
const SHARDS: usize = 8;

/// How many references hold each n-gram. Its size grows with the distinct n-grams, not with the texts.
#[derive(Default)]
pub struct DocumentFrequencies {
    numbers: HashMap<String, u32>,
    shards: [HashMap<u128, u32>; SHARDS],
    documents: u64,
}

/// One text: its n-grams by order, each with its weight, in the order of their first appearance.
struct Weighted {
    orders: [Vec<(u128, f64)>; LONGEST],
    norms: [f64; LONGEST],
    /// The package takes the number of bigrams for the length.
    length: f64,
}

impl DocumentFrequencies {
    /// Counts the n-grams of more references.
    pub fn add(&mut self, references: &[&str]) {
        let mut encode = |text: &&str| -> Vec<u32> {
            words(text)
                .map(|word| match self.numbers.get(word) {
                    Some(&number) => number,
                    None => {
                        let number = self.numbers.len() as u32 + 1;
                        self.numbers.insert(word.to_owned(), number);
                        number
                    }
                })
                .collect()
        };
        let encoded: Vec<Vec<u32>> = references.iter().map(&mut encode).collect();
        let ngrams: Vec<Vec<u128>> = encoded
            .par_iter()
            .map(|words| {
                let mut all: Vec<u128> = (1..=LONGEST).flat_map(|order| keys(words, order)).collect();
                all.sort_unstable();
                all.dedup();
                all
            })
            .collect();
        self.shards.par_iter_mut().enumerate().for_each(|(shard, counts)| {
            for key in ngrams.iter().flatten().filter(|key| shard_of(**key) == shard) {
                *counts.entry(*key).or_default() += 1;
            }
        });
        self.documents += references.len() as u64;
    }

    /// References counted.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// CIDEr of one pair, 0 to 10. Its reference must have been counted.
    pub fn score(&self, reference: &str, prediction: &str) -> f64 {
        let mut unknown = Vocabulary::default();
        let prediction = self.weigh(&mut unknown, prediction);
        let reference = self.weigh(&mut unknown, reference);
        let delta = prediction.length - reference.length;
        let penalty = std::f64::consts::E.powf(-(delta * delta) / (2.0 * SIGMA * SIGMA));
        let mut total = 0.0;
        for order in 0..LONGEST {
            let weights: HashMap<u128, f64> = reference.orders[order].iter().copied().collect();
            let mut value = 0.0;
            for (key, weight) in &prediction.orders[order] {
                let other = weights.get(key).copied().unwrap_or(0.0);
                value += weight.min(other) * other;
            }
            let norms = (prediction.norms[order], reference.norms[order]);
            if norms.0 != 0.0 && norms.1 != 0.0 {
                value /= norms.0 * norms.1;
            }
            total += value * penalty;
        }
        total / LONGEST as f64 * 10.0
    }

    fn weigh<'a>(&self, unknown: &mut Vocabulary<'a>, text: &'a str) -> Weighted {
        let known = |word: &&str| self.numbers.get(*word).copied();
        let encoded: Vec<u32> =
            words(text).map(|word| known(&word).unwrap_or_else(|| u32::MAX - unknown.encode([word])[0])).collect();
        let documents = (self.documents as f64).ln();
        let mut weighted = Weighted {
            orders: Default::default(),
            norms: [0.0; LONGEST],
            length: encoded.len().saturating_sub(1) as f64,
        };
        for order in 1..=LONGEST {
            let mut places: HashMap<u128, usize> = HashMap::new();
            let list = &mut weighted.orders[order - 1];
            for key in keys(&encoded, order) {
                let place = *places.entry(key).or_insert_with(|| {
                    list.push((key, 0.0));
                    list.len() - 1
                });
                list[place].1 += 1.0;
            }
            let mut squares = 0.0;
            for (key, weight) in list {
                let count = self.shards[shard_of(*key)].get(key).copied().unwrap_or(0);
                *weight *= documents - f64::from(count.max(1)).ln();
                squares += *weight * *weight;
            }
            weighted.norms[order - 1] = squares.sqrt();
        }
        weighted
    }
}

fn shard_of(key: u128) -> usize {
    let folded = (key ^ (key >> 64)) as u64;
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_scores_ten_and_a_stranger_nothing() {
        let texts = ["a b c d e", "f g h i j", "k l m n o"];
        let mut frequencies = DocumentFrequencies::default();
        frequencies.add(&texts[..2]);
        frequencies.add(&texts[2..]);
        assert!((frequencies.score(texts[0], texts[0]) - 10.0).abs() < 1e-12);
        assert_eq!(frequencies.score(texts[0], "x y z"), 0.0);
        assert_eq!(frequencies.score(texts[0], ""), 0.0);
        assert_eq!(frequencies.score(texts[0], "A B C D E"), 0.0);
    }

    #[test]
    fn with_one_report_every_ngram_is_everywhere() {
        let mut frequencies = DocumentFrequencies::default();
        frequencies.add(&["a b"]);
        assert_eq!(frequencies.score("a b", "a b"), 0.0);
    }
}
