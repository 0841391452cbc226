//! The bank of normal references: tokens Iʳ that were computed once, bound to the encoder that made them.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use super::tensors::{self, ENCODER_SHA256};
use crate::files::read_error;
use crate::{Error, Result};

const TOKENS: &str = "tokens";
const IDS: &str = "ids";

/// Room that a bank file may take beyond its tokens, in bytes: header, ids, further tensors.
const MAX_EXTRA_BYTES: u64 = 64 << 20;

/// Resampled tokens of normal scans, `[references, n, d]` (paper, equations 2 and 3).
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceBank {
    tokens: Vec<f32>,
    shape: [usize; 3],
    ids: Vec<String>,
    encoder_sha256: String,
}

impl ReferenceBank {
    /// Reads a bank that is expected to hold `[references, n, d]` tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Read`] for the file; [`Error::BankMismatch`] for another shape;
    /// [`Error::PackageContent`] where it is not such a file, has values that are not finite, or ids that
    /// are missing or not unique.
    pub fn read(path: impl AsRef<Path>, expected: [usize; 3]) -> Result<Self> {
        let path = path.as_ref();
        let found = std::fs::metadata(path).map_err(|source| read_error(path, source))?.len();
        let tokens = expected.iter().try_fold(4u64, |bytes, &size| bytes.checked_mul(size as u64));
        let limit = tokens.and_then(|bytes| bytes.checked_add(MAX_EXTRA_BYTES)).unwrap_or(u64::MAX);
        if found > limit {
            return Err(Error::LimitExceeded { what: "reference bank in bytes".into(), found, limit });
        }
        let bytes = std::fs::read(path).map_err(|source| read_error(path, source))?;
        Self::parse(&bytes, &file_name(path), expected)
    }

    /// Writes a bank; the same input gives the same bytes.
    ///
    /// * `tokens`: `[ids.len(), n, d]`, `d` fastest.
    /// * `ids`: one name per reference, unique, without patient data.
    /// * `encoder_sha256`: of the `encoder.onnx` that made the tokens.
    ///
    /// # Errors
    /// [`Error::PackageContent`] for what [`ReferenceBank::read`] would refuse, [`Error::Write`].
    pub fn write(
        path: impl AsRef<Path>,
        tokens: &[f32],
        n: usize,
        d: usize,
        ids: &[String],
        encoder_sha256: &str,
    ) -> Result<()> {
        let path = path.as_ref();
        let file = file_name(path);
        let count = ids.len().checked_mul(n).and_then(|count| count.checked_mul(d));
        if count != Some(tokens.len()) {
            let detail = format!("{} values do not fill [{}, {n}, {d}]", tokens.len(), ids.len());
            return Err(Error::PackageContent { file, detail });
        }
        check(tokens, ids, encoder_sha256, &file)?;
        let ids_json = json!(ids).to_string();
        let metadata = [(ENCODER_SHA256, encoder_sha256), (IDS, ids_json.as_str())];
        tensors::write(path, &metadata, &[(TOKENS, &[ids.len(), n, d], tokens)])
    }

    pub(super) fn parse(bytes: &[u8], file: &str, expected: [usize; 3]) -> Result<Self> {
        let content = |detail: String| Error::PackageContent { file: file.to_owned(), detail };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| content(format!("not safetensors: {e}")))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| content(format!("not safetensors: {e}")))?;
        let view = tensors.tensor(TOKENS).map_err(|_| content(format!("has no tensor {TOKENS:?}")))?;
        if view.dtype() != Dtype::F32 {
            return Err(content(format!("{TOKENS} is {:?}, not F32", view.dtype())));
        }
        let shape = view.shape();
        if shape != expected {
            let detail = format!("its tokens are {shape:?}, and the manifest says {expected:?}");
            return Err(Error::BankMismatch { detail });
        }
        let empty = HashMap::new();
        let metadata = header.metadata().as_ref().unwrap_or(&empty);
        let entry = |key: &str| metadata.get(key).ok_or_else(|| content(format!("its metadata lack {key:?}")));
        let ids: Vec<String> = serde_json::from_str(entry(IDS)?)
            .map_err(|e| content(format!("ids are not a JSON array of names: {e}")))?;
        let encoder_sha256 = entry(ENCODER_SHA256)?.clone();
        if ids.len() != expected[0] {
            return Err(content(format!("{} ids for {} references", ids.len(), expected[0])));
        }
        let (values, _) = view.data().as_chunks::<4>();
        let tokens: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
        check(&tokens, &ids, &encoder_sha256, file)?;
        Ok(ReferenceBank { tokens, shape: expected, ids, encoder_sha256 })
    }

    /// Iʳ of one reference, `[n, d]`, `d` fastest.
    ///
    /// # Panics
    /// Where `reference` is not below [`ReferenceBank::len`].
    pub fn tokens(&self, reference: usize) -> &[f32] {
        assert!(reference < self.len(), "reference {reference} of {}", self.len());
        let size = self.shape[1] * self.shape[2];
        &self.tokens[reference * size..][..size]
    }

    /// Names of the references, in order.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Number of references.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// False: a bank has at least one reference.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[references, n, d]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// SHA-256 of the `encoder.onnx` that made the tokens.
    pub fn encoder_sha256(&self) -> &str {
        &self.encoder_sha256
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn check(tokens: &[f32], ids: &[String], encoder_sha256: &str, file: &str) -> Result<()> {
    let content = |detail: String| Err(Error::PackageContent { file: file.to_owned(), detail });
    if tokens.is_empty() {
        return content("holds no tokens".into());
    }
    let bad = tokens.iter().filter(|value| !value.is_finite()).count();
    if bad > 0 {
        return content(format!("{bad} of {} token values are NaN or infinite", tokens.len()));
    }
    let unique: HashSet<&str> = ids.iter().map(String::as_str).collect();
    if unique.len() != ids.len() || unique.contains("") {
        return content("ids are not unique, or one is empty".into());
    }
    if !super::validate::is_sha256(encoder_sha256) {
        return content(format!("{ENCODER_SHA256} is not 64 lower-case hexadecimal digits"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(tokens: &[f32], n: usize, d: usize, ids: &[String]) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.safetensors");
        ReferenceBank::write(&path, tokens, n, d, ids, &"a".repeat(64))?;
        Ok(std::fs::read(path).unwrap())
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("normal \"{i}\"")).collect()
    }

    #[test]
    fn refuses_what_cannot_be_a_bank() {
        let content = |r: Result<Vec<u8>>| matches!(r, Err(Error::PackageContent { .. }));
        assert!(content(written(&[0.0; 5], 2, 3, &ids(1))));
        assert!(content(written(&[f32::NAN; 6], 2, 3, &ids(1))));
        assert!(content(written(&[], 2, 3, &[])));
        assert!(content(written(&[0.0; 12], 2, 3, &["a".into(), "a".into()])));
        assert!(content(written(&[0.0; 6], 2, 3, &[String::new()])));
        let bytes = written(&[0.0; 6], 2, 3, &ids(1)).unwrap();
        assert!(matches!(ReferenceBank::parse(&bytes, "b", [1, 3, 2]), Err(Error::BankMismatch { .. })));
    }

    #[test]
    fn a_nan_on_disk_is_refused() {
        let mut bytes = written(&[1.0; 6], 2, 3, &ids(1)).unwrap();
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        let error = ReferenceBank::parse(&bytes, "b", [1, 2, 3]).unwrap_err();
        assert!(error.to_string().contains("1 of 6"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(r in 1usize..4, n in 1usize..5, d in 1usize..6, seed in any::<u32>()) {
            let tokens: Vec<f32> = (0..r * n * d).map(|i| (seed as f32).sin() * i as f32).collect();
            let bytes = written(&tokens, n, d, &ids(r)).unwrap();
            prop_assert_eq!(&bytes, &written(&tokens, n, d, &ids(r)).unwrap());
            let bank = ReferenceBank::parse(&bytes, "b", [r, n, d]).unwrap();
            prop_assert_eq!(bank.ids(), &ids(r)[..]);
            for i in 0..r {
                prop_assert_eq!(bank.tokens(i), &tokens[i * n * d..(i + 1) * n * d]);
            }
        }

        #[test]
        fn damaged_bytes_never_panic(position in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut bytes = written(&[0.5; 24], 3, 4, &ids(2)).unwrap();
            let at = position.index(bytes.len());
            bytes[at] = byte;
            let _ = ReferenceBank::parse(&bytes, "b", [2, 3, 4]);
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(ReferenceBank::parse(&bytes, "b", [2, 3, 4]).is_err());
        }
    }
}
