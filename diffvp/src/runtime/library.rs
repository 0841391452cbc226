//! Finding libonnxruntime.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The version that `cargo xtask runtime` brings and that everything here is measured with.
pub const LIBRARY_VERSION: &str = "1.31.1";

/// The folder for what can be fetched or made again: `DIFFVP_CACHE`, or `diffvp` in the user's cache folder.
/// `None` where the environment names no home.
pub fn cache_dir() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(dir) = named("DIFFVP_CACHE") {
        return Some(dir);
    }
    let base = if cfg!(windows) {
        named("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        named("HOME")?.join("Library/Caches")
    } else {
        named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?
    };
    Some(base.join("diffvp"))
}

/// File name of the library on this platform, as unpacked by `cargo xtask runtime`.
fn file_name() -> String {
    if cfg!(windows) {
        "onnxruntime.dll".into()
    } else if cfg!(target_os = "macos") {
        format!("libonnxruntime.{LIBRARY_VERSION}.dylib")
    } else {
        format!("libonnxruntime.so.{LIBRARY_VERSION}")
    }
}

/// Places that are searched when no path is named, in order: beside the executable, then the cache folder.
pub fn search_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Ok(exe) = std::env::current_exe()
        && let Some(dir) = exe.parent()
    {
        places.push(dir.join(file_name()));
        let plain = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        if plain != file_name() {
            places.push(dir.join(plain));
        }
    }
    if let Some(cache) = cache_dir() {
        places.push(cache.join(format!("onnxruntime-{LIBRARY_VERSION}")).join(file_name()));
    }
    places
}

/// A library that exists, and how it was found.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "load-dynamic"), expect(dead_code, reason = "a linked library is not looked for"))]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) how: &'static str,
}

/// Finds the library without loading anything.
pub(super) fn find(explicit: Option<&Path>) -> Result<Found> {
    let from_environment = std::env::var_os("ORT_DYLIB_PATH").filter(|v| !v.is_empty()).map(PathBuf::from);
    find_in(explicit, from_environment.as_deref(), &search_places())
}

fn find_in(explicit: Option<&Path>, from_environment: Option<&Path>, places: &[PathBuf]) -> Result<Found> {
    let mut searched = Vec::new();
    if let Some(path) = explicit {
        return named(path, "named by the caller", &mut searched).ok_or(Error::RuntimeNotFound { searched });
    }
    searched.push("path given by the caller: none".to_owned());
    if let Some(path) = from_environment {
        return named(path, "ORT_DYLIB_PATH", &mut searched).ok_or(Error::RuntimeNotFound { searched });
    }
    searched.push("ORT_DYLIB_PATH: not set".to_owned());
    for (index, path) in places.iter().enumerate() {
        let how = if index + 1 == places.len() { "cache folder" } else { "beside the executable" };
        if let Some(found) = named(path, how, &mut searched) {
            return Ok(found);
        }
    }
    Err(Error::RuntimeNotFound { searched })
}

fn named(path: &Path, how: &'static str, searched: &mut Vec<String>) -> Option<Found> {
    let trouble = match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => {
            // A relative path would be looked up again, elsewhere, by the dynamic loader.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
            return Some(Found { path, how });
        }
        Ok(_) => "not a file".to_owned(),
        Err(error) => error.to_string(),
    };
    searched.push(format!("{} ({how}): {trouble}", path.display()));
    None
}

/// Version that the library at `path` says it is, such as `1.31.1`.
///
/// # Errors
/// [`Error::RuntimeUnusable`] for a file that is no library, no ONNX Runtime, or older than this crate needs.
#[cfg(feature = "load-dynamic")]
pub(super) fn version(path: &Path) -> Result<String> {
    type BaseGetter = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    let unusable = |detail: String| Error::RuntimeUnusable { path: path.to_path_buf(), detail };
    // SAFETY: loading runs the library's initialisers; the caller chose this file as the runtime to use.
    let library = unsafe { libloading::Library::new(path) }.map_err(|e| unusable(format!("not a library: {e}")))?;
    // SAFETY: the symbol has had this signature since the first release of ONNX Runtime.
    let getter = unsafe { library.get::<BaseGetter>(b"OrtGetApiBase") }
        .map_err(|_| unusable("a library, but not ONNX Runtime (no OrtGetApiBase)".into()))?;
    // SAFETY: a function without arguments; its answer is checked before use.
    let base = unsafe { getter() };
    if base.is_null() {
        return Err(unusable("OrtGetApiBase answers nothing".into()));
    }
    // SAFETY: `base` is not null, and the version is a static string of the library, which is still loaded.
    let version = unsafe { std::ffi::CStr::from_ptr(((*base).GetVersionString)()) };
    let version = version.to_string_lossy().into_owned();
    let minor = version.split('.').nth(1).and_then(|m| m.parse::<u32>().ok());
    if !version.starts_with("1.") || minor.is_none_or(|m| m < super::OLDEST_MINOR_VERSION) {
        return Err(unusable(format!(
            "its version is {version}, and at least 1.{} is needed (1.x; {LIBRARY_VERSION} is what is tested)",
            super::OLDEST_MINOR_VERSION
        )));
    }
    // SAFETY: a function of one number; only whether it answers is looked at.
    if unsafe { ((*base).GetApi)(super::OLDEST_MINOR_VERSION) }.is_null() {
        let wanted = super::OLDEST_MINOR_VERSION;
        return Err(unusable(format!("version {version} does not offer the interface of 1.{wanted}")));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_path_that_is_missing_is_an_error_even_where_another_would_be_found() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("lib.so");
        std::fs::write(&good, b"x").unwrap();
        let missing = dir.path().join("missing.so");
        let error = find_in(Some(&missing), None, std::slice::from_ref(&good)).unwrap_err();
        assert!(error.to_string().contains("missing.so"), "{error}");
        assert!(find_in(None, Some(&missing), std::slice::from_ref(&good)).is_err());
        assert_eq!(find_in(None, None, std::slice::from_ref(&good)).unwrap().path, good);
    }

    #[test]
    fn the_error_lists_every_place() {
        let places = [PathBuf::from("/nowhere/a"), PathBuf::from("/nowhere/b")];
        let text = find_in(None, None, &places).unwrap_err().to_string();
        for part in ["given by the caller", "ORT_DYLIB_PATH", "/nowhere/a", "/nowhere/b", "cargo xtask runtime"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}
