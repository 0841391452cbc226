//! A language model (or a reader) as judge: forced choice between two reports of one study, one question at a time.
//!
//! [`prompts`] writes the questions, with the order of the reports drawn anew for each, and a key that says which report was
//! whose; the judge sees the questions only. [`tally`] reads the answers and counts.

mod answers;
mod axes;
mod prompts;
mod tally;
#[cfg(test)]
mod tests;

pub use answers::{Answers, Refusal, read_answers};
pub use axes::{Axis, default_axes, read_axes};
pub use prompts::{Key, KeyEntry, Prompt, draw, prompts};
pub use tally::{AxisResult, Tally, tally, tally_json, tally_markdown};
