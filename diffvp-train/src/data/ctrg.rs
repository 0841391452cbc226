//! CTRG-Chest-548K: `CTRG-Chest-548K_volume/{id}.nii.gz` made from pictures of slices, and `annotation.json` with
//! `{"train": [{"id", "finding"}], "val": …, "test": …}`.
//!
//! The published splits differ from each other, so the file is an input, and its hash is in the fingerprint.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::layout::Place;
use super::report::report;
use super::set::Found;
use super::{Intensities, LabelSource, Sample, ScanFile, Split};
use crate::{Error, Result};

#[derive(Deserialize)]
struct Entry {
    id: Id,
    finding: String,
}

/// Numbers in some copies of the file, text in others.
#[derive(Deserialize)]
#[serde(try_from = "serde_json::Value")]
struct Id(String);

impl TryFrom<serde_json::Value> for Id {
    type Error = String;

    fn try_from(value: serde_json::Value) -> std::result::Result<Self, String> {
        match value {
            serde_json::Value::String(text) => Ok(Id(text)),
            serde_json::Value::Number(number) => Ok(Id(number.to_string())),
            other => Err(format!("an id is a number or a text, not {other}")),
        }
    }
}

pub(super) fn read(place: &Place, spacing_mm: Option<[f64; 3]>) -> Result<Found> {
    let path = place.root().join("annotation.json");
    let bytes = std::fs::read(&path).map_err(|e| Error::data(&path, e.to_string()))?;
    let splits: BTreeMap<String, Vec<Entry>> =
        serde_json::from_slice(&bytes).map_err(|e| Error::data(&path, e.to_string()))?;
    let mut found = Found { tables: vec![path.clone()], ..Found::default() };
    let mut seen = HashSet::new();
    for (name, split) in [("train", Split::Train), ("val", Split::Validation), ("test", Split::Test)] {
        for (index, entry) in splits.get(name).into_iter().flatten().enumerate() {
            // JSON has no rows: an entry is named by its split and its place there.
            let nth = format!("{name}, entry {}", index + 1);
            let id = entry.id.0.as_str();
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                found.problem(&path, format!("{nth}: an id that is no plain file name"));
                continue;
            }
            if !seen.insert(id) {
                found.problem(&path, format!("{nth}: {id} stands in the file twice"));
                continue;
            }
            let volume = place.path(format!("CTRG-Chest-548K_volume/{id}.nii.gz"));
            if !volume.is_file() {
                found.problem(volume, format!("the volume is missing; annotation.json has it in {name}"));
                continue;
            }
            let report = match report(&entry.finding) {
                Ok(report) => report,
                Err(why) => {
                    found.problem(&path, format!("{nth}: {id}: {why}"));
                    continue;
                }
            };
            found.samples.push(Sample {
                name: id.to_owned(),
                scan: ScanFile { path: volume, intensities: Intensities { spacing_mm, rescale: None } },
                organs: None,
                finding_masks: None,
                labels: Vec::new(),
                label_source: LabelSource::Missing,
                regions: Vec::new(),
                report: Some(report),
                normal: false,
                split,
            });
        }
    }
    let unknown = splits.keys().filter(|name| !["train", "val", "test"].contains(&name.as_str()));
    for name in unknown {
        found.problems.push(super::Problem { path: path.clone(), detail: format!("unknown split {name:?}") });
    }
    Ok(found)
}
