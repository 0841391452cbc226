//! The files that a manifest lists: there, inside the folder, and unchanged.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::manifest::{FileEntry, Manifest};
use super::{Familiarity, PhraseBank, ReferenceBank, names, onnx, some_of};
use crate::files::{read_error, sha256_file};
use crate::{Error, Result, Warning, WarningCode};

/// Checks presence, confinement and size of every listed file, then the hashes, in parallel.
/// Of several errors the first in the order of the names is given.
pub(super) fn verify(folder: &Path, manifest: &Manifest) -> Result<()> {
    let root = folder.canonicalize().map_err(|source| read_error(folder, source))?;
    for (name, entry) in &manifest.files {
        let metadata = locate(folder, &root, name)?;
        if !metadata.is_file() {
            return Err(changed(name, "it is not a regular file".into()));
        }
        if metadata.len() != entry.bytes {
            return Err(changed(
                name,
                format!("it has {} bytes, and the manifest says {}", metadata.len(), entry.bytes),
            ));
        }
    }
    let entries: Vec<(&String, &FileEntry)> = manifest.files.iter().collect();
    let results: Vec<Result<()>> = entries.par_iter().map(|(name, entry)| check_hash(folder, name, entry)).collect();
    results.into_iter().collect()
}

fn check_hash(folder: &Path, name: &str, entry: &FileEntry) -> Result<()> {
    let found = sha256_file(folder.join(name))?;
    if found == entry.sha256 {
        return Ok(());
    }
    Err(changed(name, format!("its SHA-256 is {found}, and the manifest says {}", entry.sha256)))
}

/// Metadata of a listed file, which may be a link inside the package but not out of it.
fn locate(folder: &Path, root: &Path, name: &str) -> Result<Metadata> {
    let path = folder.join(name);
    let error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::PackageFileMissing { file: name.into() },
        _ => Error::Read { path: path.clone(), source },
    };
    if !path.canonicalize().map_err(error)?.starts_with(root) {
        let detail = "it is a link that leaves the package".into();
        return Err(Error::PackageContent { file: name.into(), detail });
    }
    std::fs::metadata(&path).map_err(error)
}

/// The bank, with the manifest's shape, bound to the packaged encoder.
pub(super) fn open_bank(folder: &Path, manifest: &Manifest) -> Result<ReferenceBank> {
    let shape = [manifest.reference_bank.references, manifest.vision.tokens, manifest.vision.token_dim];
    let bank = ReferenceBank::read(folder.join(names::BANK), shape)?;
    let encoder = &manifest.files[names::ENCODER].sha256;
    if bank.encoder_sha256() != encoder {
        let detail = format!("it was made with encoder {}, and the package holds {encoder}", bank.encoder_sha256());
        return Err(Error::BankMismatch { detail });
    }
    Ok(bank)
}

/// What training scans look like, where the manifest has it.
pub(super) fn open_familiarity(folder: &Path, manifest: &Manifest) -> Result<Option<Familiarity>> {
    let Some(spec) = &manifest.familiarity else { return Ok(None) };
    let cells = manifest.vision.feature_grid.iter().product();
    Familiarity::read(&folder.join(names::FAMILIARITY), cells, spec.limit).map(Some)
}

/// Phrases of training reports, where the package lists them.
pub(super) fn open_phrases(folder: &Path, manifest: &Manifest) -> Result<Option<PhraseBank>> {
    if !manifest.files.contains_key(names::PHRASES) {
        return Ok(None);
    }
    PhraseBank::read(&folder.join(names::PHRASES), manifest.decoder.vocab_size).map(Some)
}

/// Checks that each graph is ONNX and that its external data are files of the package.
pub(super) fn check_graphs(folder: &Path, manifest: &Manifest) -> Result<()> {
    let graphs = manifest.files.keys().filter(|name| name.ends_with(".onnx"));
    for name in graphs {
        let content = |detail: String| Error::PackageContent { file: name.clone(), detail };
        let parent = name.rsplit_once('/').map_or(String::new(), |(parent, _)| format!("{parent}/"));
        for location in onnx::external_files(&folder.join(name)).map_err(content)? {
            if !manifest.files.contains_key(&format!("{parent}{location}")) {
                return Err(content(format!("it reads the file {location:?}, which the manifest does not list")));
            }
        }
    }
    Ok(())
}

/// Says which files lie in the folder without being listed. They are never opened.
pub(super) fn unlisted_warning(folder: &Path, manifest: &Manifest) -> Option<Warning> {
    let mut unlisted = Vec::new();
    for (name, path) in children(folder) {
        if path.is_dir() {
            unlisted.extend(children(&path).into_iter().map(|(inner, _)| format!("{name}/{inner}")));
        } else {
            unlisted.push(name);
        }
    }
    unlisted.retain(|name| name != names::MANIFEST && !manifest.files.contains_key(name));
    unlisted.sort();
    let message = format!("{} files are not listed in the manifest: {}", unlisted.len(), some_of(&unlisted));
    (!unlisted.is_empty()).then(|| Warning::new(WarningCode::UnlistedFile, message))
}

fn children(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
}

fn changed(file: &str, detail: String) -> Error {
    Error::PackageFileChanged { file: file.to_owned(), detail }
}
