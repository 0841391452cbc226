//! BLEU as `evaluate.load("bleu")` computes it with `smooth=True`: the script of tensorflow/nmt over 13a tokens.

use super::ngrams::{LONGEST, Vocabulary, shared};
use super::tokens::thirteen_a;

/// What BLEU needs of one pair of texts, or of many together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BleuCounts {
    /// n-grams that prediction and reference share, for orders 1 to 4.
    pub matches: [u64; LONGEST],
    /// n-grams of the prediction.
    pub possible: [u64; LONGEST],
    /// Tokens of the reference.
    pub reference_tokens: u64,
    /// Tokens of the prediction.
    pub prediction_tokens: u64,
}

impl BleuCounts {
    /// Counts of one pair.
    pub fn of(reference: &str, prediction: &str) -> BleuCounts {
        let (reference, prediction) = (thirteen_a(reference), thirteen_a(prediction));
        let mut vocabulary = Vocabulary::default();
        let reference = vocabulary.encode(reference.iter().map(String::as_str));
        let prediction = vocabulary.encode(prediction.iter().map(String::as_str));
        let mut counts = BleuCounts {
            reference_tokens: reference.len() as u64,
            prediction_tokens: prediction.len() as u64,
            ..BleuCounts::default()
        };
        for order in 1..=LONGEST {
            counts.matches[order - 1] = shared(&prediction, &reference, order) as u64;
            counts.possible[order - 1] = (prediction.len() + 1).saturating_sub(order) as u64;
        }
        counts
    }

    /// Adds the counts of another pair: the counts of a corpus.
    pub fn add(&mut self, other: &BleuCounts) {
        for order in 0..LONGEST {
            self.matches[order] += other.matches[order];
            self.possible[order] += other.possible[order];
        }
        self.reference_tokens += other.reference_tokens;
        self.prediction_tokens += other.prediction_tokens;
    }

    /// BLEU of maximum order `order` (1 to 4), 0 to 1.
    ///
    /// Each precision is (matches + 1) / (possible + 1), of the first order too. Where a text is empty, the script divides
    /// by zero; the score is 0 here.
    pub fn score(&self, order: usize) -> f64 {
        if self.prediction_tokens == 0 || self.reference_tokens == 0 {
            return 0.0;
        }
        let weight = 1.0 / order as f64;
        let precision = |i: usize| (self.matches[i] as f64 + 1.0) / (self.possible[i] as f64 + 1.0);
        let mean = (0..order).map(|i| weight * precision(i).ln()).sum::<f64>().exp();
        let ratio = self.prediction_tokens as f64 / self.reference_tokens as f64;
        let brevity = if ratio > 1.0 { 1.0 } else { (1.0 - 1.0 / ratio).exp() };
        mean * brevity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_reaches_the_first_order() {
        let counts = BleuCounts::of("a b c d", "a b x");
        assert_eq!((counts.matches, counts.possible), ([2, 1, 0, 0], [3, 2, 1, 0]));
        let brevity = (1.0f64 - 4.0 / 3.0).exp();
        assert!((counts.score(1) - 0.75 * brevity).abs() < 1e-15);
        assert!((counts.score(2) - (0.75f64 * 2.0 / 3.0).sqrt() * brevity).abs() < 1e-15);
    }

    #[test]
    fn nothing_scores_zero() {
        for (reference, prediction) in [("a", ""), ("", "a"), ("", ""), ("a", " \n")] {
            assert_eq!(BleuCounts::of(reference, prediction).score(4), 0.0);
        }
    }
}
