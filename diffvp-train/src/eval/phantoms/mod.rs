//! Reports of phantoms against what is exactly in them.
//!
//! `reports` makes phantoms that no training has seen and reports them with a package, and can be broken off; `score`
//! compares what the reports state with the truth: findings, sides, lobes, sizes, words; `table` prints it.

mod reports;
mod score;
mod table;

pub use reports::{PhantomRequest, Reported, make_reports};
pub use score::{PhantomScores, Rate, score};
pub use table::{json, markdown};
