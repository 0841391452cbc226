//! `diffvp_error`: why one call failed.

use std::ffi::{CString, c_char};

use crate::boundary::call;
use crate::output::Out;
use crate::status::{DIFFVP_STATUS_OK, Failure};
use crate::table::{self, Kind, Object};
use crate::text::c_text;

/// Why one call failed. Written by a failing call through its last argument, owned by the caller, freed with
/// diffvp_error_free. May be used from any thread.
pub struct diffvp_error {
    _opaque: (),
}

pub(crate) struct ErrorObject {
    status: i32,
    message: CString,
}

impl Object for ErrorObject {
    type Handle = diffvp_error;
    const KIND: Kind = Kind::Error;
}

/// Writes a new error object where the caller wants one.
///
/// # Safety
/// `place` is null or points to memory for one pointer that may be written.
pub(crate) unsafe fn give(place: *mut *mut diffvp_error, status: i32, message: &str) {
    // SAFETY: the caller's promise.
    let Ok(Some(place)) = (unsafe { Out::optional(place) }) else { return };
    // Where even the error finds no handle, the status alone must do.
    if let Ok(handle) = table::insert(ErrorObject { status, message: c_text(message) }) {
        place.write(handle);
    }
}

/// Number of the error: the status that the failing call returned.
///
/// Returns DIFFVP_STATUS_OK, or a status of misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_error_status(error: *const diffvp_error, status: *mut i32) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let status = unsafe { Out::required(status, "status") }?;
        status.write(table::get::<ErrorObject>(error)?.status);
        Ok(())
    };
    // SAFETY: null takes no error.
    unsafe { call(std::ptr::null_mut(), body) }
}

/// What went wrong, in English, with what was expected and what was found. Holds no patient data.
///
/// `*message` belongs to the error and lives until diffvp_error_free.
/// Returns DIFFVP_STATUS_OK, or a status of misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_error_message(error: *const diffvp_error, message: *mut *const c_char) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let message = unsafe { Out::required(message, "message") }?;
        message.write(table::get::<ErrorObject>(error)?.message.as_ptr());
        Ok(())
    };
    // SAFETY: null takes no error.
    unsafe { call(std::ptr::null_mut(), body) }
}

/// Frees an error. Null is allowed and does nothing.
///
/// Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_error_free(error: *mut diffvp_error) -> i32 {
    free::<ErrorObject>(error)
}

/// What all functions that free do.
pub(crate) fn free<T: Object>(handle: *mut T::Handle) -> i32 {
    if handle.is_null() {
        return DIFFVP_STATUS_OK;
    }
    // SAFETY: null takes no error.
    unsafe { call(std::ptr::null_mut(), || -> Result<(), Failure> { table::remove::<T>(handle) }) }
}

/// The message of an error, which is freed.
#[cfg(test)]
pub(crate) fn take_message(error: *mut diffvp_error) -> String {
    let message = table::get::<ErrorObject>(error).unwrap().message.to_str().unwrap().to_owned();
    table::remove::<ErrorObject>(error).unwrap();
    message
}
