//! The files of a folder, in a fixed order and within bounds.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Folders inside folders that are entered.
const MAX_DEPTH: usize = 8;
/// Entries that are looked at before the folder is taken to be something else than one study.
const MAX_ENTRIES: u64 = 200_000;

/// Files of a folder.
pub(super) struct Listing {
    /// Sorted by path.
    pub files: Vec<PathBuf>,
    /// Entries that were left out: links to folders, folders too deep, special files.
    pub skipped: usize,
}

/// Lists a folder recursively. Hidden entries and DICOMDIR indexes are passed over without a word, links to
/// folders are not followed.
///
/// # Errors
/// [`Error::Read`] if a folder cannot be read, [`Error::LimitExceeded`] beyond 200,000 entries.
pub(super) fn list(root: &Path) -> Result<Listing> {
    let read = |source| Error::Read {
        path: root.to_path_buf(),
        source,
    };
    let mut listing = Listing {
        files: Vec::new(),
        skipped: 0,
    };
    let mut pending = vec![(root.to_path_buf(), 0)];
    let mut entries = 0;
    while let Some((folder, depth)) = pending.pop() {
        for entry in std::fs::read_dir(&folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(Error::LimitExceeded {
                    what: "number of files in the folder".into(),
                    found: entries,
                    limit: MAX_ENTRIES,
                });
            }
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name.eq_ignore_ascii_case("DICOMDIR") {
                continue;
            }
            let kind = entry.file_type().map_err(read)?;
            let path = entry.path();
            if kind.is_dir() && depth < MAX_DEPTH {
                pending.push((path, depth + 1));
            } else if kind.is_file() || (kind.is_symlink() && path.is_file()) {
                listing.files.push(path);
            } else {
                listing.skipped += 1;
            }
        }
    }
    listing.files.sort();
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_is_sorted_bounded_and_free_of_loops() {
        let root = tempfile::tempdir().unwrap();
        let deep = (0..MAX_DEPTH + 2).fold(root.path().to_path_buf(), |path, _| path.join("d"));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("too_deep"), b"x").unwrap();
        for name in ["b", "a", ".hidden", "DICOMDIR", "d/c"] {
            std::fs::write(root.path().join(name), b"x").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        let listing = list(root.path()).unwrap();
        let names: Vec<_> = listing
            .files
            .iter()
            .map(|f| f.strip_prefix(root.path()).unwrap())
            .collect();
        assert_eq!(names, ["a", "b", "d/c"].map(Path::new));
        assert_eq!(listing.skipped, if cfg!(unix) { 2 } else { 1 });
    }
}
