//! The exact truth beside synthetic data sets.

use std::io::BufRead;
use std::path::Path;

use crate::synth::Truth;
use crate::{Error, Result};

/// Folder of the truth, one file of JSON lines for each split.
pub const TRUTH_FOLDER: &str = "truth";

/// What the phantoms of a data set contain; empty for data sets of patients.
///
/// # Errors
/// [`Error::Data`] naming file and line.
pub fn truths(folder: &Path) -> Result<Vec<Truth>> {
    let mut all = Vec::new();
    for split in ["train", "valid"] {
        let path = folder.join(TRUTH_FOLDER).join(format!("{split}.jsonl"));
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::data(&path, error.to_string())),
        };
        for (index, line) in std::io::BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|e| Error::data(&path, e.to_string()))?;
            let truth = serde_json::from_str(&line);
            all.push(truth.map_err(|e| Error::data(&path, format!("line {}: {e}", index + 1)))?);
        }
    }
    Ok(all)
}
