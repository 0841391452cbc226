//! What rounding changes of a decoder's next tokens.

use serde::Serialize;
use tch::{Kind, Tensor};

/// Next-token distributions of a rounded decoder against those of the exact one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct NextTokens {
    /// Positions compared.
    pub tokens: u64,
    /// Mean Kullback-Leibler divergence of the next token's distribution, in nats.
    pub kl_divergence: f64,
    /// Positions of 1,000 at which another token is the most likely.
    pub changed_per_1000: f64,
    /// Perplexity of the tokens that really follow, with exact weights; 1 where none are known.
    pub perplexity: f64,
    /// Perplexity with rounded weights, divided by that.
    pub perplexity_ratio: f64,
}

/// Sums over positions.
#[derive(Default)]
pub(super) struct Sums {
    rows: u64,
    divergence: f64,
    changed: i64,
    exact: f64,
    rounded: f64,
}

impl Sums {
    /// Adds rows of logits `[rows, vocab]`; `next` are the tokens that follow each, where they are known.
    pub(super) fn add(&mut self, exact: &Tensor, rounded: &Tensor, next: Option<&[u32]>) {
        let [exact, rounded] = [exact, rounded].map(|logits| logits.log_softmax(-1, Kind::Double));
        self.rows += exact.size()[0] as u64;
        self.divergence += (exact.exp() * (&exact - &rounded)).sum(Kind::Double).double_value(&[]);
        let changed = exact.argmax(-1, false).ne_tensor(&rounded.argmax(-1, false));
        self.changed += changed.sum(Kind::Int64).int64_value(&[]);
        if let Some(next) = next {
            let next = Tensor::from_slice(&next.iter().map(|id| i64::from(*id)).collect::<Vec<_>>()).unsqueeze(1);
            let of = |logs: &Tensor| -logs.gather(1, &next, false).sum(Kind::Double).double_value(&[]);
            (self.exact, self.rounded) = (self.exact + of(&exact), self.rounded + of(&rounded));
        }
    }

    pub(super) fn finish(&self) -> NextTokens {
        let mean = |sum: f64| sum / self.rows.max(1) as f64;
        NextTokens {
            tokens: self.rows,
            kl_divergence: mean(self.divergence),
            changed_per_1000: 1000.0 * mean(self.changed as f64),
            perplexity: mean(self.exact).exp(),
            perplexity_ratio: (mean(self.rounded) - mean(self.exact)).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_definitions() {
        let [half, three] = [0.5f64, 0.75].map(f64::ln);
        // Two rows of two tokens: the first the same in both, the second 3 : 1 where it was even.
        let exact = Tensor::from_slice(&[half, half, half, half]).view([2, 2]);
        let rounded = Tensor::from_slice(&[half, half, 0.25f64.ln(), three]).view([2, 2]);
        let mut sums = Sums::default();
        sums.add(&exact, &rounded, Some(&[0, 0]));
        let found = sums.finish();
        let divergence = 0.5 * (0.5 * (0.5f64 / 0.25).ln() + 0.5 * (0.5f64 / 0.75).ln());
        assert!((found.kl_divergence - divergence).abs() < 1e-12, "{found:?}");
        assert!((found.perplexity - 2.0).abs() < 1e-12 && (found.perplexity_ratio - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!((found.tokens, found.changed_per_1000), (2, 500.0));
    }
}
