//! What stages and runs are made of: hashes of files, and the revision of the program.

use std::path::Path;
use std::process::Command;

use diffvp::files::sha256_file;

use crate::{Error, Result};

/// The hash of a file that another stage leaves.
pub(super) fn stage_file(path: &Path, command: &str) -> Result<String> {
    sha256_file(path).map_err(|e| Error::RunFolder {
        path: path.to_path_buf(),
        detail: format!("{e}: run `diffvp-train {command}` first"),
    })
}

/// Hash of a file of start weights; folders are named.
pub(super) fn file_identity(path: &Path) -> Result<String> {
    if path.is_file() { Ok(sha256_file(path)?) } else { Ok(path.display().to_string()) }
}

/// Revision of the working tree that the program runs in, with a mark where it was changed; unknown outside of one.
pub(super) fn git_revision() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    match (git(&["rev-parse", "HEAD"]), git(&["status", "--porcelain", "--untracked-files=no"])) {
        (Some(revision), Some(changes)) if changes.is_empty() => revision,
        (Some(revision), _) => format!("{revision} with changes"),
        _ => "unknown".into(),
    }
}
