//! Which data set a folder holds.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Layout of a data set's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// RadGenome-ChestCT: `train_preprocessed/`, in HU, resampled, without spacing in the header; region reports.
    /// `diffvp-train synth` writes it.
    RadGenome,
    /// CT-RATE v2: `train_fixed/`, in HU.
    CtRateV2,
    /// CT-RATE v1: `train/`, with blank headers; spacing, slope and intercept are in the table of metadata.
    CtRateV1,
    /// CTRG-Chest-548K: `annotation.json` and numbered volumes, neither HU nor spacing.
    Ctrg,
}

/// A folder with a known layout.
pub(super) struct Place {
    pub(super) layout: Layout,
    root: PathBuf,
}

impl Place {
    /// Recognises a folder by the subfolders of its volumes.
    ///
    /// # Errors
    /// [`Error::Data`] for a folder that is none of the layouts, saying what was looked for.
    pub(super) fn find(folder: &Path) -> Result<Place> {
        let place = |layout| Ok(Place { layout, root: folder.to_path_buf() });
        if !folder.is_dir() {
            return Err(Error::data(folder, "no such folder"));
        }
        let has = |name: &str| [folder.join(name), folder.join("dataset").join(name)].iter().any(|path| path.is_dir());
        let any = |ending: &str| has(&format!("train{ending}")) || has(&format!("valid{ending}"));
        if any("_preprocessed") {
            return place(Layout::RadGenome);
        }
        if any("_fixed") {
            return place(Layout::CtRateV2);
        }
        if any("") {
            return place(Layout::CtRateV1);
        }
        if folder.join("annotation.json").is_file() {
            return place(Layout::Ctrg);
        }
        let detail = "not a data set that is known: it has no train_preprocessed/ (RadGenome-ChestCT, or made by \
                      `diffvp-train synth`), no train_fixed/ (CT-RATE v2) and no train/ (CT-RATE v1), neither directly \
                      nor under dataset/, and no annotation.json (CTRG-Chest-548K)";
        Err(Error::data(folder, detail))
    }

    /// A file or folder, directly or under `dataset/`; the first of the two where neither exists.
    pub(super) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        let direct = self.root.join(&relative);
        let below = self.root.join("dataset").join(&relative);
        if !direct.exists() && below.exists() { below } else { direct }
    }

    /// A table, where there is one.
    pub(super) fn table(&self, relative: &str) -> Option<PathBuf> {
        Some(self.path(relative)).filter(|path| path.is_file())
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_recognised_by_their_volumes() {
        for (folder, layout) in [
            ("dataset/train_preprocessed", Layout::RadGenome),
            ("valid_preprocessed", Layout::RadGenome),
            ("dataset/valid_fixed", Layout::CtRateV2),
            ("dataset/train", Layout::CtRateV1),
        ] {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
            assert_eq!(Place::find(root.path()).unwrap().layout, layout, "{folder}");
        }
        let root = tempfile::tempdir().unwrap();
        let error = Place::find(root.path()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("train_preprocessed"), "{error}");
        std::fs::write(root.path().join("annotation.json"), "{}").unwrap();
        assert_eq!(Place::find(root.path()).unwrap().layout, Layout::Ctrg);
        assert!(Place::find(&root.path().join("absent")).is_err());
    }
}
