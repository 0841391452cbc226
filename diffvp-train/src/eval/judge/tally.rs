//! Win rates.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use super::answers::{Answers, Refusal};
use super::prompts::Key;
use crate::eval::statistics::{Interval, wilson};

const CONFIDENCE: f64 = 0.95;

/// Choices on one axis, or on all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AxisResult {
    /// Name of the axis; `all axes` for the sum.
    pub axis: String,
    /// Choices of A.
    pub a_wins: u64,
    /// Choices of B.
    pub b_wins: u64,
    /// Win rate of B with Wilson's interval; nothing without choices.
    pub b_win_rate: Option<Interval>,
}

/// What a judge chose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    /// One an axis, in the key's order, then all together.
    pub axes: Vec<AxisResult>,
    /// How often the first report was chosen, whosever it was: far from a half, the judge looks at places, not at texts.
    pub first_place_rate: Option<Interval>,
    /// Answers that are not counted.
    pub refused: Vec<Refusal>,
}

/// Counts answers.
pub fn tally(key: &Key, answers: &Answers) -> Tally {
    let result = |axis: &str, entries: &mut dyn Iterator<Item = bool>| {
        let (mut a_wins, mut b_wins) = (0, 0);
        for a_won in entries {
            *(if a_won { &mut a_wins } else { &mut b_wins }) += 1;
        }
        AxisResult { axis: axis.into(), a_wins, b_wins, b_win_rate: wilson(b_wins, a_wins + b_wins, CONFIDENCE) }
    };
    let choices: Vec<(&str, bool)> = key
        .entries
        .iter()
        .filter_map(|entry| Some((entry.axis.as_str(), *answers.first_chosen.get(&entry.id)? == entry.a_first)))
        .collect();
    let mut axes: Vec<AxisResult> = key
        .axes
        .iter()
        .map(|axis| result(&axis.name, &mut choices.iter().filter(|(name, _)| *name == axis.name).map(|(_, won)| *won)))
        .collect();
    axes.push(result("all axes", &mut choices.iter().map(|(_, won)| *won)));
    let first = answers.first_chosen.values().filter(|first| **first).count() as u64;
    let first_place_rate = wilson(first, answers.first_chosen.len() as u64, CONFIDENCE);
    Tally { axes, first_place_rate, refused: answers.refused.clone() }
}

/// The table people paste.
pub fn tally_markdown(key: &Key, tally: &Tally) -> String {
    let mut out = String::new();
    let rate = |interval: Option<Interval>| {
        interval.map_or("–".into(), |i| format!("{:.4} ({:.4} to {:.4})", i.value, i.low, i.high))
    };
    let _ = writeln!(
        out,
        "A: {}, B: {}\n\n| axis | A chosen | B chosen | B's win rate (95 %) |\n|---|---|---|---|",
        key.a, key.b
    );
    for axis in &tally.axes {
        let _ = writeln!(out, "| {} | {} | {} | {} |", axis.axis, axis.a_wins, axis.b_wins, rate(axis.b_win_rate));
    }
    let _ = writeln!(out, "\nFirst place chosen: {}\n", rate(tally.first_place_rate));
    let _ = writeln!(out, "Conventions: {}", conventions(key));
    if !tally.refused.is_empty() {
        let _ = writeln!(out, "\nNot counted: {}", tally.refused.len());
    }
    out
}

/// All numbers.
pub fn tally_json(key: &Key, tally: &Tally) -> Value {
    json!({
        "format": "diffvp-eval-judge-result/1",
        "program": format!("diffvp-train {}", env!("CARGO_PKG_VERSION")),
        "a": key.a,
        "b": key.b,
        "convention": conventions(key),
        "axes": tally.axes,
        "first_place_rate": tally.first_place_rate,
        "refused": tally.refused,
    })
}

fn conventions(key: &Key) -> String {
    format!(
        "forced choice between two reports against the reference, order random (seed {}), headings stripped: {}; Wilson score \
         intervals, which take choices for independent (those on one study are not quite, so `all axes` is narrower than it \
         should be)",
        key.seed, key.strip
    )
}
