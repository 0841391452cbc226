//! Writing results to the caller's memory. Places are checked first and written last, so that a failing call
//! writes nothing.

use std::ptr::NonNull;

use crate::status::{
    DIFFVP_STATUS_BUFFER_TOO_SMALL, DIFFVP_STATUS_INVALID_ARGUMENT, DIFFVP_STATUS_NULL_ARGUMENT, Failure,
};

/// A place for one value.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    /// `place` is null or points to memory for one `T` that may be written while the value lives.
    pub(crate) unsafe fn required(place: *mut T, name: &str) -> Result<Self, Failure> {
        let place = NonNull::new(place).ok_or_else(|| {
            Failure::new(DIFFVP_STATUS_NULL_ARGUMENT, format!("{name}, where the result goes, is null"))
        })?;
        if !place.is_aligned() {
            let detail = format!("{name}, where the result goes, is not aligned to {} bytes", align_of::<T>());
            return Err(Failure::new(DIFFVP_STATUS_INVALID_ARGUMENT, detail));
        }
        Ok(Out(place))
    }

    /// `None` for null, for a caller who does not want the value.
    ///
    /// # Safety
    /// As [`Out::required`].
    pub(crate) unsafe fn optional(place: *mut T) -> Result<Option<Self>, Failure> {
        if place.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller's promise.
        unsafe { Out::required(place, "a place for a result") }.map(Some)
    }

    pub(crate) fn write(self, value: T) {
        // SAFETY: the promise that was made when the place was taken; not null, and aligned.
        unsafe { self.0.write(value) }
    }
}

/// Writes where the caller wants the value.
pub(crate) trait Write<T> {
    fn write(self, value: T);
}

impl<T> Write<T> for Option<Out<T>> {
    fn write(self, value: T) {
        if let Some(place) = self {
            place.write(value);
        }
    }
}

/// A place for several values.
pub(crate) struct Buffer<T> {
    data: Option<Out<T>>,
    capacity: usize,
}

impl<T: Copy> Buffer<T> {
    /// # Safety
    /// `data` is null or points to memory for `capacity` values that may be written while the value lives.
    pub(crate) unsafe fn new(data: *mut T, capacity: usize, name: &str) -> Result<Self, Failure> {
        if capacity == 0 {
            return Ok(Buffer { data: None, capacity });
        }
        // SAFETY: the caller's promise.
        Ok(Buffer { data: Some(unsafe { Out::required(data, name) }?), capacity })
    }

    /// Fails where `needed` values do not fit.
    pub(crate) fn check(&self, needed: usize, name: &str) -> Result<(), Failure> {
        if needed <= self.capacity {
            return Ok(());
        }
        let detail = format!("{name} takes {} values, {needed} are needed", self.capacity);
        Err(Failure::new(DIFFVP_STATUS_BUFFER_TOO_SMALL, detail))
    }

    pub(crate) fn write(self, values: &[T], name: &str) -> Result<(), Failure> {
        self.check(values.len(), name)?;
        if let Some(place) = self.data {
            // SAFETY: the promise that was made when the place was taken, and the check of the length; the
            // values are ours and do not overlap the caller's memory.
            unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), place.0.as_ptr(), values.len()) };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_checked_and_written_once() {
        let mut value = 5u32;
        // SAFETY: locals, or null.
        unsafe {
            Out::required(&mut value, "x").unwrap().write(6);
            assert!(Out::required(std::ptr::null_mut::<u32>(), "x").is_err());
            let odd = (&raw mut value).cast::<u8>().wrapping_add(1).cast::<u32>();
            assert!(Out::required(odd, "x").is_err());
            Out::optional(std::ptr::null_mut::<u32>()).unwrap().write(7);
            Out::optional(&mut value).unwrap().write(8);
            assert!(Out::optional(odd).is_err());
        }
        assert_eq!(value, 8);
    }

    #[test]
    fn buffers_that_are_too_small_stay_as_they_are() {
        let mut values = [0u8; 3];
        // SAFETY: a local array, or null with a length of 0.
        unsafe {
            let small = Buffer::new(values.as_mut_ptr(), 2, "x").unwrap();
            assert_eq!(small.write(&[1, 2, 3], "x").unwrap_err().status(), DIFFVP_STATUS_BUFFER_TOO_SMALL);
            assert_eq!(values, [0; 3]);
            Buffer::new(values.as_mut_ptr(), 3, "x").unwrap().write(&[1, 2], "x").unwrap();
            Buffer::new(std::ptr::null_mut::<u8>(), 0, "x").unwrap().write(&[], "x").unwrap();
            assert!(Buffer::new(std::ptr::null_mut::<u8>(), 1, "x").is_err());
        }
        assert_eq!(values, [1, 2, 0]);
    }
}
