//! Memory for volumes, which may be larger than there is: asked for first, so that a process under a limit is told
//! instead of ended.

use crate::{Error, Result};

/// `count` zeros. The pages are touched only by who writes to them.
///
/// # Errors
/// [`Error::LimitExceeded`] where there is not so much memory.
pub(crate) fn zeros(count: usize) -> Result<Vec<f32>> {
    Vec::<f32>::new().try_reserve_exact(count).map_err(|_| lacking(count))?;
    Ok(vec![0.0; count])
}

/// Room for `more` values behind those that are there.
///
/// # Errors
/// As [`zeros`].
pub(crate) fn grow(values: &mut Vec<f32>, more: usize) -> Result<()> {
    values.try_reserve_exact(more).map_err(|_| lacking(values.len().saturating_add(more)))
}

fn lacking(count: usize) -> Error {
    let bytes = (count as u64).saturating_mul(size_of::<f32>() as u64);
    Error::LimitExceeded { what: "memory for voxels, in bytes".into(), found: bytes, limit: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_can_be_is_an_error() {
        assert_eq!(zeros(3).unwrap(), [0.0; 3]);
        assert!(matches!(zeros(usize::MAX / 8), Err(Error::LimitExceeded { .. })));
        let mut values = vec![1.0];
        assert!(matches!(grow(&mut values, usize::MAX / 8), Err(Error::LimitExceeded { .. })));
        assert_eq!(values, [1.0]);
    }
}
