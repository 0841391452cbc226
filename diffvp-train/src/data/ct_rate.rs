//! CT-RATE in both versions, and RadGenome-ChestCT, which is derived from it and shares its tables.
//!
//! | table | columns that are read |
//! |---|---|
//! | `multi_abnormality_labels/{train,valid}_predicted_labels.csv` | `VolumeName` and the 18 findings |
//! | `radiology_text_reports/{train,validation}_reports.csv` | `VolumeName`, `Findings_EN`, `Impressions_EN` |
//! | `metadata/{train,validation}_metadata.csv` | `VolumeName`, `XYSpacing`, `ZSpacing`, `RescaleSlope`, `RescaleIntercept` |
//! | `radgenome_files/{train,validation}_region_report.csv` | `Volumename`, `Anatomy`, `Sentence` |
//!
//! Validation of CT-RATE is what papers report on: here it is [`Split::Test`].

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::layout::{Layout, Place};
use super::report::{NoReport, report};
use super::set::Found;
use super::table::{Row, Table};
use super::{Intensities, LabelSource, Sample, ScanFile, Split, VolumeName};
use crate::labels::{FINDINGS, REGIONS};
use crate::{Error, Result};

/// RadGenome-ChestCT's volumes are resampled to this and say so nowhere.
const RADGENOME_SPACING_MM: [f64; 3] = [1.0, 1.0, 3.0];

/// CT-RATE's text for an empty field.
const NOT_GIVEN: &str = "Not given.";

/// What the tables say about a volume.
#[derive(Default)]
struct Known {
    labels: Vec<u8>,
    /// Sentences by anatomy, the last row of each.
    sentences: BTreeMap<String, String>,
    report: Option<String>,
    /// The row of a text that says nothing: wrong where nothing else is said about the volume.
    silent: Option<Error>,
    /// Whether a row was refused, and the volume with it.
    refused: bool,
    spacing_mm: Option<[f64; 3]>,
    rescale: Option<[f64; 2]>,
}

struct Reader<'p> {
    place: &'p Place,
    found: Found,
    order: Vec<VolumeName>,
    known: HashMap<VolumeName, Known>,
}

pub(super) fn read(place: &Place) -> Result<Found> {
    let mut reader = Reader { place, found: Found::default(), order: Vec::new(), known: HashMap::new() };
    for (split, long) in [("train", "train"), ("valid", "validation")] {
        reader.labels(&format!("multi_abnormality_labels/{split}_predicted_labels.csv"))?;
        reader.reports(&format!("radiology_text_reports/{long}_reports.csv"))?;
        reader.regions(&format!("radgenome_files/{long}_region_report.csv"))?;
        reader.metadata(&format!("metadata/{long}_metadata.csv"))?;
    }
    if reader.found.tables.is_empty() {
        let detail =
            "none of the tables is there: multi_abnormality_labels/, radiology_text_reports/, radgenome_files/";
        reader.found.problem(place.root(), detail);
    }
    Ok(reader.finish())
}

impl Reader<'_> {
    fn table(&mut self, relative: &str, needed: &[&str]) -> Result<Option<Table>> {
        let Some(path) = self.place.table(relative) else { return Ok(None) };
        self.found.tables.push(path.clone());
        Ok(Some(Table::open(&path, needed)?))
    }

    /// The volume that a row is about; a name that is none is noted.
    fn name(&mut self, row: &Row<'_>, column: &str) -> Option<VolumeName> {
        let name = VolumeName::parse(row.cell(column));
        if name.is_none() {
            let wrong = row.wrong(format!("{:?} is no name of a volume", short(row.cell(column))));
            self.note(wrong);
        }
        name
    }

    fn note(&mut self, error: crate::Error) {
        match error {
            crate::Error::Data { path, detail } => self.found.problem(path, detail),
            other => self.found.problem(self.place.root(), other.to_string()),
        }
    }

    fn entry(&mut self, name: &VolumeName) -> &mut Known {
        if !self.known.contains_key(name) {
            self.order.push(name.clone());
        }
        self.known.entry(name.clone()).or_default()
    }

    /// The text of a row, where it says anything.
    fn text(&mut self, row: &Row<'_>, name: &VolumeName, text: &str) -> Option<String> {
        match report(text) {
            Ok(text) => Some(text),
            Err(why @ NoReport::Long(_)) => {
                self.note(row.wrong(why));
                self.entry(name).refused = true;
                None
            }
            Err(why) => {
                self.entry(name).silent = Some(row.wrong(why));
                None
            }
        }
    }

    fn labels(&mut self, relative: &str) -> Result<()> {
        let needed: Vec<&str> = ["VolumeName"].into_iter().chain(FINDINGS).collect();
        let Some(table) = self.table(relative, &needed)? else { return Ok(()) };
        table.each(|row| {
            let Some(name) = self.name(&row, "VolumeName") else { return Ok(()) };
            let mut labels = Vec::with_capacity(FINDINGS.len());
            for finding in FINDINGS {
                match row.cell(finding) {
                    "0" | "0.0" => labels.push(0),
                    "1" | "1.0" => labels.push(1),
                    other => {
                        self.note(row.wrong(format!("{finding} is {:?}, expected 0 or 1", short(other))));
                        return Ok(());
                    }
                }
            }
            if self.known.get(&name).is_some_and(|known| !known.labels.is_empty()) {
                self.note(row.wrong(format!("{} stands in an earlier line too", name.stem())));
                return Ok(());
            }
            self.entry(&name).labels = labels;
            Ok(())
        })
    }

    fn reports(&mut self, relative: &str) -> Result<()> {
        let Some(table) = self.table(relative, &["VolumeName", "Findings_EN"])? else { return Ok(()) };
        table.each(|row| {
            let Some(name) = self.name(&row, "VolumeName") else { return Ok(()) };
            let parts = [row.cell("Findings_EN"), row.cell("Impressions_EN")];
            let text: Vec<&str> = parts.into_iter().filter(|part| *part != NOT_GIVEN).collect();
            let text = self.text(&row, &name, &text.join(" "));
            self.entry(&name).report = text;
            Ok(())
        })
    }

    fn regions(&mut self, relative: &str) -> Result<()> {
        let Some(table) = self.table(relative, &["Volumename", "Anatomy", "Sentence"])? else { return Ok(()) };
        table.each(|row| {
            let Some(name) = self.name(&row, "Volumename") else { return Ok(()) };
            let sentence = self.text(&row, &name, row.cell("Sentence"));
            // As the lineage does: the last row of an anatomy counts.
            self.entry(&name).sentences.insert(row.cell("Anatomy").to_owned(), sentence.unwrap_or_default());
            Ok(())
        })
    }

    fn metadata(&mut self, relative: &str) -> Result<()> {
        let needed = ["VolumeName", "XYSpacing", "ZSpacing", "RescaleSlope", "RescaleIntercept"];
        let Some(table) = self.table(relative, &needed)? else { return Ok(()) };
        let mut about = Vec::new();
        table.each(|row| {
            if let Some(name) = self.name(&row, "VolumeName") {
                about.push((name, spacing(row.cell("XYSpacing"), row.cell("ZSpacing")), rescale(&row)));
            }
            Ok(())
        })?;
        // Metadata alone make no sample: the table lists all volumes of CT-RATE, whoever has which of them.
        for (name, spacing_mm, rescale) in about {
            if let Some(known) = self.known.get_mut(&name) {
                (known.spacing_mm, known.rescale) = (spacing_mm, rescale);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Found {
        let finding_masks = self.place.path("finding_mask");
        let has_finding_masks = finding_masks.is_dir();
        for name in std::mem::take(&mut self.order) {
            let known = self.known.remove(&name).unwrap_or_default();
            if known.refused {
                continue;
            }
            let volume = self.volume(&name);
            if !volume.is_file() {
                self.found.problem(volume, "the volume is missing; the tables have its report or labels");
                continue;
            }
            let intensities = match (self.place.layout, known.spacing_mm, known.rescale) {
                (Layout::RadGenome, ..) => Intensities { spacing_mm: Some(RADGENOME_SPACING_MM), rescale: None },
                (Layout::CtRateV1, Some(spacing_mm), Some(rescale)) => {
                    Intensities { spacing_mm: Some(spacing_mm), rescale: Some(rescale) }
                }
                (Layout::CtRateV1, ..) => {
                    let detail =
                        "CT-RATE v1 has blank headers, and metadata/ has no spacing, slope and intercept for it";
                    self.found.problem(volume, detail);
                    continue;
                }
                // Version 2 is in HU already: slope and intercept of the table would ruin it.
                (_, spacing_mm, _) => Intensities { spacing_mm, rescale: None },
            };
            let regions = regions(&known.sentences);
            let whole = known.sentences.get("").filter(|text| !text.is_empty()).cloned();
            let report = known.report.or(whole);
            if let (Some(silent), true, true) = (known.silent, regions.is_empty(), report.is_none()) {
                self.note(silent);
                continue;
            }
            let organs = self.place.path(PathBuf::from("organ_mask").join(name.file_name()));
            let split = if name.split == "train" { Split::Train } else { Split::Test };
            self.found.samples.push(Sample {
                name: name.stem(),
                scan: ScanFile { path: volume, intensities },
                organs: organs.is_file().then_some(organs),
                finding_masks: has_finding_masks.then(|| finding_masks.join(format!("seg_{}", name.stem()))),
                labels: known.labels,
                label_source: LabelSource::Missing,
                regions,
                report,
                normal: false,
                split,
            });
        }
        self.found
    }

    fn volume(&self, name: &VolumeName) -> PathBuf {
        self.place.path(match self.place.layout {
            Layout::RadGenome => name.in_radgenome(),
            Layout::CtRateV2 => name.in_ct_rate(&format!("{}_fixed", name.split)),
            Layout::CtRateV1 | Layout::Ctrg => name.in_ct_rate(&name.split),
        })
    }
}

/// The ten regions: the row of the region itself, or those of its parts (`lung/lung/lung lower lobe/…`) one after
/// another where it has none.
fn regions(sentences: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let of = |region: &str| -> String {
        if let Some(own) = sentences.get(region).filter(|text| !text.is_empty()) {
            return own.clone();
        }
        let part = |anatomy: &str| anatomy.split('/').next() == Some(region);
        let parts: Vec<&str> =
            sentences.iter().filter(|(anatomy, _)| part(anatomy)).map(|(_, text)| text.as_str()).collect();
        parts.join(" ").trim().to_owned()
    };
    REGIONS.into_iter().map(|region| (region.to_owned(), of(region))).filter(|(_, text)| !text.is_empty()).collect()
}

/// `"[0.34, 0.34]"` and `1.5` → x, y, z in mm; PixelSpacing is row spacing first.
fn spacing(xy: &str, z: &str) -> Option<[f64; 3]> {
    let inner = xy.trim().strip_prefix('[')?.strip_suffix(']')?;
    let (row, column) = inner.split_once(',')?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|mm| mm.is_finite() && *mm > 0.0);
    Some([number(column)?, number(row)?, number(z)?])
}

fn rescale(row: &Row<'_>) -> Option<[f64; 2]> {
    let number = |column: &str| row.cell(column).parse::<f64>().ok().filter(|value| value.is_finite());
    Some([number("RescaleSlope").filter(|slope| *slope != 0.0)?, number("RescaleIntercept")?])
}

/// The start of a cell, for messages.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
#[path = "ct_rate_tests.rs"]
mod tests;
