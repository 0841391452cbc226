//! `diffvp_string`: a text that belongs to the caller.

use std::ffi::{CString, c_char};

use crate::boundary::call;
use crate::error::{diffvp_error, free};
use crate::output::{Out, Write as _};
use crate::status::Failure;
use crate::table::{self, Kind, Object};
use crate::text::c_text;

/// A text that belongs to the caller: what may change later, such as the model in use. Freed with
/// diffvp_string_free. May be used from any thread.
pub struct diffvp_string {
    _opaque: (),
}

pub(crate) struct StringObject(CString);

impl Object for StringObject {
    type Handle = diffvp_string;
    const KIND: Kind = Kind::String;
}

/// Gives a text to C.
pub(crate) fn give(place: Out<*mut diffvp_string>, text: &str) -> Result<(), Failure> {
    place.write(table::insert(StringObject(c_text(text)))?);
    Ok(())
}

/// The text, UTF-8 with a NUL at its end, and its length in bytes without the NUL (`length` may be null).
///
/// `*text` belongs to the string and lives until diffvp_string_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_string_text(
    string: *const diffvp_string,
    text: *mut *const c_char,
    length: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (text, length) = unsafe { (Out::required(text, "text")?, Out::optional(length)?) };
        let string = table::get::<StringObject>(string)?;
        length.write(string.0.count_bytes());
        text.write(string.0.as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Frees a string. Null is allowed and does nothing.
///
/// Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_string_free(string: *mut diffvp_string) -> i32 {
    free::<StringObject>(string)
}
