//! Comparison of two methods, each with one table of predictions or one a seed.

use std::collections::HashMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Interval, TTest, mean, paired_bootstrap, paired_t_test, standard_deviation, welch_t_test};
use crate::eval::text::{Evaluation, Metric};
use crate::{Error, Result};

/// Resamples of a comparison's interval.
const RESAMPLES: usize = 10_000;
const CONFIDENCE: f64 = 0.95;
const SEED: u32 = 42;

/// One method: its runs, one a seed.
pub struct Side {
    /// The name in tables.
    pub name: String,
    /// Scores of each run, of the same reports.
    pub runs: Vec<Evaluation>,
}

/// One metric of both methods.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The metric.
    pub metric: &'static str,
    /// Mean of each run of A.
    pub a: Vec<f64>,
    /// Mean of each run of B.
    pub b: Vec<f64>,
    /// B − A per report, averaged over each side's runs, with its bootstrap interval over reports.
    pub difference: Option<Interval>,
    /// Paired test over reports.
    pub reports_paired: Option<TTest>,
    /// Welch's test over runs; needs two runs a side.
    pub runs_welch: Option<TTest>,
    /// Paired test over runs, which are paired in their order; needs the same number, two at least, a side.
    pub runs_paired: Option<TTest>,
}

/// Compares B with A in every metric that both have.
///
/// Reports are matched by identifier where all tables have them, else by row; the references must be the same texts.
///
/// # Errors
/// [`Error::Incomparable`] where a side has no run, tables differ in length, identifiers repeat or do not match, or references
/// differ.
pub fn compare(a: &Side, b: &Side) -> Result<Vec<Comparison>> {
    let first = a.runs.first().ok_or_else(|| Error::Incomparable(format!("{}: no tables", a.name)))?;
    if b.runs.is_empty() {
        return Err(Error::Incomparable(format!("{}: no tables", b.name)));
    }
    let order = |run: &Evaluation| matching_order(first, run);
    let orders_a: Vec<Vec<usize>> = a.runs.iter().map(order).collect::<Result<_>>()?;
    let orders_b: Vec<Vec<usize>> = b.runs.iter().map(order).collect::<Result<_>>()?;
    let mut comparisons = Vec::new();
    for metric in Metric::ALL {
        let (Some(of_a), Some(of_b)) = (values(a, metric, &orders_a), values(b, metric, &orders_b)) else { continue };
        let per_report =
            |runs: &[Vec<f64>], report: usize| mean(&runs.iter().map(|run| run[report]).collect::<Vec<_>>());
        let differences: Vec<f64> =
            (0..first.reports.len()).map(|i| per_report(&of_b, i) - per_report(&of_a, i)).collect();
        let means = |runs: &[Vec<f64>]| runs.iter().map(|run| mean(run)).collect::<Vec<f64>>();
        let (means_a, means_b) = (means(&of_a), means(&of_b));
        let run_differences: Vec<f64> = means_a.iter().zip(&means_b).map(|(a, b)| b - a).collect();
        comparisons.push(Comparison {
            metric: metric.name(),
            difference: paired_bootstrap(&differences, RESAMPLES, CONFIDENCE, SEED),
            reports_paired: paired_t_test(&differences),
            runs_welch: welch_t_test(&means_a, &means_b),
            runs_paired: paired_t_test(&run_differences).filter(|_| means_a.len() == means_b.len()),
            a: means_a,
            b: means_b,
        });
    }
    Ok(comparisons)
}

/// Values of each run, in the first table's order of reports.
fn values(side: &Side, metric: Metric, orders: &[Vec<usize>]) -> Option<Vec<Vec<f64>>> {
    let in_order = |(run, order): (&Evaluation, &Vec<usize>)| {
        let values = run.values(metric)?;
        Some(order.iter().map(|&i| values[i]).collect())
    };
    side.runs.iter().zip(orders).map(in_order).collect()
}

/// For each report of the first table, its place in another.
fn matching_order(first: &Evaluation, other: &Evaluation) -> Result<Vec<usize>> {
    let refuse = |what: String| Err(Error::Incomparable(format!("{} and {}: {what}", first.name, other.name)));
    if first.reports.len() != other.reports.len() {
        return refuse(format!("{} and {} reports; both must have the same", first.reports.len(), other.reports.len()));
    }
    let order: Vec<usize> = if first.has_ids && other.has_ids {
        let mut places = HashMap::new();
        for (i, report) in other.reports.iter().enumerate() {
            if places.insert(report.id.as_deref(), i).is_some() {
                return refuse(format!("row {} of {} repeats an identifier", report.row, other.name));
            }
        }
        let mut order = Vec::with_capacity(first.reports.len());
        for report in &first.reports {
            match places.remove(&report.id.as_deref()) {
                Some(place) => order.push(place),
                None => {
                    return refuse(format!(
                        "the identifier in row {} of {} is not in the other once",
                        report.row, first.name
                    ));
                }
            }
        }
        order
    } else {
        (0..first.reports.len()).collect()
    };
    for (report, &place) in first.reports.iter().zip(&order) {
        let partner = &other.reports[place];
        if report.reference_hash != partner.reference_hash {
            return refuse(format!("the references in rows {} and {} are different texts", report.row, partner.row));
        }
    }
    Ok(order)
}

/// The table people paste.
pub fn comparison_markdown(a: &Side, b: &Side, comparisons: &[Comparison]) -> String {
    let mut out = String::new();
    let reports = a.runs.first().map_or(0, |run| run.reports.len());
    let _ = writeln!(out, "A: {} ({}), B: {} ({}); {reports} reports\n", a.name, runs(a), b.name, runs(b));
    let _ =
        writeln!(out, "| metric | A | B | B − A | 95 % interval | p, reports | p, runs (Welch) | p, runs (paired) |");
    let _ = writeln!(out, "|---|---|---|---|---|---|---|---|");
    let p = |test: Option<TTest>| test.map_or("–".into(), |test| format!("{:.3e}", test.p));
    for c in comparisons {
        let interval = c.difference.map_or(("–".into(), "–".into()), |d| {
            (format!("{:+.4}", d.value), format!("{:+.4} to {:+.4}", d.low, d.high))
        });
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            c.metric,
            spread(&c.a),
            spread(&c.b),
            interval.0,
            interval.1,
            p(c.reports_paired),
            p(c.runs_welch),
            p(c.runs_paired)
        );
    }
    let _ = writeln!(out, "\nConventions:\n");
    for (name, text) in conventions(a) {
        let _ = writeln!(out, "- {name}: {}", text.as_str().unwrap_or_default());
    }
    out
}

/// All numbers.
pub fn comparison_json(a: &Side, b: &Side, comparisons: &[Comparison]) -> Value {
    let side =
        |side: &Side| json!({ "name": side.name, "files": side.runs.iter().map(|r| &r.name).collect::<Vec<_>>() });
    json!({
        "format": "diffvp-eval-compare/1",
        "program": format!("diffvp-train {}", env!("CARGO_PKG_VERSION")),
        "a": side(a),
        "b": side(b),
        "conventions": conventions(a).into_iter().collect::<serde_json::Map<_, _>>(),
        "metrics": comparisons,
    })
}

fn conventions(a: &Side) -> Vec<(String, Value)> {
    let strip = a.runs.first().map_or("none", |run| run.strip.name());
    let mut entries: Vec<(String, Value)> = vec![
        ("A, B".into(), "mean over reports; with several runs, mean±standard deviation (n − 1) of the runs' means".into()),
        ("interval".into(), format!("paired percentile bootstrap over reports, {RESAMPLES} resamples, NumPy's Mersenne Twister, seed {SEED}; runs averaged first").into()),
        ("p, reports".into(), "two-sided paired t-test over reports, runs averaged first".into()),
        ("p, runs".into(), "two-sided t-tests over the runs' means: Welch's, and paired in the order of the runs".into()),
        ("strip".into(), strip.into()),
    ];
    entries.extend(Metric::ALL.map(|metric| (metric.name().into(), metric.convention().into())));
    entries
}

fn runs(side: &Side) -> String {
    match side.runs.len() {
        1 => "1 run".into(),
        n => format!("{n} runs"),
    }
}

fn spread(means: &[f64]) -> String {
    match means {
        [one] => format!("{one:.4}"),
        several => format!("{:.4}±{:.4}", mean(several), standard_deviation(several, 1)),
    }
}
