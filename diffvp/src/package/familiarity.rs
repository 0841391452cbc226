//! How the tokens of training scans are spread: what tells a scan that is unlike all of them.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::tensors;
use crate::files::read_error;
use crate::{Error, Result};

const MEAN: &str = "mean";
const DEVIATION: &str = "deviation";

/// Room that the file may take beyond its tensors, in bytes.
const MAX_EXTRA_BYTES: u64 = 1 << 20;

/// Mean and standard deviation of each token value over the training scans, and how far is too far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Familiarity {
    /// `[n, d]`, d fastest.
    pub mean: Vec<f32>,
    /// `[n, d]`; positive.
    pub deviation: Vec<f32>,
    /// Distance above which a scan is unlike those of training.
    pub limit: f32,
}

impl Familiarity {
    /// Reads the file of a package whose tokens are `[n, d]`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Read`], [`Error::LimitExceeded`]; [`Error::BankMismatch`] where it was made with another
    /// encoder; [`Error::PackageContent`] where it is not such a file.
    pub(super) fn read(path: &Path, [n, d]: [usize; 2], limit: f32, encoder_sha256: &str) -> Result<Self> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let found = std::fs::metadata(path).map_err(|source| read_error(path, source))?.len();
        let most = (n as u64).saturating_mul(d as u64).saturating_mul(8).saturating_add(MAX_EXTRA_BYTES);
        if found > most {
            return Err(Error::LimitExceeded { what: format!("{file} in bytes"), found, limit: most });
        }
        let bytes = std::fs::read(path).map_err(|source| read_error(path, source))?;
        let content = |detail: String| Error::PackageContent { file: file.clone(), detail };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| content(format!("not safetensors: {e}")))?;
        let made_with = header.metadata().as_ref().and_then(|m| m.get(tensors::ENCODER_SHA256).cloned());
        if made_with.as_deref() != Some(encoder_sha256) {
            let detail = format!("{file} was made with another encoder than the package holds");
            return Err(Error::BankMismatch { detail });
        }
        let parsed = SafeTensors::deserialize(&bytes).map_err(|e| content(format!("not safetensors: {e}")))?;
        let values = |name: &str| -> Result<Vec<f32>> {
            let view = parsed.tensor(name).map_err(|_| content(format!("has no tensor {name:?}")))?;
            if view.dtype() != Dtype::F32 || view.shape() != [n, d] {
                let detail = format!("{name} is {:?} {:?}, expected F32 [{n}, {d}]", view.dtype(), view.shape());
                return Err(content(detail));
            }
            Ok(view.data().as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
        };
        let familiarity = Familiarity { mean: values(MEAN)?, deviation: values(DEVIATION)?, limit };
        familiarity.check().map_err(content)?;
        Ok(familiarity)
    }

    /// Writes the file; the same input gives the same bytes.
    ///
    /// # Errors
    /// [`Error::PackageContent`] for what a package with it would be refused for; [`Error::Write`].
    pub fn write(&self, path: impl AsRef<Path>, [n, d]: [usize; 2], encoder_sha256: &str) -> Result<()> {
        let path = path.as_ref();
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let fills = n.checked_mul(d) == Some(self.mean.len());
        let checked = if fills { self.check() } else { Err(format!("its values do not fill [{n}, {d}]")) };
        checked.map_err(|detail| Error::PackageContent { file, detail })?;
        let shape = [n, d];
        let entries = [(MEAN, &shape[..], &self.mean[..]), (DEVIATION, &shape[..], &self.deviation[..])];
        tensors::write(path, &[(tensors::ENCODER_SHA256, encoder_sha256)], &entries)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.mean.is_empty() || self.mean.len() != self.deviation.len() {
            return Err("mean and deviation differ in size, or are empty".into());
        }
        if self.mean.iter().any(|v| !v.is_finite()) {
            return Err("a mean is NaN or infinite".into());
        }
        if self.deviation.iter().any(|v| !v.is_finite() || *v <= 0.0) {
            return Err("a deviation is not a positive number".into());
        }
        if !self.limit.is_finite() || self.limit <= 0.0 {
            return Err(format!("the limit {} is not a positive number", self.limit));
        }
        Ok(())
    }

    /// √(mean of ((I − mean) / deviation)²) over all token values `[n, d]`: near 1 for scans like those of training.
    ///
    /// # Panics
    /// Where there are not as many tokens as in training.
    pub fn distance(&self, tokens: &[f32]) -> f32 {
        assert_eq!(tokens.len(), self.mean.len(), "tokens of another size");
        let each = tokens.iter().zip(&self.mean).zip(&self.deviation);
        let sum: f64 = each.map(|((t, m), s)| f64::from((t - m) / s).powi(2)).sum();
        (sum / tokens.len() as f64).sqrt() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn familiarity() -> Familiarity {
        Familiarity { mean: vec![0.0, 1.0, 2.0, 3.0], deviation: vec![1.0, 2.0, 1.0, 0.5], limit: 1.5 }
    }

    #[test]
    fn distance_counts_deviations() {
        let f = familiarity();
        assert_eq!(f.distance(&f.mean), 0.0);
        assert_eq!(f.distance(&[1.0, 3.0, 3.0, 3.5]), 1.0);
        assert_eq!(f.distance(&[3.0, 1.0, 2.0, 3.0]), 1.5);
    }

    #[test]
    fn what_is_written_is_read_and_what_is_wrong_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("familiarity.safetensors");
        let encoder = "a".repeat(64);
        familiarity().write(&path, [2, 2], &encoder).unwrap();
        assert_eq!(Familiarity::read(&path, [2, 2], 1.5, &encoder).unwrap(), familiarity());
        let other = Familiarity::read(&path, [2, 2], 1.5, &"b".repeat(64));
        assert!(matches!(other, Err(Error::BankMismatch { .. })), "{other:?}");
        let shape = Familiarity::read(&path, [4, 1], 1.5, &encoder);
        assert!(matches!(shape, Err(Error::PackageContent { .. })), "{shape:?}");
        assert!(Familiarity::read(&path, [2, 2], f32::NAN, &encoder).is_err());
        for wrong in [
            Familiarity { deviation: vec![1.0, 0.0, 1.0, 1.0], ..familiarity() },
            Familiarity { mean: vec![f32::NAN; 4], ..familiarity() },
            Familiarity { deviation: vec![1.0; 3], ..familiarity() },
            Familiarity { limit: -1.0, ..familiarity() },
        ] {
            assert!(wrong.write(&path, [2, 2], &encoder).is_err(), "{wrong:?}");
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 3);
        std::fs::write(&path, bytes).unwrap();
        assert!(Familiarity::read(&path, [2, 2], 1.5, &encoder).is_err());
    }
}
