//! Clinical efficacy: the 18 findings that two texts state, compared.
//!
//! A labeller reads both texts, and the scores compare its answers; or they compare its answers on one text with
//! labels from a table. Two labellers:
//! * `builtin`: rules that need no weights, in a text anybody can read ([`builtin::RuleLabeller`]);
//! * `classifier`: any text classifier exported to ONNX, such as the RadBERT form of the published numbers.
//!
//! `labeller` is the common face, `table` reads and writes CSV files, `evaluate` goes through one row by row, `scores`
//! does the counting, and `report` prints with every number's convention.

pub mod builtin;
mod classifier;
mod evaluate;
mod labeller;
mod report;
mod scores;
mod table;

pub use classifier::TextClassifier;
pub use evaluate::{Comparison, Request, Truth, evaluate, label};
pub use labeller::{Description, Labeller};
pub use report::{json, text};
pub use scores::{Counts, Prf, Scores};

/// For each of [`FINDINGS`](crate::labels::FINDINGS), whether a text states it.
pub type Labels = [bool; 18];
