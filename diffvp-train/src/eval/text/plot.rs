//! A bar chart of several files' scores, as SVG.

use std::fmt::Write;

use super::metrics::Metric;
use super::score::Evaluation;
use crate::eval::statistics::{mean, standard_deviation};

/// Colours that stay apart for readers with a colour vision deficiency (Okabe and Ito).
const COLOURS: [&str; 8] = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"];
const HEIGHT: f64 = 300.0;
const TOP: f64 = 30.0;
const LEFT: f64 = 50.0;

/// Means as bars, standard deviations as whiskers, metrics beside each other; CIDEr is drawn to a tenth of its scale.
pub fn bar_chart(evaluations: &[Evaluation]) -> String {
    let shown: Vec<Metric> =
        Metric::ALL.into_iter().filter(|&metric| evaluations.iter().any(|e| e.values(metric).is_some())).collect();
    let bar = (360.0 / (evaluations.len() as f64 * shown.len() as f64)).clamp(4.0, 24.0);
    let group = bar * evaluations.len() as f64 + 24.0;
    let width = LEFT + group * shown.len() as f64 + 20.0;
    let bottom = TOP + HEIGHT;
    let total = bottom + 40.0 + 18.0 * evaluations.len() as f64;
    let y = |value: f64| bottom - HEIGHT * value.clamp(0.0, 1.0);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{total:.0}\" font-family=\"sans-serif\" font-size=\"12\">"
    );
    let _ = writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"18\">Mean over reports, with standard deviation</text>");
    for tick in 0..=5 {
        let (value, at) = (f64::from(tick) / 5.0, y(f64::from(tick) / 5.0));
        let _ = writeln!(out, "<line x1=\"{LEFT}\" x2=\"{width:.0}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>");
        let _ =
            writeln!(out, "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{value:.1}</text>", LEFT - 6.0, at + 4.0);
    }
    for (g, &metric) in shown.iter().enumerate() {
        let start = LEFT + 12.0 + group * g as f64;
        let scale = if metric == Metric::Cider { 0.1 } else { 1.0 };
        for (i, evaluation) in evaluations.iter().enumerate() {
            let Some(values) = evaluation.values(metric) else { continue };
            let (value, spread) = (mean(&values) * scale, standard_deviation(&values, 0) * scale);
            let (x, colour) = (start + bar * i as f64, COLOURS[i % COLOURS.len()]);
            let label =
                escape(&format!("{}: {} {:.4}±{:.4}", evaluation.name, metric.name(), value / scale, spread / scale));
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"><title>{label}</title></rect>",
                y(value),
                bar - 1.0,
                bottom - y(value)
            );
            let middle = x + (bar - 1.0) / 2.0;
            let _ = writeln!(
                out,
                "<line x1=\"{middle:.1}\" x2=\"{middle:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#333\"/>",
                y(value - spread),
                y(value + spread)
            );
        }
        let name = if metric == Metric::Cider { "CIDEr/10" } else { metric.name() };
        let centre = start + (group - 24.0) / 2.0;
        let _ = writeln!(
            out,
            "<text x=\"{centre:.1}\" y=\"{:.0}\" text-anchor=\"middle\" font-size=\"10\">{name}</text>",
            bottom + 16.0
        );
    }
    for (i, evaluation) in evaluations.iter().enumerate() {
        let at = bottom + 40.0 + 18.0 * i as f64;
        let colour = COLOURS[i % COLOURS.len()];
        let _ =
            writeln!(out, "<rect x=\"{LEFT}\" y=\"{:.0}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>", at - 9.0);
        let name = escape(&evaluation.name);
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{at:.0}\">{name} ({} reports)</text>",
            LEFT + 16.0,
            evaluation.reports.len()
        );
    }
    out.push_str("</svg>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
