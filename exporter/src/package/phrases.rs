//! Giving phrases to a package that is there.

use std::io::Write;
use std::path::Path;

use diffvp::package::manifest::{FileEntry, Manifest};
use diffvp::package::{Package, PhraseBank, names};

use super::replace;
use crate::error::{Error, Result};

/// Adds phrases to a package, or replaces those that it has. Everything else stays as it is.
///
/// The new package is made beside the old one and takes its place when it is whole and verified.
///
/// # Errors
/// [`Error::Diffvp`] where the package does not open, before and after; [`Error::Write`].
pub fn add_phrases(package: &Path, phrases: &PhraseBank) -> Result<Manifest> {
    let mut manifest = Package::open(package)?.manifest().clone();
    let staged = replace::stage(package)?;
    for name in manifest.files.keys().filter(|name| *name != names::PHRASES) {
        let (from, to) = (package.join(name), staged.path().join(name));
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(Error::write(&to))?;
        }
        // Both names may hold the same bytes for a moment: packages are never changed in place.
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).map_err(Error::write(&to))?;
        }
    }
    let path = staged.path().join(names::PHRASES);
    phrases.write(&path)?;
    manifest.files.insert(names::PHRASES.into(), FileEntry::of(&path)?);
    let json = manifest.to_json()?;
    diffvp::files::write_atomic(staged.path().join(names::MANIFEST), |out| out.write_all(&json))?;
    Package::open(staged.path())?;
    replace::publish(staged, package)?;
    Ok(manifest)
}
