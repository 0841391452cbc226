//! The folder that `diffvp-train synth` writes.

use std::collections::HashMap;
use std::path::Path;

use super::{DataSet, Sample, Split};
use crate::labels::{FINDINGS, REGIONS};
use crate::synth::ORGANS_FOLDER;
use crate::{Error, Result};

/// Tables of the folder.
const TABLES: [&str; 3] = ["labels.csv", "region_report.csv", "normal.txt"];

/// Reads `labels.csv`, `region_report.csv` and `normal.txt`. All scans are for training.
pub(super) fn read(folder: &Path) -> Result<DataSet> {
    let tables = TABLES.map(|name| folder.join(name));
    let mut samples = labels(folder, &tables[0])?;
    let index: HashMap<String, usize> = samples.iter().enumerate().map(|(i, s)| (s.name.clone(), i)).collect();
    regions(&tables[1], &mut samples, &index)?;
    let normal = std::fs::read_to_string(&tables[2]).map_err(|e| Error::data(&tables[2], e.to_string()))?;
    for name in normal.lines().map(|line| stem(line.trim())).filter(|name| !name.is_empty()) {
        let missing = || Error::data(&tables[2], format!("{name} is not in labels.csv"));
        samples[*index.get(name).ok_or_else(missing)?].normal = true;
    }
    for sample in &samples {
        if !sample.volume.is_file() {
            return Err(Error::data(&sample.volume, "the volume is missing; labels.csv lists it"));
        }
    }
    let hashes = tables.iter().map(diffvp::files::sha256_file).collect::<diffvp::Result<Vec<_>>>()?;
    Ok(DataSet { samples, fingerprint: diffvp::files::sha256(hashes.concat().as_bytes()) })
}

fn stem(name: &str) -> &str {
    name.strip_suffix(".nii.gz").unwrap_or(name)
}

fn open(path: &Path) -> Result<csv::Reader<std::fs::File>> {
    let file = std::fs::File::open(path).map_err(|e| Error::data(path, e.to_string()))?;
    Ok(csv::Reader::from_reader(file))
}

fn labels(folder: &Path, path: &Path) -> Result<Vec<Sample>> {
    let mut reader = open(path)?;
    let expected = ["VolumeName"].into_iter().chain(FINDINGS);
    let header = reader.headers().map_err(|e| Error::data(path, e.to_string()))?;
    if !header.iter().eq(expected) {
        return Err(Error::data(path, "the header is not VolumeName and the 18 findings in their order"));
    }
    let mut samples: Vec<Sample> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for (row, record) in reader.records().enumerate() {
        let wrong = |detail: String| Error::data(path, format!("line {}: {detail}", row + 2));
        let record = record.map_err(|e| wrong(e.to_string()))?;
        let name = stem(&record[0]).to_string();
        if !plain(&name) {
            return Err(wrong(format!("{name:?} is no plain file name")));
        }
        let label = |(value, finding): (&str, &str)| match value.trim() {
            "0" => Ok(0),
            "1" => Ok(1),
            other => Err(wrong(format!("{finding} is {other:?}, expected 0 or 1"))),
        };
        let labels = record.iter().skip(1).zip(FINDINGS).map(label).collect::<Result<Vec<u8>>>()?;
        if !names.insert(name.clone()) {
            return Err(wrong(format!("{name} stands in another line too")));
        }
        let organs = folder.join(ORGANS_FOLDER).join(format!("{name}.nii.gz"));
        samples.push(Sample {
            volume: folder.join(format!("{name}.nii.gz")),
            organs: organs.is_file().then_some(organs),
            name,
            labels,
            regions: Vec::new(),
            normal: false,
            split: Split::Train,
        });
    }
    Ok(samples)
}

/// A name that stays inside the folder it is joined to.
fn plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0'])
}

fn regions(path: &Path, samples: &mut [Sample], index: &HashMap<String, usize>) -> Result<()> {
    for (row, record) in open(path)?.records().enumerate() {
        let wrong = |detail: String| Error::data(path, format!("line {}: {detail}", row + 2));
        let record = record.map_err(|e| wrong(e.to_string()))?;
        if record.len() != 3 {
            return Err(wrong(format!("{} fields, expected Volumename, Anatomy and Sentence", record.len())));
        }
        let (name, region, text) = (stem(&record[0]), record[1].trim(), record[2].trim());
        let sample =
            index.get(name).ok_or_else(|| wrong(format!("a report without a volume in labels.csv: {name}")))?;
        let region = REGIONS.iter().find(|r| **r == region).ok_or_else(|| wrong(format!("no region {region:?}")))?;
        let regions = &mut samples[*sample].regions;
        // As the lineage does: the last row of a region counts.
        regions.retain(|(have, _)| have != region);
        regions.push((region.to_string(), text.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(labels: &str, report: &str, normal: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let header = format!("VolumeName,{}\n", FINDINGS.join(","));
        std::fs::write(folder.path().join("labels.csv"), header + labels).unwrap();
        std::fs::write(folder.path().join("region_report.csv"), format!("Volumename,Anatomy,Sentence\n{report}"))
            .unwrap();
        std::fs::write(folder.path().join("normal.txt"), normal).unwrap();
        for name in ["a", "b"] {
            std::fs::write(folder.path().join(format!("{name}.nii.gz")), b"").unwrap();
        }
        folder
    }

    const ZEROS: &str = ",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\n";
    const ONE: &str = ",0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\n";

    #[test]
    fn tables_become_samples() {
        let labels = format!("a.nii.gz{ZEROS}b.nii.gz{ONE}");
        let report = "b.nii.gz,heart,\"Old.\"\nb.nii.gz,heart,\"Enlarged, 160 mm.\"\n";
        let set = read(folder(&labels, report, "a\n").path()).unwrap();
        assert_eq!(set.samples[1].regions, [("heart".to_string(), "Enlarged, 160 mm.".to_string())]);
        assert!(set.samples[0].normal && !set.samples[1].normal && set.samples[1].labels[2] == 1);
    }

    #[test]
    fn each_mistake_names_file_and_line() {
        let good = format!("a.nii.gz{ZEROS}b.nii.gz{ONE}");
        let cases = [
            (good.replace(",1,", ",2,"), "", "", "line 3: Cardiomegaly is \"2\""),
            (format!("a.nii.gz{ZEROS}a.nii.gz{ONE}"), "", "", "line 3: a stands in another line"),
            (format!("../a.nii.gz{ZEROS}"), "", "", "no plain file name"),
            (format!("c.nii.gz{ZEROS}"), "", "", "c.nii.gz: the volume is missing"),
            (good.clone(), "x.nii.gz,lung,\"Clear.\"\n", "", "line 2: a report without a volume"),
            (good.clone(), "a.nii.gz,knee,\"Clear.\"\n", "", "no region \"knee\""),
            (good, "", "zzz\n", "zzz is not in labels.csv"),
        ];
        for (labels, report, normal, expected) in cases {
            let error = read(folder(&labels, report, normal).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }

    #[test]
    fn an_empty_pool_and_an_empty_split_are_refused() {
        let labels = format!("a.nii.gz{ZEROS}b.nii.gz{ONE}");
        let none = folder(&labels, "", "");
        let error = DataSet::open(none.path(), 0.0).unwrap_err().to_string();
        assert!(error.contains("no validation scan"), "{error}");
    }
}
