//! The folder for what can be fetched or made again. The same rule as `diffvp::runtime::cache_dir`, which
//! this program does not link so that it builds in seconds; a test of the whole compares the two.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Failure, Result, fail, say};

/// What these commands, and the library, put there.
const OURS: [&str; 4] = ["onnxruntime-", "libtorch-", "demo", "tensorrt"];

/// The cache folder; it need not exist yet.
pub(crate) fn dir() -> Result<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = named("DIFFVP_CACHE") {
        return std::path::absolute(&dir)
            .map_err(|e| Failure::Sentence(format!("DIFFVP_CACHE {}: {e}", dir.display())));
    }
    let base = if cfg!(windows) {
        named("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        named("HOME").map(|home| home.join("Library/Caches"))
    } else {
        named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")))
    };
    match base {
        Some(base) => Ok(base.join("diffvp")),
        None => fail("the environment names no home folder: set DIFFVP_CACHE to a folder for fetched files"),
    }
}

/// Removes what these commands made, and nothing else that may lie in the folder.
pub(crate) fn clean() -> Result<()> {
    let dir = dir()?;
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            say(&format!("{}: there is nothing to remove", dir.display()));
            return Ok(());
        }
        Err(error) => return fail(format!("{}: {error}", dir.display())),
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = OURS.iter().any(|own| name == *own || (own.ends_with('-') && name.starts_with(own)));
        if ours && entry.path().is_dir() {
            say(&format!("removing {}", entry.path().display()));
            fs::remove_dir_all(entry.path())
                .map_err(|e| Failure::Sentence(format!("{}: {e}", entry.path().display())))?;
        }
    }
    Ok(())
}

/// SHA-256 of a file in lower-case hexadecimal.
pub(crate) fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// SHA-256 of some bytes in lower-case hexadecimal.
#[cfg(test)]
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
