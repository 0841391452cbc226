//! Words as numbers, and n-grams of them as single keys.

use std::collections::HashMap;

/// Longest n-gram of any metric here.
pub(crate) const LONGEST: usize = 4;

/// Gives each distinct word a number, from 1.
#[derive(Default)]
pub(crate) struct Vocabulary<'a> {
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Vocabulary<'a> {
    /// Numbers of words.
    pub(crate) fn encode(&mut self, words: impl IntoIterator<Item = &'a str>) -> Vec<u32> {
        let number = |word| {
            let next = self.numbers.len() as u32 + 1;
            *self.numbers.entry(word).or_insert(next)
        };
        words.into_iter().map(number).collect()
    }
}

/// The n-grams of one order, one key each; 0 fills the places of shorter ones.
pub(crate) fn keys(words: &[u32], order: usize) -> impl Iterator<Item = u128> {
    debug_assert!((1..=LONGEST).contains(&order));
    words.windows(order).map(|ngram| ngram.iter().fold(0, |key, &word| (key << 32) | u128::from(word)))
}

/// How many n-grams of one order two texts share, each counted as often as it is in both.
pub(crate) fn shared(a: &[u32], b: &[u32], order: usize) -> usize {
    let sorted = |words| {
        let mut keys: Vec<u128> = keys(words, order).collect();
        keys.sort_unstable();
        keys
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                count += 1;
                i += 1;
                j += 1;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_ngrams_are_clipped() {
        let mut vocabulary = Vocabulary::default();
        let a = vocabulary.encode("the the the cat".split(' '));
        let b = vocabulary.encode("the cat the".split(' '));
        assert_eq!((a, b), (vec![1, 1, 1, 2], vec![1, 2, 1]));
        assert_eq!((1..=4).map(|n| shared(&[1, 1, 1, 2], &[1, 2, 1], n)).collect::<Vec<_>>(), [3, 1, 0, 0]);
        assert_eq!(keys(&[1, 2], 3).count(), 0);
    }
}
