//! The demo model inside the library, and a synthetic chest CT to try it on (feature `demo`).
//!
//! The model was trained by `recipes/demo.sh` on synthetic scans only: it shows how the library works and what the method
//! does, and knows nothing of patients. `docs/demo-model.md` says what it can do, measured. A report on any scan unlike the
//! synthetic ones carries [`WarningCode::UnlikeTraining`](crate::WarningCode::UnlikeTraining).

use std::io::Write;
use std::path::Path;

use crate::files::write_atomic;
use crate::{Error, Reporter, ReporterBuilder, Result, Scan};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../demo/package/", $name)).as_slice())),*]
    };
}

/// The files of the package.
const FILES: [(&str, &[u8]); 11] = files![
    "MODEL_CARD.md",
    "classifier.onnx",
    "decoder.onnx",
    "difference.onnx",
    "embedding.onnx",
    "encoder.onnx",
    "familiarity.safetensors",
    "phrases.safetensors",
    "reference_bank.safetensors",
    "tokenizer.json",
    // Last: a folder without it is not taken for a package.
    "manifest.json",
];

/// A synthetic chest CT that the model was not trained with.
const SCAN: &[u8] = include_bytes!("../demo/chest.nii.gz");

/// Writes the demo model as a package folder, for [`Reporter::open`], for the C interface, or to look into.
///
/// # Errors
/// [`Error::Write`].
pub fn write_package(folder: impl AsRef<Path>) -> Result<()> {
    let folder = folder.as_ref();
    std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_path_buf(), source })?;
    FILES.iter().try_for_each(|(name, bytes)| write_atomic(folder.join(name), |file| file.write_all(bytes)))
}

/// Writes the synthetic scan as a `.nii.gz` file.
///
/// # Errors
/// [`Error::Write`].
pub fn write_scan(path: impl AsRef<Path>) -> Result<()> {
    write_atomic(path, |file| file.write_all(SCAN))
}

/// The synthetic scan.
///
/// # Errors
/// [`Error::Write`] where the temporary folder cannot be written.
pub fn scan() -> Result<Scan> {
    let folder = temporary_folder()?;
    let path = folder.path().join("chest.nii.gz");
    write_scan(&path)?;
    Scan::open(path)
}

/// Opens the demo model through a package in the temporary folder, which is removed once it is loaded.
pub(crate) fn open(configure: impl FnOnce(ReporterBuilder) -> ReporterBuilder) -> Result<Reporter> {
    let folder = temporary_folder()?;
    write_package(folder.path())?;
    configure(Reporter::builder(folder.path())).build()
}

fn temporary_folder() -> Result<tempfile::TempDir> {
    let made = tempfile::Builder::new().prefix("diffvp-demo-").tempdir();
    made.map_err(|source| Error::Write { path: std::env::temp_dir(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Package;

    #[test]
    fn the_package_inside_is_whole_and_small() {
        let folder = tempfile::tempdir().unwrap();
        write_package(folder.path()).unwrap();
        let package = Package::open(folder.path()).unwrap();
        assert!(package.warnings().is_empty(), "{:?}", package.warnings());
        assert!(package.manifest().model.trained && !package.manifest().intended_use.clinical_use);
        assert!(package.familiarity().is_some());
        let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes < 8_000_000, "{bytes} bytes");
    }

    #[test]
    fn the_scan_inside_shows_a_chest() {
        let scan = scan().unwrap();
        assert!(scan.content().not_chest.is_none() && scan.content().not_hu.is_none());
    }
}
