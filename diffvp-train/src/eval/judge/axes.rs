//! The axes on which a judge chooses.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// An axis: a name and the question the judge answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Short name, in results.
    pub name: String,
    /// The question; it compares "report 1" and "report 2" with the reference.
    pub question: String,
}

/// Five axes of a radiology report's quality that can be judged from text alone.
pub fn default_axes() -> Vec<Axis> {
    let axis = |name: &str, question: &str| Axis { name: name.into(), question: question.into() };
    vec![
        axis(
            "clinical accuracy",
            "Which report describes the presence and absence of findings more correctly, measured by the reference?",
        ),
        axis("completeness", "Which report leaves out fewer of the findings that the reference mentions?"),
        axis(
            "faithfulness",
            "Which report claims fewer findings that the reference does not support? Weigh claims that could change treatment more.",
        ),
        axis(
            "localisation and severity",
            "For the findings that a report shares with the reference: which report gives side, lobe or segment, size, number and \
             degree more exactly?",
        ),
        axis(
            "clarity",
            "Which report is clearer for a referring physician: well ordered, free of contradiction and repetition, in usual \
             radiological terms? Leave correctness aside.",
        ),
    ]
}

/// Reads axes from a JSON file: `[{"name": …, "question": …}, …]`.
///
/// # Errors
/// [`Error::JudgeAnswers`] where the file cannot be read, holds no axis, or names one twice.
pub fn read_axes(path: &Path) -> Result<Vec<Axis>> {
    let failed = |detail: String| Error::JudgeAnswers { path: path.to_path_buf(), detail };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let axes: Vec<Axis> = serde_json::from_str(&text).map_err(|error| failed(format!("axes: {error}")))?;
    if axes.is_empty() {
        return Err(failed("no axes".into()));
    }
    for (i, axis) in axes.iter().enumerate() {
        if axis.name.trim().is_empty() || axes[..i].iter().any(|other| other.name == axis.name) {
            return Err(failed(format!("axis {}: the name `{}` is empty or taken", i + 1, axis.name)));
        }
    }
    Ok(axes)
}
