//! What the whole-system tests share.

pub mod c_program;
pub mod decoders;
pub mod demo;
pub mod golden;
pub mod measure;

use std::path::{Path, PathBuf};

/// Folder with real scans: `$DIFFVP_SHARED/data`, else `shared/data` beside the workspace.
///
/// Prints why a test that needs it is skipped where neither exists.
pub fn shared_data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("DIFFVP_SHARED").map_or_else(beside, PathBuf::from);
    let data = shared.join("data");
    if data.is_dir() {
        return Some(data);
    }
    eprintln!("skipped: no real scans at {} (set DIFFVP_SHARED)", data.display());
    None
}

/// A committed reference value file.
pub fn golden_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// The programs in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
