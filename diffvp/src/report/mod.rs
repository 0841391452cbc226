//! Text → [`Report`]: sections, findings, difference map, warnings, provenance.

mod difference_map;
mod draft;
mod picture;
mod provenance;
mod sections;

use std::fmt;

use serde::Serialize;

pub use difference_map::DifferenceMap;
pub(crate) use draft::{Draft, Parts};
pub use picture::{write_contact_sheet_png, write_map_png, write_preview_png};
pub use provenance::{Geometry, Provenance, Timings};
pub use sections::{Section, parse_sections};

use crate::Warning;
use crate::decode::DraftCounts;

/// The report of one scan.
///
/// `Display` prints it for people; [`to_json`](Report::to_json) for programs (`docs/report-json.md`).
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    schema: &'static str,
    intended_use: IntendedUseNote,
    sections: Vec<Section>,
    text: String,
    findings: Vec<Finding>,
    importance: Vec<f32>,
    difference_map: MapSummary,
    warnings: Vec<Warning>,
    provenance: Provenance,
    timings_ms: Timings,
    #[serde(skip_serializing_if = "Option::is_none")]
    drafting: Option<DraftCounts>,
    #[serde(skip)]
    map: DifferenceMap,
}

/// One finding of the classifier, in the manifest's order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Name, as in the data.
    pub name: String,
    /// Probability, 0 to 1.
    pub probability: f32,
    /// Probability from which the finding is taken as present.
    pub threshold: f32,
    /// Whether it is taken as present, and so told to the decoder.
    pub present: bool,
}

/// What the model may be used for, from its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct IntendedUseNote {
    clinical_use: bool,
    statement: String,
}

/// The difference map in a few numbers; the map itself is an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct MapSummary {
    feature_grid: [usize; 3],
    peak: f32,
    peak_mm: [f64; 3],
}

impl Report {
    /// Sections in the order of the report, empty ones left out.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The text as the decoder wrote it, headings included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All findings the classifier knows, in the manifest's order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Sᵢ = ‖Iᵢ − Iᵢʳ‖² for each latent token, `[n]`.
    pub fn importance(&self) -> &[f32] {
        &self.importance
    }

    /// Where the scan differs from the reference.
    pub fn difference_map(&self) -> &DifferenceMap {
        &self.map
    }

    /// What was decided or noticed on the way, from the scan, the package and the writing.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What made the report.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// How long each stage took.
    pub fn timings(&self) -> &Timings {
        &self.timings_ms
    }

    /// How many runs of the decoder the text took, and what drafting brought; `None` where it was off or cannot be.
    pub fn drafting(&self) -> Option<&DraftCounts> {
        self.drafting.as_ref()
    }

    /// Whether the model's manufacturer allows clinical use.
    pub fn clinical_use(&self) -> bool {
        self.intended_use.clinical_use
    }

    /// What the model may be used for, in the words of its manifest.
    pub fn intended_use_statement(&self) -> &str {
        &self.intended_use.statement
    }

    /// The whole report as JSON. Two runs with the same inputs differ only in `timings_ms` and `drafting`.
    pub fn to_json(&self) -> String {
        // Strings, numbers and vectors always serialise; NaN is refused long before and would become null.
        serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            if section.heading.is_empty() {
                writeln!(f, "{}", section.text)?;
            } else {
                writeln!(f, "{}: {}", section.heading, section.text)?;
            }
        }
        let present: Vec<String> = self
            .findings
            .iter()
            .filter(|finding| finding.present)
            .map(|finding| format!("{} ({:.0} %)", finding.name, 100.0 * finding.probability))
            .collect();
        let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
        writeln!(f, "\nFindings of the classifier: {present}")?;
        for warning in &self.warnings {
            writeln!(f, "Note: {warning}")?;
        }
        writeln!(f, "{}", self.provenance)?;
        write!(f, "{}", self.intended_use.statement)
    }
}
