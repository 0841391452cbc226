//! Statistics of scores: means as NumPy sums them, tests as SciPy computes them, bootstrap and Wilson intervals.

mod bootstrap;
mod compare;
mod moments;
mod proportion;
mod student;

pub use bootstrap::{Interval, RESAMPLES, paired_bootstrap, rouge_aggregate};
pub use compare::{Comparison, Side, compare, comparison_json, comparison_markdown};
pub use moments::{mean, standard_deviation};
pub use proportion::wilson;
pub use student::{TTest, paired_t_test, welch_t_test};
