//! The tables people paste: Markdown, files below each other, metrics beside each other.

use std::fmt::Write;

use super::metrics::Metric;
use super::score::Evaluation;
use crate::eval::statistics::{mean, standard_deviation};

/// Two tables and the conventions below them.
pub fn markdown(evaluations: &[Evaluation]) -> String {
    let mut out = String::new();
    let name = |e: &Evaluation| e.name.replace('|', "\\|");
    let _ = writeln!(out, "Per report, mean±standard deviation:\n");
    let header: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let _ = writeln!(out, "| file | reports | {} |\n|---|---|{}", header.join(" | "), "---|".repeat(header.len()));
    for evaluation in evaluations {
        let cells = Metric::ALL.map(|metric| match evaluation.values(metric) {
            Some(values) => format!("{:.4}±{:.4}", mean(&values), standard_deviation(&values, 0)),
            None => "not computed".into(),
        });
        let _ = writeln!(out, "| {} | {} | {} |", name(evaluation), evaluation.reports.len(), cells.join(" | "));
    }
    let corpus: Vec<_> = evaluations.iter().map(|evaluation| (evaluation, evaluation.corpus_values())).collect();
    let _ = writeln!(out, "\nWhole corpus (not comparable with the means above):\n");
    let header: Vec<String> = super::CORPUS_METRICS.iter().map(|metric| format!("Overall {}", metric.name())).collect();
    let _ = writeln!(out, "| file | {} |\n|---|{}", header.join(" | "), "---|".repeat(header.len()));
    for (evaluation, values) in &corpus {
        let cells: Vec<String> = super::CORPUS_METRICS
            .iter()
            .map(|metric| {
                values.iter().find(|(m, _, _)| m == metric).map_or("not computed".into(), |v| format!("{:.4}", v.2))
            })
            .collect();
        let _ = writeln!(out, "| {} | {} |", name(evaluation), cells.join(" | "));
    }
    let _ = writeln!(out, "\nConventions:\n");
    let strips: Vec<&str> = evaluations.iter().map(|e| e.strip.name()).collect();
    let _ = writeln!(out, "- texts: headings stripped: {}", strips.first().unwrap_or(&"none"));
    let _ =
        writeln!(out, "- mean and standard deviation (n in the denominator) over all reports; an empty text scores 0");
    for line in grouped(Metric::ALL.iter().map(|metric| (metric.name().to_owned(), metric.convention()))) {
        let _ = writeln!(out, "- {line}");
    }
    if let Some((_, values)) = corpus.first() {
        for line in grouped(values.iter().map(|(m, how, _)| (format!("Overall {}", m.name()), *how))) {
            let _ = writeln!(out, "- {line}");
        }
    }
    out
}

/// A line for each metric over runs of one method with different seeds.
pub fn seeds_markdown(runs: &[Evaluation]) -> String {
    let mut out = format!("\n{} runs, mean±standard deviation (n − 1) of their means:\n\n", runs.len());
    let _ = writeln!(out, "| metric | over runs | least | most |\n|---|---|---|---|");
    for (metric, means) in run_means(runs) {
        let (least, most) = means.iter().fold((f64::MAX, f64::MIN), |(low, high), &m| (low.min(m), high.max(m)));
        let spread = standard_deviation(&means, 1);
        let _ = writeln!(out, "| {} | {:.4}±{spread:.4} | {least:.4} | {most:.4} |", metric.name(), mean(&means));
    }
    out
}

/// The means of each run, for metrics that all runs have.
pub(super) fn run_means(runs: &[Evaluation]) -> Vec<(Metric, Vec<f64>)> {
    let means = |metric| runs.iter().map(|run| Some(mean(&run.values(metric)?))).collect::<Option<Vec<f64>>>();
    Metric::ALL.into_iter().filter_map(|metric| Some((metric, means(metric)?))).collect()
}

/// Names that share a convention, in one line.
fn grouped<'a>(entries: impl Iterator<Item = (String, &'a str)>) -> Vec<String> {
    let mut groups: Vec<(Vec<String>, &str)> = Vec::new();
    for (name, convention) in entries {
        match groups.iter_mut().find(|(_, known)| *known == convention) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], convention)),
        }
    }
    groups.into_iter().map(|(names, convention)| format!("{}: {convention}", names.join(", "))).collect()
}
