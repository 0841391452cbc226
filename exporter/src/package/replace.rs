//! A finished folder takes its place, or the place of an older package.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use diffvp::package::manifest::FORMAT;
use diffvp::package::names::MANIFEST;
use tempfile::TempDir;

use crate::error::{Error, Result};

/// A temporary folder beside `target`, so that a rename can put it there.
///
/// # Errors
/// [`Error::NotAPackage`] where `target` holds something else, before any work is done; [`Error::Write`].
pub(super) fn stage(target: &Path) -> Result<TempDir> {
    check_target(target)?;
    let parent = parent(target);
    std::fs::create_dir_all(&parent).map_err(Error::write(target))?;
    tempfile::Builder::new().prefix(".diffvp-").suffix(".tmp").tempdir_in(parent).map_err(Error::write(target))
}

/// Puts the staged folder at `target`; a package that is there is removed once the new one stands.
pub(super) fn publish(staged: TempDir, target: &Path) -> Result<()> {
    let failed = Error::write(target);
    set_permissions(staged.path()).and_then(|()| swap(staged, target)).map_err(failed)
}

fn swap(staged: TempDir, target: &Path) -> io::Result<()> {
    let parent = parent(target);
    let old = tempfile::Builder::new().prefix(".diffvp-old-").suffix(".tmp").tempdir_in(&parent)?;
    let kept = old.path().join("package");
    let replaces = target.exists();
    if replaces {
        std::fs::rename(target, &kept)?;
    }
    if let Err(error) = std::fs::rename(staged.path(), target) {
        if replaces {
            std::fs::rename(&kept, target)?;
        }
        return Err(error);
    }
    // The folder is no longer where the guard would look for it.
    let _ = staged.keep();
    #[cfg(unix)]
    File::open(&parent)?.sync_all()?;
    Ok(())
}

/// Temporary folders are private to their owner; a package is not.
fn set_permissions(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    let _ = folder;
    Ok(())
}

fn parent(target: &Path) -> PathBuf {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// A target may be absent, an empty folder, or a package.
fn check_target(target: &Path) -> Result<()> {
    let foreign = || Err(Error::NotAPackage { path: target.to_path_buf() });
    let metadata = match std::fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(Error::read(target))?,
    };
    if !metadata.is_dir() {
        return foreign();
    }
    let mut entries = std::fs::read_dir(target).map_err(Error::read(target))?;
    if entries.next().is_none() {
        return Ok(());
    }
    #[derive(serde::Deserialize)]
    struct Head {
        format: String,
    }
    let head = std::fs::read(target.join(MANIFEST)).ok().and_then(|b| serde_json::from_slice::<Head>(&b).ok());
    if head.is_some_and(|h| h.format == FORMAT) { Ok(()) } else { foreign() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish_one(target: &Path, content: &str) -> Result<()> {
        let staged = stage(target)?;
        std::fs::write(staged.path().join("a"), content).unwrap();
        std::fs::write(staged.path().join(MANIFEST), r#"{"format": "diffvp-package"}"#).unwrap();
        publish(staged, target)
    }

    #[test]
    fn a_package_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("new/model");
        for content in ["one", "two"] {
            publish_one(&target, content).unwrap();
            assert_eq!(std::fs::read_to_string(target.join("a")).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(dir.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn other_folders_and_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(matches!(publish_one(&file, ""), Err(Error::NotAPackage { .. })));
        let folder = dir.path().join("thesis");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("chapter"), "x").unwrap();
        assert!(matches!(publish_one(&folder, ""), Err(Error::NotAPackage { .. })));
        std::fs::write(folder.join(MANIFEST), r#"{"format": "something"}"#).unwrap();
        assert!(matches!(publish_one(&folder, ""), Err(Error::NotAPackage { .. })));
        assert!(folder.join("chapter").exists());
        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        publish_one(&empty, "x").unwrap();
    }
}
