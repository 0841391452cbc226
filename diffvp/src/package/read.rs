//! Bytes → [`Manifest`], in an order that gives a newer format its own answer.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::manifest::{FORMAT, FORMAT_VERSION, Manifest, SUPPORTED_FEATURES};
use super::names;
use crate::files::read_error;
use crate::{Error, Result};

/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// Fields whose meaning changes how a model runs: an unknown key inside them refuses the package.
const STRICT: [&str; 3] = ["preprocessing.steps", "prompt", "generation.form"];

/// Reads `manifest.json` of a package folder.
pub(super) fn read_bytes(folder: &Path) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(folder).map_err(|source| read_error(folder, source))?;
    if !metadata.is_dir() {
        return Err(Error::Manifest { detail: "a package is a folder, and this is a file".into() });
    }
    let path = folder.join(names::MANIFEST);
    let missing = || Error::Manifest { detail: "the folder has no file manifest.json".into() };
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(missing()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        Err(source) => return Err(read_error(&path, source)),
    }
    let file = File::open(&path).map_err(|source| read_error(&path, source))?;
    let mut bytes = Vec::new();
    // One byte more than the limit shows that there is more, whatever the file's metadata said.
    file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes).map_err(|source| read_error(&path, source))?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        let found = std::fs::metadata(&path).map_or(bytes.len() as u64, |m| m.len());
        return Err(Error::LimitExceeded { what: "manifest.json in bytes".into(), found, limit: MAX_MANIFEST_BYTES });
    }
    Ok(bytes)
}

/// What every version of the format has.
#[derive(Deserialize)]
struct Head {
    format: String,
    format_version: u64,
}

#[derive(Deserialize)]
struct Features {
    #[serde(default)]
    required_features: Vec<String>,
}

/// Parses a manifest; the second value names the optional fields that this version does not know.
pub(super) fn parse(bytes: &[u8]) -> Result<(Manifest, Vec<String>)> {
    let manifest_error = |error: serde_json::Error| Error::Manifest { detail: error.to_string() };
    let head: Head = serde_json::from_slice(bytes).map_err(manifest_error)?;
    if head.format != FORMAT {
        return Err(Error::Manifest { detail: format!("format is {:?}, not {FORMAT:?}", head.format) });
    }
    if head.format_version == 0 {
        return Err(Error::Manifest { detail: "format_version is 0; versions start at 1".into() });
    }
    if head.format_version > u64::from(FORMAT_VERSION) {
        let found = u32::try_from(head.format_version).unwrap_or(u32::MAX);
        return Err(Error::PackageVersion { found, supported: FORMAT_VERSION });
    }
    let features: Features = serde_json::from_slice(bytes).map_err(manifest_error)?;
    if let Some(feature) = features.required_features.iter().find(|f| !SUPPORTED_FEATURES.contains(&f.as_str())) {
        return Err(Error::PackageFeature { feature: feature.chars().take(80).collect() });
    }
    let manifest: Manifest = with_path(bytes)?;
    let unknown = unknown_fields(bytes, &manifest).map_err(manifest_error)?;
    let strict = |field: &&String| {
        STRICT.iter().any(|s| field.starts_with(&format!("{s}[")) || field.starts_with(&format!("{s}.")))
    };
    if let Some(field) = unknown.iter().find(strict) {
        return Err(Error::Manifest { detail: format!("unknown field {field}, which may change how the model runs") });
    }
    Ok((manifest, unknown))
}

/// Parses, so that an error names the field.
fn with_path<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        Error::Manifest { detail: if path == "." { inner.to_string() } else { format!("{path}: {inner}") } }
    })?;
    json.end().map_err(|error| Error::Manifest { detail: error.to_string() })?;
    Ok(value)
}

/// Paths of the keys that are in `bytes` but not in what `manifest` writes.
fn unknown_fields(bytes: &[u8], manifest: &Manifest) -> serde_json::Result<Vec<String>> {
    let found: Value = serde_json::from_slice(bytes)?;
    let mut known = manifest.clone();
    known.unknown.clear();
    let known = serde_json::to_value(known)?;
    let mut fields = Vec::new();
    compare(&found, &known, "", &mut fields);
    Ok(fields)
}

fn compare(found: &Value, known: &Value, path: &str, fields: &mut Vec<String>) {
    match (found, known) {
        (Value::Object(found), Value::Object(known)) => {
            for (key, value) in found {
                let name: String = key.chars().take(80).collect();
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                match known.get(key) {
                    Some(inner) => compare(value, inner, &path, fields),
                    None => fields.push(path),
                }
            }
        }
        (Value::Array(found), Value::Array(known)) => {
            for (index, (value, inner)) in found.iter().zip(known).enumerate() {
                compare(value, inner, &format!("{path}[{index}]"), fields);
            }
        }
        _ => {}
    }
}
