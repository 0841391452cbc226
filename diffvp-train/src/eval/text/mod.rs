//! Text metrics as the published numbers of the lineage are computed, and tables of them.
//!
//! [`pairs`] reads references and predictions; [`score`](score()) scores a file in two passes, of which the second is CIDEr's, so
//! that no more than a chunk of texts is in memory. One metric a file, one tokeniser a file in `tokens/`.

mod bleu;
mod cider;
mod meteor;
mod metrics;
mod ngrams;
pub mod pairs;
mod plot;
mod porter;
pub(crate) mod python;
mod results;
mod rouge;
mod score;
pub(crate) mod strip;
mod table;
mod tokens;
mod wordnet;

pub use bleu::BleuCounts;
pub use cider::DocumentFrequencies;
pub use meteor::Meteor;
pub use metrics::{CORPUS_METRICS, CorpusValue, Metric};
pub use pairs::{Pair, PairSource};
pub use plot::bar_chart;
pub use results::{seeds_json, to_csv, to_json};
pub use rouge::{RougeScore, rouge};
pub use score::{Evaluation, ReportScores, ScoreOptions, score, score_pairs};
pub use strip::Strip;
pub use table::{markdown, seeds_markdown};
pub use wordnet::{DEBIAN_FOLDER, WordNet};
