//! Names of volumes as CT-RATE and RadGenome-ChestCT give them, and where each layout keeps them.

use std::path::PathBuf;

/// `train_1_a_2.nii.gz`: split, patient, scan of the patient, reconstruction of the scan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VolumeName {
    /// `train` or `valid`.
    pub split: String,
    /// Number of the patient.
    pub patient: String,
    /// Letter of the scan.
    pub scan: String,
    /// Number of the reconstruction.
    pub reconstruction: String,
}

impl VolumeName {
    /// Reads a name, with or without `.nii.gz`. `None` for everything else, also for names with other characters
    /// than letters and digits between the lines: a table's text never becomes a path.
    pub fn parse(text: &str) -> Option<VolumeName> {
        let stem = text.strip_suffix(".nii.gz").unwrap_or(text);
        let parts: Vec<&str> = stem.split('_').collect();
        let [split, patient, scan, reconstruction] = parts.as_slice() else { return None };
        let plain = |part: &&&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !parts.iter().all(|part| plain(&part)) || !["train", "valid"].contains(split) {
            return None;
        }
        let [split, patient, scan, reconstruction] =
            [split, patient, scan, reconstruction].map(|part| part.to_string());
        Some(VolumeName { split, patient, scan, reconstruction })
    }

    /// The name without extension.
    pub fn stem(&self) -> String {
        format!("{}_{}_{}_{}", self.split, self.patient, self.scan, self.reconstruction)
    }

    /// The file's name.
    pub fn file_name(&self) -> String {
        format!("{}.nii.gz", self.stem())
    }

    /// `{folder}/train_1/train_1_a/train_1_a_2.nii.gz` (CT-RATE).
    pub fn in_ct_rate(&self, folder: &str) -> PathBuf {
        let patient = format!("{}_{}", self.split, self.patient);
        let scan = format!("{patient}_{}", self.scan);
        [folder, &patient, &scan, &self.file_name()].iter().collect()
    }

    /// `train_preprocessed/train_1/train_1a/train_1_a_2.nii.gz` (RadGenome-ChestCT: no line before the letter).
    pub fn in_radgenome(&self) -> PathBuf {
        let patient = format!("{}_{}", self.split, self.patient);
        let scan = format!("{patient}{}", self.scan);
        [&format!("{}_preprocessed", self.split), &patient, &scan, &self.file_name()].iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_paths() {
        let name = VolumeName::parse("train_1000_a_1.nii.gz").unwrap();
        assert_eq!(name, VolumeName::parse("train_1000_a_1").unwrap());
        assert_eq!(
            name.in_ct_rate("train_fixed"),
            PathBuf::from("train_fixed/train_1000/train_1000_a/train_1000_a_1.nii.gz")
        );
        assert_eq!(
            name.in_radgenome(),
            PathBuf::from("train_preprocessed/train_1000/train_1000a/train_1000_a_1.nii.gz")
        );
    }

    #[test]
    fn what_is_no_name_never_becomes_a_path() {
        for text in ["", "train_1_a", "train_1_a_1_x", "test_1_a_1", "train__a_1", "train_../.._a_1", "train_1_a_1.nii"]
        {
            assert_eq!(VolumeName::parse(text), None, "{text}");
        }
    }
}
