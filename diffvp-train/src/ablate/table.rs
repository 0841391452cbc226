//! The tables of the ablation.

use std::fmt::Write;

use serde_json::{Value, json};

use super::run::Outcome;
use super::variants::Group;
use crate::eval::phantoms::PhantomScores;
use crate::eval::statistics::{mean, paired_t_test, standard_deviation, welch_t_test};

type Column = (&'static str, fn(&PhantomScores) -> f64);

const COLUMNS: [Column; 7] = [
    ("BLEU-4", |s| s.bleu_4),
    ("ROUGE-L", |s| s.rouge_l),
    ("CE F1", |s| s.stated.micro().f1),
    ("recall", |s| s.stated.micro().recall),
    ("precision", |s| s.stated.micro().precision),
    ("side right", |s| s.sides.value()),
    ("lobe right", |s| s.lobes.value()),
];

/// A table a group. CE F1 is micro-averaged against the exact truth of the phantoms.
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for group in [Group::Parts, Group::Prefix, Group::Pool, Group::Seeds] {
        let rows: Vec<&Outcome> = outcomes.iter().filter(|o| o.group == group).collect();
        if rows.is_empty() {
            continue;
        }
        let names: Vec<&str> = COLUMNS.iter().map(|c| c.0).collect();
        let _ = writeln!(out, "### {}\n\n| | {} |\n|---|{}", group.title(), names.join(" | "), "---:|".repeat(7));
        let mut variants: Vec<&str> = rows.iter().map(|o| o.variant.name).collect();
        variants.dedup();
        for name in variants {
            let of: Vec<&&Outcome> = rows.iter().filter(|o| o.variant.name == name).collect();
            let cells = COLUMNS.map(|(_, value)| {
                let values: Vec<f64> = of.iter().map(|o| value(&o.scores)).collect();
                match values.as_slice() {
                    [one] => format!("{one:.3}"),
                    many => format!("{:.3} ± {:.3}", mean(many), standard_deviation(many, 1)),
                }
            });
            let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
        }
        out.push('\n');
        if group == Group::Seeds {
            tests(&mut out, &rows);
        }
    }
    out
}

/// Two-sided t-tests of CE F1 between each pair of neighbouring rows: over seeds, and over reports.
fn tests(out: &mut String, rows: &[&Outcome]) {
    let mut names: Vec<&str> = rows.iter().map(|o| o.variant.name).collect();
    names.dedup();
    let runs = |name: &str| -> Vec<&&Outcome> { rows.iter().filter(|o| o.variant.name == name).collect() };
    let _ = writeln!(
        out,
        "| CE F1 compared | difference | t over seeds (Welch), p | t over seeds (paired), p | t over reports (paired), p |\n|---|---:|---:|---:|---:|"
    );
    for pair in names.windows(2) {
        let (a, b) = (runs(pair[0]), runs(pair[1]));
        let f1 = |of: &[&&Outcome]| of.iter().map(|o| o.scores.stated.micro().f1).collect::<Vec<f64>>();
        let (fa, fb) = (f1(&a), f1(&b));
        let differences: Vec<f64> = fa.iter().zip(&fb).map(|(a, b)| b - a).collect();
        let count = a[0].scores.report_f1.len();
        let per_report =
            |of: &[&&Outcome], i: usize| mean(&of.iter().map(|o| o.scores.report_f1[i]).collect::<Vec<_>>());
        let reports: Vec<f64> = (0..count).map(|i| per_report(&b, i) - per_report(&a, i)).collect();
        let cell = |test: Option<crate::eval::statistics::TTest>| {
            test.map_or("not defined".to_owned(), |t| format!("{:.2}, {:.4}", t.t, t.p))
        };
        let _ = writeln!(
            out,
            "| {} → {} | {:+.3} | {} | {} | {} |",
            pair[0],
            pair[1],
            mean(&fb) - mean(&fa),
            cell(welch_t_test(&fa, &fb)),
            cell(paired_t_test(&differences)),
            cell(paired_t_test(&reports))
        );
    }
}

/// All numbers.
pub fn json(outcomes: &[Outcome]) -> Value {
    let one = |o: &Outcome| {
        let numbers: serde_json::Map<String, Value> =
            COLUMNS.iter().map(|(name, value)| (name.to_string(), json!(value(&o.scores)))).collect();
        json!({"group": o.group.title(), "variant": o.variant.name, "seed": o.seed, "numbers": numbers})
    };
    json!(outcomes.iter().map(one).collect::<Vec<_>>())
}
