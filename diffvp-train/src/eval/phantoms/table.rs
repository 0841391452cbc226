//! Scores of phantoms as tables and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::PhantomScores;
use super::score::median;
use crate::eval::clinical::{Counts, Prf, Scores};
use crate::eval::statistics::{mean, standard_deviation};
use crate::labels::FINDINGS;

/// A number of each seed, its name, and how it is printed.
type Line = (&'static str, fn(&PhantomScores) -> f64, usize);

const LINES: [Line; 20] = [
    ("reports", |s| s.reports as f64, 0),
    ("refused as out of scope", |s| s.refused as f64, 0),
    ("findings stated: micro precision", |s| s.stated.micro().precision, 3),
    ("findings stated: micro recall", |s| s.stated.micro().recall, 3),
    ("**findings stated: micro F1**", |s| s.stated.micro().f1, 3),
    ("findings stated: macro precision", |s| s.stated.macro_average().precision, 3),
    ("findings stated: macro recall", |s| s.stated.macro_average().recall, 3),
    ("findings stated: macro F1", |s| s.stated.macro_average().f1, 3),
    ("findings of the classifier alone: micro F1", |s| s.classifier.micro().f1, 3),
    ("**side right where stated**", |s| s.sides.value(), 3),
    ("side: by chance", |s| s.sides.chance(), 3),
    ("lobe right where stated", |s| s.lobes.value(), 3),
    ("lobe: by chance", |s| s.lobes.chance(), 3),
    ("size error in mm, median", |s| median(&s.size_errors_mm), 1),
    ("size error in mm, mean", |s| mean(&s.size_errors_mm), 1),
    ("size error of the true size, median", |s| median(&s.size_errors_relative), 3),
    ("BLEU-4", |s| s.bleu_4, 3),
    ("ROUGE-L", |s| s.rouge_l, 3),
    ("time for a report in ms, mean", |s| s.milliseconds, 0),
    ("of that for prompt and text", |s| s.writing_milliseconds, 1),
];

/// A column a seed, mean and standard deviation (n − 1), and the findings one by one over all seeds.
pub fn markdown(seeds: &[(u64, PhantomScores)]) -> String {
    let mut out = String::new();
    let names: Vec<String> = seeds.iter().map(|(seed, _)| format!("seed {seed}")).collect();
    let _ = writeln!(out, "| | {} | mean ± sd |\n|---|{}---:|", names.join(" | "), "---:|".repeat(seeds.len()));
    for (name, of, digits) in LINES {
        let values: Vec<f64> = seeds.iter().map(|(_, s)| of(s)).collect();
        let cells: Vec<String> = values.iter().map(|v| format!("{v:.digits$}")).collect();
        let spread = if values.len() > 1 { standard_deviation(&values, 1) } else { 0.0 };
        let _ = writeln!(out, "| {name} | {} | {:.digits$} ± {spread:.digits$} |", cells.join(" | "), mean(&values));
    }
    let _ = writeln!(
        out,
        "\n| finding, all seeds | scans with it | precision | recall | F1 | classifier alone, F1 |\n|---|---:|---:|---:|---:|---:|"
    );
    for (k, finding) in FINDINGS.iter().enumerate() {
        let stated: Counts = seeds.iter().map(|(_, s)| s.stated.labels()[k]).sum();
        let alone: Counts = seeds.iter().map(|(_, s)| s.classifier.labels()[k]).sum();
        let Prf { precision, recall, f1 } = stated.prf();
        let support = stated.support();
        let _ =
            writeln!(out, "| {finding} | {support} | {precision:.3} | {recall:.3} | {f1:.3} | {:.3} |", alone.prf().f1);
    }
    out
}

/// All numbers.
pub fn json(seeds: &[(u64, PhantomScores)]) -> Value {
    let one = |(seed, s): &(u64, PhantomScores)| {
        let numbers: serde_json::Map<String, Value> =
            LINES.iter().map(|(name, of, _)| (name.replace("**", ""), json!(of(s)))).collect();
        let findings: serde_json::Map<String, Value> = FINDINGS
            .iter()
            .enumerate()
            .map(|(k, name)| {
                let of = |scores: &Scores| json!({"counts": scores.labels()[k], "scores": scores.labels()[k].prf()});
                (name.to_string(), json!({"stated": of(&s.stated), "classifier": of(&s.classifier)}))
            })
            .collect();
        json!({"seed": seed, "numbers": numbers, "sides": s.sides, "lobes": s.lobes, "findings": findings})
    };
    json!(seeds.iter().map(one).collect::<Vec<_>>())
}
