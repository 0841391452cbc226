//! Scores as a table to paste and as JSON, every number with its convention.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Comparison, Prf, Truth};
use crate::labels::FINDINGS;

/// How each average is made: name, and words.
const AVERAGES: [(&str, &str); 4] = [
    ("micro", "all (report, finding) pairs together"),
    ("macro", "mean of the 18 findings"),
    ("weighted", "mean of the 18 findings by support"),
    ("samples", "mean of the reports"),
];

const ZERO_DIVISION: &str = "0 where a denominator is 0, as in scikit-learn with zero_division=0";

fn averages(comparison: &Comparison) -> [Prf; 4] {
    let scores = &comparison.scores;
    [scores.micro(), scores.macro_average(), scores.weighted(), scores.samples()]
}

fn truth(comparison: &Comparison) -> String {
    match &comparison.request.truth {
        Truth::Reference(column) => format!("column {column:?}, read by the same labeller"),
        Truth::Labels(path) => format!("label columns of {}", path.display()),
    }
}

fn labeller(comparison: &Comparison) -> String {
    let d = &comparison.labeller;
    let how = match (d.threshold, d.max_tokens) {
        (Some(threshold), Some(tokens)) => format!("probability >= {threshold}, first {tokens} tokens"),
        _ => "rules, doubtful findings count as present".to_owned(),
    };
    format!("{} {} ({how})", d.name, d.version)
}

/// The table, in Markdown.
pub fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    let scores = &comparison.scores;
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "{text}");
    };
    line(format_args!(
        "Clinical efficacy of {}, column {:?}",
        comparison.request.file.display(),
        comparison.request.prediction
    ));
    line(format_args!("truth: {}", truth(comparison)));
    line(format_args!("labeller: {}", labeller(comparison)));
    line(format_args!("{} reports, {} findings; {ZERO_DIVISION}", scores.reports(), FINDINGS.len()));
    line(format_args!(""));
    line(format_args!("| {:<44} | precision | recall |     F1 | support |", "average"));
    line(format_args!("|{:-<46}|----------:|-------:|-------:|--------:|", ""));
    let support = scores.total().support();
    for ((name, how), prf) in AVERAGES.iter().zip(averages(comparison)) {
        line(format_args!("{}", row(&format!("{name}: {how}"), &prf, support)));
    }
    line(format_args!(""));
    line(format_args!("| {:<44} | precision | recall |     F1 | support |", "finding"));
    line(format_args!("|{:-<46}|----------:|-------:|-------:|--------:|", ""));
    for (finding, counts) in FINDINGS.iter().zip(scores.labels()) {
        line(format_args!("{}", row(finding, &counts.prf(), counts.support())));
    }
    line(format_args!(""));
    line(format_args!("reports with every finding right: {:.4}", scores.exact_match()));
    for warning in &comparison.warnings {
        line(format_args!("warning: {warning}"));
    }
    out
}

fn row(name: &str, prf: &Prf, support: u64) -> String {
    format!("| {name:<44} | {:>9.4} | {:>6.4} | {:>6.4} | {support:>7} |", prf.precision, prf.recall, prf.f1)
}

/// The same as JSON; `docs/labeller.md` lists the fields.
pub fn json(comparison: &Comparison) -> Value {
    let scores = &comparison.scores;
    let mut averaged = serde_json::Map::new();
    for ((name, how), prf) in AVERAGES.iter().zip(averages(comparison)) {
        averaged.insert(
            (*name).to_owned(),
            json!({ "averaging": how, "precision": prf.precision, "recall": prf.recall, "f1": prf.f1 }),
        );
    }
    let findings: Vec<Value> = FINDINGS
        .iter()
        .zip(scores.labels())
        .map(|(finding, counts)| {
            let prf = counts.prf();
            json!({
                "finding": finding,
                "precision": prf.precision, "recall": prf.recall, "f1": prf.f1, "support": counts.support(),
                "true_positives": counts.true_positives, "false_positives": counts.false_positives,
                "false_negatives": counts.false_negatives,
            })
        })
        .collect();
    let truth = match &comparison.request.truth {
        Truth::Reference(column) => json!({ "column": column, "labelled_by": "labeller" }),
        Truth::Labels(path) => json!({ "labels_file": path.display().to_string() }),
    };
    json!({
        "schema": "diffvp-clinical/1",
        "file": comparison.request.file.display().to_string(),
        "prediction": { "column": comparison.request.prediction, "labelled_by": "labeller" },
        "truth": truth,
        "labeller": comparison.labeller,
        "zero_division": 0,
        "reports": scores.reports(),
        "support": scores.total().support(),
        "averages": averaged,
        "findings": findings,
        "exact_match": scores.exact_match(),
        "warnings": comparison.warnings,
    })
}
