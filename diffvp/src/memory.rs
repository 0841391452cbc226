//! Memory for volumes, which may be larger than there is: asked for first, so that a process under a limit is told
//! instead of ended.

use crate::{Error, Result};

/// `count` zeros. The pages are touched only by who writes to them.
///
/// # Errors
/// [`Error::LimitExceeded`] where there is not so much memory.
pub(crate) fn zeros(count: usize) -> Result<Vec<f32>> {
    Vec::<f32>::new().try_reserve_exact(count).map_err(|_| lacking(count))?;
    let values = vec![0.0; count];
    ask_for_huge_pages(values.as_ptr_range());
    Ok(values)
}

/// Room for `more` values behind those that are there.
///
/// # Errors
/// As [`zeros`].
pub(crate) fn grow(values: &mut Vec<f32>, more: usize) -> Result<()> {
    values.try_reserve_exact(more).map_err(|_| lacking(values.len().saturating_add(more)))?;
    let spare = values.spare_capacity_mut().as_ptr_range();
    ask_for_huge_pages(spare.start.cast()..spare.end.cast());
    Ok(())
}

/// Asks Linux to back a large range by pages of 2 MiB: a volume is otherwise tens of thousands of page faults, a quarter of the
/// time of loading it. Where they are switched off or lacking, the pages stay small.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(range: std::ops::Range<*const f32>) {
    const PAGE: usize = 4096;
    /// From here on the allocator takes memory of its own for a range and gives it back whole.
    const LARGE: usize = 32 << 20;
    let from = (range.start as usize).next_multiple_of(PAGE);
    let length = (range.end as usize).saturating_sub(from) / PAGE * PAGE;
    if length >= LARGE {
        // SAFETY: the pages lie within memory that the caller has allocated, and the advice changes no content. It may fail,
        // which leaves everything as it was.
        unsafe { libc::madvise(from as *mut libc::c_void, length, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_: std::ops::Range<*const f32>) {}

fn lacking(count: usize) -> Error {
    let bytes = (count as u64).saturating_mul(size_of::<f32>() as u64);
    Error::LimitExceeded { what: "memory for voxels, in bytes".into(), found: bytes, limit: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_ranges_are_zeros_and_can_be_written() {
        let mut values = zeros((64 << 20) / 4 + 3).unwrap();
        assert!(values.iter().all(|v| *v == 0.0));
        values.fill(1.0);
        values.shrink_to_fit();
        let mut grown = vec![2.0];
        grow(&mut grown, 16 << 20).unwrap();
        grown.extend_from_slice(&values);
        assert_eq!((grown[0], grown[1], grown[values.len()]), (2.0, 1.0, 1.0));
    }

    #[test]
    fn more_than_there_can_be_is_an_error() {
        assert_eq!(zeros(3).unwrap(), [0.0; 3]);
        assert!(matches!(zeros(usize::MAX / 8), Err(Error::LimitExceeded { .. })));
        let mut values = vec![1.0];
        assert!(matches!(grow(&mut values, usize::MAX / 8), Err(Error::LimitExceeded { .. })));
        assert_eq!(values, [1.0]);
    }
}
