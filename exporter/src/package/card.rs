//! `MODEL_CARD.md`: what a person should know before using a package.

use std::fmt::Write;

use diffvp::package::Manifest;

use crate::graphs::{FloatType, WeightKind};
use crate::package::ExportOptions;
use crate::quantize::Rounding;

/// The card, from the manifest and the notes on data, metrics and limits that only training knows.
pub(super) fn model_card(manifest: &Manifest, options: &ExportOptions, notes: &str) -> String {
    let (model, vision, decoder) = (&manifest.model, &manifest.vision, &manifest.decoder);
    let mut card = format!("# {} {}\n\n", model.id, model.version);
    if !model.description.is_empty() {
        let _ = writeln!(card, "{}\n", model.description);
    }
    if !model.trained {
        card.push_str("**The weights of this model are random. Its reports are text without meaning.**\n\n");
    }
    let clinical =
        if manifest.intended_use.clinical_use { "Clinical use is intended." } else { "Not for clinical use." };
    let _ = writeln!(card, "## Intended use\n\n{}", manifest.intended_use.statement);
    if manifest.intended_use.statement != clinical {
        let _ = writeln!(card, "{clinical}");
    }
    card.push('\n');
    let float = match options.decoder.float {
        FloatType::F32 => "float32",
        FloatType::F16 => "float16",
    };
    let form = |kind: WeightKind| match kind {
        WeightKind::F32 => float.to_string(),
        WeightKind::Blocks(scheme) => {
            let form = if scheme.symmetric { "symmetric" } else { "asymmetric" };
            format!("{} bits, block {}, {form}", scheme.bits, scheme.block)
        }
    };
    let mut weights = form(options.decoder.weights);
    if let WeightKind::Blocks(scheme) = options.decoder.weights
        && scheme.bits == 4
    {
        weights.push_str(match options.decoder.rounding {
            Rounding::Extremes => ", scales by the extremes",
            Rounding::LeastError => ", scales of least error",
        });
        if options.decoder.edge_layers > 0 {
            let _ = write!(weights, "; first and last {} layers in 8 bits", options.decoder.edge_layers);
        }
    }
    if let Some(head) = options.decoder.lm_head {
        let _ = write!(weights, "; lm_head: {}", form(head));
    }
    let rows = [
        ("Input (channels, slices, rows, columns)", format!("{:?}", vision.input)),
        ("Feature grid", format!("{:?}", vision.feature_grid)),
        ("Tokens × width", format!("{} × {}", vision.tokens, vision.token_dim)),
        ("Prefix tokens", vision.prefix_tokens.to_string()),
        ("Normal references", manifest.reference_bank.references.to_string()),
        (
            "Decoder layers, width, vocabulary",
            format!("{}, {}, {}", decoder.layers, decoder.hidden_size, decoder.vocab_size),
        ),
        ("Context", format!("{} positions", decoder.context_length)),
        ("Decoder weights", weights),
        ("Decoder arithmetic and KV cache", float.to_string()),
    ];
    card.push_str("## Sizes\n\n| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(card, "| {name} | {value} |");
    }
    card.push_str("\n## Findings and thresholds\n\n| finding | present from |\n|---|---|\n");
    for finding in &manifest.findings {
        let threshold = if finding.threshold > 1.0 { "never".to_string() } else { finding.threshold.to_string() };
        let _ = writeln!(card, "| {} | {threshold} |", finding.name);
    }
    if !notes.trim().is_empty() {
        let _ = write!(card, "\n{}\n", notes.trim());
    }
    let _ = writeln!(card, "\nWritten by {}.", model.created_by);
    card
}
