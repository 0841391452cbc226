use std::path::PathBuf;

use super::*;
use crate::eval::text::{Pair, Strip};

fn key() -> Key {
    let pair = |row, text: &str| Pair { row, id: None, reference: "r".into(), prediction: text.into() };
    let a: Vec<Pair> = (1..=4).map(|row| pair(row, "a")).collect();
    let b: Vec<Pair> = (1..=4).map(|row| pair(row, "b")).collect();
    prompts(("a", &a), ("b", &b), &default_axes()[..1], Strip::None, 3, false).unwrap().1
}

fn read(text: &str) -> Answers {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("answers.jsonl");
    std::fs::write(&path, text).unwrap();
    read_answers(&path, &key()).unwrap()
}

#[test]
fn choices_are_undone_by_the_key() {
    let key = key();
    // The judge always means B.
    let lines: Vec<String> = key
        .entries
        .iter()
        .map(|entry| {
            format!("{{\"id\": \"{}\", \"answer\": \"{}\"}}", entry.id, if entry.a_first { " 2 " } else { "1" })
        })
        .collect();
    let answers = read(&lines.join("\n"));
    assert_eq!(answers.refused, []);
    let tally = tally(&key, &answers);
    assert_eq!((tally.axes[0].a_wins, tally.axes[0].b_wins, tally.axes.len()), (0, 4, 2));
    let rate = tally.axes[0].b_win_rate.unwrap();
    assert!((rate.low - 0.510109).abs() < 1e-6 && rate.high == 1.0, "{rate:?}");
}

#[test]
fn what_is_not_a_choice_is_refused_by_name() {
    let text = concat!(
        "{\"id\": \"row1-axis1\", \"answer\": \"tie\"}\n",
        "{\"id\": \"row2-axis1\", \"answer\": 3}\n",
        "{\"id\": \"row3-axis1\", \"answer\": 1}\n",
        "{\"id\": \"row3-axis1\", \"answer\": 2}\n",
        "{\"id\": \"row9-axis1\", \"answer\": 2}\n",
        "not json\n",
        "{\"answer\": 1}\n",
    );
    let answers = read(text);
    assert!(answers.first_chosen.is_empty());
    let reasons: Vec<String> = answers.refused.iter().map(|r| format!("{}: {}", r.id, r.reason)).collect();
    let expected = [
        "row1-axis1: a draw",
        "row2-axis1: `3`",
        "row3-axis1: answered more",
        "line 5: `row9-axis1` was not",
        "line 6: not JSON",
        "line 7: no text",
        "row4-axis1: no answer",
    ];
    for start in expected {
        assert!(reasons.iter().any(|reason| reason.starts_with(start)), "{start} not in {reasons:#?}");
    }
    assert_eq!(reasons.len(), expected.len());
    assert_eq!(tally(&key(), &answers).axes[0].b_win_rate, None);
}
