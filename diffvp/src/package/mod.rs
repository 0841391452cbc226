//! The model on disk: a folder with graphs, bank and tokenizer, described and sealed by its manifest.
//!
//! The format is specified in `docs/model-package.md`. [`Package::open`] verifies all of a package before
//! anything of it is used; nothing here needs ONNX Runtime.

mod bank;
mod familiarity;
mod files;
pub mod manifest;
pub mod names;
mod onnx;
mod phrases;
mod read;
mod tensors;
mod tokenizer;
mod validate;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use bank::ReferenceBank;
pub use familiarity::{Familiarity, describe};
pub use manifest::Manifest;
pub use phrases::{Guess, MAX_PHRASE_TOKENS, PhraseBank};
pub use read::MAX_MANIFEST_BYTES;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Result, Warning, WarningCode};

/// A verified model package.
pub struct Package {
    folder: PathBuf,
    manifest: Manifest,
    sha256: String,
    bank: ReferenceBank,
    familiarity: Option<Familiarity>,
    phrases: Option<PhraseBank>,
    warnings: Vec<Warning>,
}

impl Package {
    /// Opens a package folder and verifies all of it: manifest, names, sizes and hashes of the files, the
    /// bank's binding to the encoder, the tokenizer, and that each graph is ONNX and reads no file that is
    /// not listed.
    ///
    /// # Errors
    /// In the order of the checks: [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::Manifest`](crate::Error::Manifest) (also
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) for one over [`MAX_MANIFEST_BYTES`]),
    /// [`Error::PackageVersion`](crate::Error::PackageVersion),
    /// [`Error::PackageFeature`](crate::Error::PackageFeature),
    /// [`Error::PackageFileMissing`](crate::Error::PackageFileMissing),
    /// [`Error::PackageFileChanged`](crate::Error::PackageFileChanged),
    /// [`Error::BankMismatch`](crate::Error::BankMismatch),
    /// [`Error::PackageContent`](crate::Error::PackageContent).
    pub fn open(folder: impl AsRef<Path>) -> Result<Package> {
        let folder = folder.as_ref();
        let bytes = read::read_bytes(folder)?;
        let (manifest, unknown) = read::parse(&bytes)?;
        validate::check(&manifest)?;
        let warnings =
            unknown_warning(&unknown).into_iter().chain(files::unlisted_warning(folder, &manifest)).collect();
        files::verify(folder, &manifest)?;
        let bank = files::open_bank(folder, &manifest)?;
        let familiarity = files::open_familiarity(folder, &manifest)?;
        let phrases = files::open_phrases(folder, &manifest)?;
        tokenizer::check(folder, &manifest)?;
        files::check_graphs(folder, &manifest)?;
        let sha256 = crate::files::sha256(&bytes);
        Ok(Package { folder: folder.to_path_buf(), manifest, sha256, bank, familiarity, phrases, warnings })
    }

    /// Checks again that manifest and files on disk are those that were opened.
    ///
    /// # Errors
    /// [`Error::PackageFileChanged`](crate::Error::PackageFileChanged) and
    /// [`Error::PackageFileMissing`](crate::Error::PackageFileMissing).
    pub fn verify(&self) -> Result<()> {
        let found = crate::files::sha256(&read::read_bytes(&self.folder)?);
        if found != self.sha256 {
            let detail = format!("its SHA-256 is {found}, and was {}", self.sha256);
            return Err(crate::Error::PackageFileChanged { file: names::MANIFEST.into(), detail });
        }
        files::verify(&self.folder, &self.manifest)
    }

    /// What the package says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of `manifest.json` in lower-case hexadecimal. The manifest holds the hashes of all other
    /// files, so this one names the package with everything in it.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The folder, as it was given.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of a file of the package, by its name; see [`names`].
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The bank of normal references.
    pub fn bank(&self) -> &ReferenceBank {
        &self.bank
    }

    /// What tells scans that are unlike those of training, where the package has it.
    pub fn familiarity(&self) -> Option<&Familiarity> {
        self.familiarity.as_ref()
    }

    /// Phrases of training reports, where the package has them.
    pub fn phrases(&self) -> Option<&PhraseBank> {
        self.phrases.as_ref()
    }

    /// What a user of the package should know: optional fields and files that were not used.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Package")
            .field("folder", &self.folder)
            .field("model", &self.manifest.model)
            .field("sha256", &self.sha256)
            .field("references", &self.bank.len())
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

fn unknown_warning(fields: &[String]) -> Option<Warning> {
    let message = format!("{} fields of the manifest are not known to this version: {}", fields.len(), some_of(fields));
    (!fields.is_empty()).then(|| Warning::new(WarningCode::UnknownManifestField, message))
}

/// The first names of a list, as text.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, and {} more", names.len() - SHOWN) } else { shown }
}
