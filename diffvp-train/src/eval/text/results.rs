//! Results as JSON and as a table of reports.

use serde_json::{Map, Value, json};

use super::metrics::Metric;
use super::score::Evaluation;
use super::table::run_means;
use crate::eval::statistics::{mean, standard_deviation};

/// What `eval text --json` writes; `docs/evaluation.md` describes it.
pub fn to_json(evaluations: &[Evaluation], with_ids: bool) -> Value {
    let files: Vec<Value> = evaluations.iter().map(|evaluation| file(evaluation, with_ids)).collect();
    json!({
        "format": "diffvp-eval-text/1",
        "program": format!("diffvp-train {}", env!("CARGO_PKG_VERSION")),
        "files": files,
    })
}

/// Over runs of one method with different seeds: what `eval text --seeds` adds to the JSON.
pub fn seeds_json(runs: &[Evaluation]) -> Value {
    let entry = |(metric, means): (Metric, Vec<f64>)| {
        let value = json!({ "mean": mean(&means), "std": standard_deviation(&means, 1), "runs": means });
        (metric.name().to_owned(), value)
    };
    json!({
        "averaging": "mean and standard deviation (n - 1) of the runs' means over reports",
        "metrics": run_means(runs).into_iter().map(entry).collect::<Map<_, _>>(),
    })
}

fn file(evaluation: &Evaluation, with_ids: bool) -> Value {
    let mut metrics = Map::new();
    for metric in Metric::ALL {
        let value = match evaluation.values(metric) {
            Some(values) => json!({
                "mean": mean(&values),
                "std": standard_deviation(&values, 0),
                "averaging": "mean over reports; standard deviation with n in the denominator",
                "convention": metric.convention(),
            }),
            None => json!({ "mean": null, "std": null, "convention": metric.convention() }),
        };
        metrics.insert(metric.name().into(), value);
    }
    let mut corpus = Map::new();
    for (metric, averaging, value) in evaluation.corpus_values() {
        let value = json!({ "value": value, "averaging": averaging, "convention": metric.convention() });
        corpus.insert(metric.name().into(), value);
    }
    let reports: Vec<Value> = evaluation
        .reports
        .iter()
        .map(|report| {
            let mut row = Map::new();
            row.insert("row".into(), report.row.into());
            if let Some(id) = report.id.as_ref().filter(|_| with_ids) {
                row.insert("id".into(), id.as_str().into());
            }
            for metric in Metric::ALL {
                row.insert(metric.name().into(), json!(metric.of(report)));
            }
            Value::Object(row)
        })
        .collect();
    json!({
        "file": evaluation.name,
        "strip": evaluation.strip.name(),
        "report_count": evaluation.reports.len(),
        "metrics": metrics,
        "corpus": corpus,
        "warnings": evaluation.warnings,
        "reports": reports,
    })
}

/// One line a report, with every metric; the numbers in full.
///
/// # Errors
/// Those of the writer.
pub fn to_csv(evaluation: &Evaluation, with_ids: bool, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    let mut header = vec!["row"];
    if with_ids {
        header.push("id");
    }
    header.extend(Metric::ALL.iter().map(|metric| metric.name()));
    table.write_record(header)?;
    for report in &evaluation.reports {
        let mut row = vec![report.row.to_string()];
        if with_ids {
            row.push(report.id.clone().unwrap_or_default());
        }
        row.extend(Metric::ALL.iter().map(|metric| metric.of(report).map_or(String::new(), |value| value.to_string())));
        table.write_record(row)?;
    }
    table.flush()
}
