//! What model inputs of training scans look like: what tells a scan that is unlike all of them.
//!
//! It looks at the input, not at tokens: networks map what they have never seen to what they know.

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

/// Mean and standard deviation over training scans of what [`describe`] says of them, and how far is too far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Familiarity {
    /// `[2, cells]`, as [`describe`] orders them.
    pub mean: Vec<f32>,
    /// `[2, cells]`; positive.
    pub deviation: Vec<f32>,
    /// Distance above which a scan is unlike those of training.
    pub limit: f32,
}

impl Familiarity {
    /// Reads the file of a package with so many feature cells.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Read`], [`Error::LimitExceeded`]; [`Error::PackageContent`] where it is not such a file.
    pub(super) fn read(path: &Path, cells: usize, limit: f32) -> Result<Self> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let found = std::fs::metadata(path).map_err(|source| read_error(path, source))?.len();
        let most = (cells as u64).saturating_mul(16).saturating_add(MAX_EXTRA_BYTES);
        if found > most {
            return Err(Error::LimitExceeded { what: format!("{file} in bytes"), found, limit: most });
        }
        let bytes = std::fs::read(path).map_err(|source| read_error(path, source))?;
        let content = |detail: String| Error::PackageContent { file: file.clone(), detail };
        let parsed = SafeTensors::deserialize(&bytes).map_err(|e| content(format!("not safetensors: {e}")))?;
        let values = |name: &str| -> Result<Vec<f32>> {
            let view = parsed.tensor(name).map_err(|_| content(format!("has no tensor {name:?}")))?;
            if view.dtype() != Dtype::F32 || view.shape() != [2, cells] {
                let detail = format!("{name} is {:?} {:?}, expected F32 [2, {cells}]", view.dtype(), view.shape());
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
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        self.check().map_err(|detail| Error::PackageContent { file, detail })?;
        let shape = [2, self.mean.len() / 2];
        tensors::write(path, &[], &[(MEAN, &shape, &self.mean), (DEVIATION, &shape, &self.deviation)])
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.mean.is_empty() || !self.mean.len().is_multiple_of(2) || self.mean.len() != self.deviation.len() {
            return Err("mean and deviation are not two values for each cell".into());
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

    /// √(mean of ((value − mean) / deviation)²) over what [`describe`] says of a scan: near 1 for scans like those of training.
    ///
    /// # Panics
    /// Where there are not as many values as in training.
    pub fn distance(&self, description: &[f32]) -> f32 {
        assert_eq!(description.len(), self.mean.len(), "a description of another size");
        let each = description.iter().zip(&self.mean).zip(&self.deviation);
        let sum: f64 = each.map(|((t, m), s)| f64::from((t - m) / s).powi(2)).sum();
        (sum / description.len() as f64).sqrt() as f32
    }
}

/// A model input in coarse words: for each cell of the feature grid the mean of its voxels, then for each cell their standard
/// deviation. `values` is `[channels, s, h, w]`, of which the first channel counts, and a voxel at `i` of `size` is in the
/// cell `i · grid / size`.
///
/// # Panics
/// Where `values` does not hold the first channel.
pub fn describe(values: &[f32], [_, s, h, w]: [usize; 4], grid: [usize; 3]) -> Vec<f32> {
    let cells = grid.iter().product::<usize>();
    let mut sums = vec![(0f64, 0f64, 0u32); cells];
    for (index, value) in values[..s * h * w].iter().enumerate() {
        let at = [index / (h * w) * grid[0] / s, index / w % h * grid[1] / h, index % w * grid[2] / w];
        let (sum, square, count) = &mut sums[(at[0] * grid[1] + at[1]) * grid[2] + at[2]];
        let value = f64::from(*value);
        (*sum, *square, *count) = (*sum + value, *square + value * value, *count + 1);
    }
    let mean = |&(sum, _, count): &(f64, f64, u32)| sum / f64::from(count.max(1));
    let deviation = |cell: &(f64, f64, u32)| (cell.1 / f64::from(cell.2.max(1)) - mean(cell).powi(2)).max(0.0).sqrt();
    sums.iter().map(|c| mean(c) as f32).chain(sums.iter().map(|c| deviation(c) as f32)).collect()
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
    fn cells_are_described_by_mean_and_spread() {
        let values = [0.0, 2.0, 5.0, 5.0, 0.0, 2.0, 5.0, 9.0];
        assert_eq!(describe(&values, [1, 2, 1, 4], [1, 1, 2]), [1.0, 6.0, 1.0, 3f32.sqrt()]);
    }

    #[test]
    fn what_is_written_is_read_and_what_is_wrong_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("familiarity.safetensors");
        familiarity().write(&path).unwrap();
        assert_eq!(Familiarity::read(&path, 2, 1.5).unwrap(), familiarity());
        let shape = Familiarity::read(&path, 4, 1.5);
        assert!(matches!(shape, Err(Error::PackageContent { .. })), "{shape:?}");
        assert!(Familiarity::read(&path, 2, f32::NAN).is_err());
        for wrong in [
            Familiarity { deviation: vec![1.0, 0.0, 1.0, 1.0], ..familiarity() },
            Familiarity { mean: vec![f32::NAN; 4], ..familiarity() },
            Familiarity { deviation: vec![1.0; 3], ..familiarity() },
            Familiarity { limit: -1.0, ..familiarity() },
        ] {
            assert!(wrong.write(&path).is_err(), "{wrong:?}");
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 3);
        std::fs::write(&path, bytes).unwrap();
        assert!(Familiarity::read(&path, 2, 1.5).is_err());
    }
}
