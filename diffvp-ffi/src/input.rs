//! Reading the caller's memory: strings and arrays, checked as far as memory can be.

use std::ffi::c_char;
use std::path::PathBuf;

use ffi_support::FfiStr;

use crate::status::{
    DIFFVP_STATUS_INVALID_ARGUMENT, DIFFVP_STATUS_INVALID_SIZE, DIFFVP_STATUS_INVALID_UTF8,
    DIFFVP_STATUS_NULL_ARGUMENT, DIFFVP_STATUS_OUT_OF_MEMORY, Failure,
};

fn null(name: &str) -> Failure {
    Failure::new(DIFFVP_STATUS_NULL_ARGUMENT, format!("{name} is null"))
}

/// A string that may be null.
///
/// # Safety
/// `text` is null or points to bytes that end with a NUL and do not change during the call.
pub(crate) unsafe fn text_optional(text: *const c_char, name: &str) -> Result<Option<String>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise; the value does not outlive this function.
    let found = unsafe { FfiStr::from_raw(text) }.as_opt_str().map(str::to_owned);
    found.map(Some).ok_or_else(|| Failure::new(DIFFVP_STATUS_INVALID_UTF8, format!("{name} is not UTF-8")))
}

/// As [`text_optional`], and null is an error.
///
/// # Safety
/// As [`text_optional`].
pub(crate) unsafe fn text(text: *const c_char, name: &str) -> Result<String, Failure> {
    // SAFETY: the caller's promise.
    unsafe { text_optional(text, name) }?.ok_or_else(|| null(name))
}

/// A path, in UTF-8.
///
/// # Safety
/// As [`text_optional`].
pub(crate) unsafe fn path(path: *const c_char, name: &str) -> Result<PathBuf, Failure> {
    // SAFETY: the caller's promise.
    unsafe { text(path, name) }.map(PathBuf::from)
}

/// `count` values at `data`; null is allowed where `count` is 0.
///
/// # Safety
/// `data` points to `count` values that do not change while the slice lives.
pub(crate) unsafe fn slice<'a, T>(data: *const T, count: usize, name: &str) -> Result<&'a [T], Failure> {
    check_size::<T>(count, name)?;
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(name));
    }
    if !data.is_aligned() {
        let detail = format!("{name} is not aligned to {} bytes", align_of::<T>());
        return Err(Failure::new(DIFFVP_STATUS_INVALID_ARGUMENT, detail));
    }
    // SAFETY: the caller's promise; not null, aligned, and of a size that memory can have.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

/// An array of known length, null for none.
///
/// # Safety
/// `data` is null or points to `N` values.
pub(crate) unsafe fn array<const N: usize>(data: *const f64, name: &str) -> Result<Option<[f64; N]>, Failure> {
    if data.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let values = unsafe { slice(data, N, name) }?;
    Ok(values.try_into().ok())
}

/// Refuses what no memory can hold, before an address is computed from it.
pub(crate) fn check_size<T>(count: usize, name: &str) -> Result<(), Failure> {
    match count.checked_mul(size_of::<T>()) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(Failure::new(
            DIFFVP_STATUS_INVALID_SIZE,
            format!("{name}: {count} values of {} bytes are more than memory can hold", size_of::<T>()),
        )),
    }
}

/// An empty vector with room, or an error where the system has none.
pub(crate) fn reserve<T>(count: usize, name: &str) -> Result<Vec<T>, Failure> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| {
        Failure::new(DIFFVP_STATUS_OUT_OF_MEMORY, format!("{name}: no memory for {count} × {} bytes", size_of::<T>()))
    })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status<T>(result: Result<T, Failure>) -> i32 {
        result.map(|_| 0).unwrap_or_else(|failure| failure.status())
    }

    #[test]
    fn strings() {
        // SAFETY: literals that end with a NUL, or null.
        unsafe {
            assert_eq!(text(c"böse".as_ptr(), "x").unwrap(), "böse");
            assert_eq!(text(c"".as_ptr(), "x").unwrap(), "");
            assert_eq!(status(text(c"\xff\xfe".as_ptr(), "x")), DIFFVP_STATUS_INVALID_UTF8);
            assert_eq!(status(text(std::ptr::null(), "x")), DIFFVP_STATUS_NULL_ARGUMENT);
            assert_eq!(text_optional(std::ptr::null(), "x").unwrap(), None);
        }
    }

    #[test]
    fn arrays() {
        let values = [1i16, 2, 3];
        let odd = values.as_ptr().cast::<u8>().wrapping_add(1).cast::<i16>();
        // SAFETY: the array, or what is refused before it is read.
        unsafe {
            assert_eq!(slice(values.as_ptr(), 3, "x").unwrap(), values);
            let empty: &[i16] = slice(std::ptr::null(), 0, "x").unwrap();
            assert!(empty.is_empty());
            assert_eq!(status(slice(std::ptr::null::<i16>(), 1, "x")), DIFFVP_STATUS_NULL_ARGUMENT);
            assert_eq!(status(slice(values.as_ptr(), usize::MAX / 2, "x")), DIFFVP_STATUS_INVALID_SIZE);
            assert_eq!(status(slice(values.as_ptr(), usize::MAX, "x")), DIFFVP_STATUS_INVALID_SIZE);
            assert_eq!(status(slice(odd, 1, "x")), DIFFVP_STATUS_INVALID_ARGUMENT);
            assert_eq!(array::<2>([0.5, 1.5].as_ptr(), "x").unwrap(), Some([0.5, 1.5]));
            assert_eq!(array::<2>(std::ptr::null(), "x").unwrap(), None);
        }
        // Miri ends where memory does.
        #[cfg(not(miri))]
        assert_eq!(status(reserve::<u64>(1 << 59, "x")), DIFFVP_STATUS_OUT_OF_MEMORY);
    }
}
