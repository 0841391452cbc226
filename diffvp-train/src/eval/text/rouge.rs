//! ROUGE-1, ROUGE-2 and ROUGE-L as the rouge_score package computes them, without stemmer.

use super::ngrams::{Vocabulary, shared};
use super::tokens::rouge_words;

/// Precision, recall and F-measure, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RougeScore {
    /// Share of the prediction that is in the reference.
    pub precision: f64,
    /// Share of the reference that is in the prediction.
    pub recall: f64,
    /// Their harmonic mean: what is published.
    pub f_measure: f64,
}

impl RougeScore {
    fn new(common: usize, prediction: usize, reference: usize) -> RougeScore {
        let precision = common as f64 / prediction.max(1) as f64;
        let recall = common as f64 / reference.max(1) as f64;
        let sum = precision + recall;
        let f_measure = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        RougeScore { precision, recall, f_measure }
    }
}

/// ROUGE-1, ROUGE-2 and ROUGE-L of one pair.
pub fn rouge(reference: &str, prediction: &str) -> [RougeScore; 3] {
    let (reference, prediction) = (rouge_words(reference), rouge_words(prediction));
    let mut vocabulary = Vocabulary::default();
    let reference = vocabulary.encode(reference.iter().map(String::as_str));
    let prediction = vocabulary.encode(prediction.iter().map(String::as_str));
    let (p, r) = (prediction.len(), reference.len());
    [
        RougeScore::new(shared(&reference, &prediction, 1), p, r),
        RougeScore::new(shared(&reference, &prediction, 2), p.saturating_sub(1), r.saturating_sub(1)),
        RougeScore::new(longest_common_subsequence(&reference, &prediction), p, r),
    ]
}

/// Length of the longest common subsequence, 64 cells of the table at a time (Hyyrö 2004): n · m / 64 steps, so that two
/// reports of a million characters take a second, not minutes.
fn longest_common_subsequence(a: &[u32], b: &[u32]) -> usize {
    // What both begin or end with is in the longest common subsequence: generated reports share much of it.
    let begin = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[begin..], &b[begin..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let blocks = short.len().div_ceil(64);
    // Where each word stands in the short text, as (block, bits).
    let mut places: std::collections::HashMap<u32, Vec<(usize, u64)>> = std::collections::HashMap::new();
    for (i, &word) in short.iter().enumerate() {
        let place = places.entry(word).or_default();
        match place.last_mut() {
            Some((block, bits)) if *block == i / 64 => *bits |= 1 << (i % 64),
            _ => place.push((i / 64, 1 << (i % 64))),
        }
    }
    // A zero bit is a step of the table's row.
    let mut row = vec![u64::MAX; blocks];
    for word in long {
        let Some(place) = places.get(word) else { continue };
        let mut place = place.iter().peekable();
        let first = place.peek().map_or(blocks, |(block, _)| *block);
        let mut carry = false;
        // Blocks before the first place do not change.
        for (block, cells) in row.iter_mut().enumerate().skip(first) {
            let bits = place.next_if(|(b, _)| *b == block).map_or(0, |(_, bits)| *bits);
            let (sum, over) = cells.overflowing_add(*cells & bits);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            carry = over || over_again;
            *cells = sum | (*cells & !bits);
        }
    }
    // Bits past the end of the short text stay ones: nothing matches there, and a carry into them only passes on.
    begin + end + row.iter().map(|cells| cells.count_zeros() as usize).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(a: &[u32], b: &[u32]) -> usize {
        let mut row = vec![0usize; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (j, y) in b.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn bits_and_table_agree(
            a in proptest::collection::vec(0u32..6, 0..300),
            b in proptest::collection::vec(0u32..6, 0..300),
        ) {
            prop_assert_eq!(longest_common_subsequence(&a, &b), table(&a, &b));
        }
    }

    #[test]
    fn scores_of_a_small_pair() {
        let [one, two, l] = rouge("the cat sat on the mat", "the the cat");
        assert_eq!((one.precision, one.recall), (1.0, 0.5));
        assert_eq!((two.precision, two.recall), (0.5, 0.2));
        assert_eq!((l.precision, l.recall), (2.0 / 3.0, 2.0 / 6.0));
        assert_eq!(rouge("", "a")[2], RougeScore::default());
        assert_eq!(rouge("a", "a")[1], RougeScore::default());
    }
}
