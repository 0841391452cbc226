//! The tables of one split.

use std::io::{self, Write};
use std::path::Path;

use diffvp::files::write_atomic;
use diffvp::{Error, Result};

use super::Scan;
use crate::data::TRUTH_FOLDER;
use crate::labels::FINDINGS;
use crate::synth::phantom::PhantomOptions;
use crate::synth::sentences::report;

pub(super) fn write(folder: &Path, split: &str, scans: &[Scan], options: &PhantomOptions) -> Result<()> {
    // CT-RATE calls the second split `valid` in some names and `validation` in others.
    let long = if split == "valid" { "validation" } else { split };
    table(&folder.join(format!("multi_abnormality_labels/{split}_predicted_labels.csv")), |csv| {
        csv.write_record(["VolumeName"].into_iter().chain(FINDINGS))?;
        for scan in scans {
            let labels = scan.truth.labels().map(|label| label.to_string());
            csv.write_record([scan.name.file_name()].into_iter().chain(labels))?;
        }
        Ok(())
    })?;
    table(&folder.join(format!("radgenome_files/{long}_region_report.csv")), |csv| {
        csv.write_record(["Volumename", "Anatomy", "Sentence"])?;
        for scan in scans {
            for part in report(&scan.truth) {
                csv.write_record([scan.name.file_name().as_str(), part.region, &part.text])?;
            }
        }
        Ok(())
    })?;
    table(&folder.join(format!("radiology_text_reports/{long}_reports.csv")), |csv| {
        let header = ["VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN"];
        csv.write_record(header)?;
        for scan in scans {
            let text: Vec<String> = report(&scan.truth).into_iter().map(|part| part.text).collect();
            let none = "Not given.";
            csv.write_record([&scan.name.file_name(), none, none, &text.join(" "), none])?;
        }
        Ok(())
    })?;
    table(&folder.join(format!("metadata/{long}_metadata.csv")), |csv| {
        csv.write_record([
            "VolumeName",
            "Manufacturer",
            "PatientSex",
            "ConvolutionKernel",
            "PatientPosition",
            "Rows",
            "Columns",
            "XYSpacing",
            "RescaleIntercept",
            "RescaleSlope",
            "NumberofSlices",
            "ZSpacing",
        ])?;
        let [manufacturer, kernel] = options.domain.names();
        let [columns, rows, slices] = options.size.dims().map(|size| size.to_string());
        for scan in scans {
            let [x, y, z] = scan.truth.spacing_mm;
            let sex = scan.truth.sex.letter();
            let name = scan.name.file_name();
            let spacing = [format!("[{y}, {x}]"), z.to_string()];
            csv.write_record([
                &name,
                manufacturer,
                sex,
                kernel,
                "HFS",
                &rows,
                &columns,
                &spacing[0],
                "0",
                "1",
                &slices,
                &spacing[1],
            ])?;
        }
        Ok(())
    })?;
    let truths = folder.join(TRUTH_FOLDER).join(format!("{split}.jsonl"));
    make_parent(&truths)?;
    write_atomic(truths, |out| {
        for scan in scans {
            serde_json::to_writer(&mut *out, &scan.truth)?;
            writeln!(out)?;
        }
        Ok(())
    })
}

fn table(
    path: &Path,
    fill: impl FnOnce(&mut csv::Writer<&mut dyn Write>) -> std::result::Result<(), csv::Error>,
) -> Result<()> {
    make_parent(path)?;
    write_atomic(path, |out| {
        let mut csv = csv::Writer::from_writer(out as &mut dyn Write);
        fill(&mut csv).map_err(io::Error::other)?;
        csv.flush()
    })
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|source| Error::Write { path: parent.to_path_buf(), source })
}
