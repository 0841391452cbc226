//! The metrics by name, each with the convention it is computed under.

use super::score::{Evaluation, ReportScores};
use crate::eval::statistics::{mean, rouge_aggregate};

/// Seed of the bootstrap that aggregates ROUGE: the one of the lineage's scripts.
const BOOTSTRAP_SEED: u32 = 42;

/// A metric of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// BLEU of this maximum order, 1 to 4.
    Bleu(u8),
    /// METEOR.
    Meteor,
    /// ROUGE of n-grams of this order, 1 or 2.
    Rouge(u8),
    /// ROUGE of the longest common subsequence.
    RougeL,
    /// CIDEr.
    Cider,
}

impl Metric {
    /// All, in the order in which tables have them.
    pub const ALL: [Metric; 9] = [
        Metric::Bleu(1),
        Metric::Bleu(2),
        Metric::Bleu(3),
        Metric::Bleu(4),
        Metric::Meteor,
        Metric::Rouge(1),
        Metric::Rouge(2),
        Metric::RougeL,
        Metric::Cider,
    ];

    /// The name in tables, files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Bleu(1) => "BLEU-1",
            Metric::Bleu(2) => "BLEU-2",
            Metric::Bleu(3) => "BLEU-3",
            Metric::Bleu(_) => "BLEU-4",
            Metric::Meteor => "METEOR",
            Metric::Rouge(1) => "ROUGE-1",
            Metric::Rouge(_) => "ROUGE-2",
            Metric::RougeL => "ROUGE-L",
            Metric::Cider => "CIDEr",
        }
    }

    /// How a report's value is computed.
    pub fn convention(self) -> &'static str {
        match self {
            Metric::Bleu(_) => {
                "13a tokeniser, case-sensitive, orders up to n with equal weights, smoothed (m + 1)/(t + 1) at every order, \
                 brevity penalty (Hugging Face evaluate `bleu`, smooth=True)"
            }
            Metric::Meteor => {
                "NLTK single_meteor_score: Punkt sentences, Treebank tokens, lower case; exact, Porter stem (NLTK extensions), \
                 WordNet 3.0 synonym of the stem; alpha 0.9, beta 3, gamma 0.5"
            }
            Metric::Rouge(_) | Metric::RougeL => "rouge_score F-measure, lower case, [a-z0-9]+ tokens, no stemmer",
            Metric::Cider => {
                "pycocoevalcap CIDEr (n 4, sigma 6, times 10), words between white space as they are, one reference; document \
                 frequencies from the references of the same file"
            }
        }
    }

    /// The value of one report; nothing where it was not computed.
    pub fn of(self, report: &ReportScores) -> Option<f64> {
        Some(match self {
            Metric::Bleu(order) => report.bleu[usize::from(order) - 1],
            Metric::Meteor => return report.meteor,
            Metric::Rouge(order) => report.rouge[usize::from(order) - 1].f_measure,
            Metric::RougeL => report.rouge[2].f_measure,
            Metric::Cider => report.cider,
        })
    }
}

/// A value of a whole file: how it is computed, and the value.
pub type CorpusValue = (Metric, &'static str, f64);

/// Metrics that have a value of a whole file besides the mean over reports.
pub const CORPUS_METRICS: [Metric; 8] = [
    Metric::Bleu(1),
    Metric::Bleu(2),
    Metric::Bleu(3),
    Metric::Bleu(4),
    Metric::Meteor,
    Metric::Rouge(1),
    Metric::Rouge(2),
    Metric::RougeL,
];

impl Evaluation {
    /// Values of the corpus, as `evaluate` gives them when it is called once for all reports.
    pub fn corpus_values(&self) -> Vec<CorpusValue> {
        let f = |i: usize| self.reports.iter().map(|report| report.rouge[i].f_measure).collect::<Vec<_>>();
        let rouge = rouge_aggregate([&f(0), &f(1), &f(2)], BOOTSTRAP_SEED);
        let value = |metric| {
            Some(match metric {
                Metric::Bleu(order) => self.corpus.score(usize::from(order)),
                Metric::Meteor => mean(&self.values(Metric::Meteor)?),
                Metric::Rouge(order) => rouge[usize::from(order) - 1],
                _ => rouge[2],
            })
        };
        let convention = |metric| match metric {
            Metric::Bleu(_) => "counts of all reports summed, then one score: not the mean of the reports' scores",
            Metric::Meteor => "mean over reports",
            _ => "bootstrap median: 1000 resamples of the mean, NumPy's Mersenne Twister, seed 42",
        };
        CORPUS_METRICS.iter().filter_map(|&metric| Some((metric, convention(metric), value(metric)?))).collect()
    }
}
