//! Loading ONNX Runtime.

use std::ffi::c_char;

use crate::boundary::call;
use crate::error::diffvp_error;
use crate::input;
use crate::log::not_in_callback;
use crate::output::Out;
use crate::status::Failure;
use crate::string::{self, diffvp_string};

/// Loads ONNX Runtime, which happens once in a process. Calling it is not needed; it lets a host name the library
/// and hear early that it cannot be used.
///
/// `library` is the path of libonnxruntime; null to look where ORT_DYLIB_PATH says, beside the executable, and in
/// the cache folder, in this order. A host that has loaded ONNX Runtime itself names that file here. Naming
/// another file than the one that is loaded is DIFFVP_STATUS_RUNTIME_UNUSABLE; where none is found,
/// DIFFVP_STATUS_RUNTIME_NOT_FOUND; inside a log callback, DIFFVP_STATUS_REENTRANT.
///
/// Where the environment variable ORT_DISABLE_TELEMETRY is not 1, the call that loads the library sets it, which is not
/// safe while other threads read the environment: set it before starting threads, or call this function before.
/// The other functions that load are diffvp_runtime_version, diffvp_runtime_library and diffvp_reporter_open.
/// Waits while another thread loads the library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_runtime_init(library: *const c_char, error: *mut *mut diffvp_error) -> i32 {
    let body = || {
        not_in_callback()?;
        // SAFETY: the contract of the header.
        let library = unsafe { input::text_optional(library, "library") }?;
        diffvp::runtime::info(library.as_deref().map(std::path::Path::new))?;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Version of the loaded ONNX Runtime, such as "1.31.1", and loads it where that has not happened: then with the errors
/// of diffvp_runtime_init.
///
/// `*version` belongs to the caller: diffvp_string_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_runtime_version(
    version: *mut *mut diffvp_string,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell(version, "version", error, |info| info.version) }
}

/// Path of the loaded ONNX Runtime, and loads it where that has not happened: then with the errors of
/// diffvp_runtime_init.
///
/// `*path` belongs to the caller: diffvp_string_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_runtime_library(path: *mut *mut diffvp_string, error: *mut *mut diffvp_error) -> i32 {
    let path_of = |info: diffvp::runtime::RuntimeInfo| info.library.unwrap_or_default().to_string_lossy().into_owned();
    // SAFETY: the contract of the header.
    unsafe { tell(path, "path", error, path_of) }
}

unsafe fn tell(
    place: *mut *mut diffvp_string,
    name: &str,
    error: *mut *mut diffvp_error,
    what: impl FnOnce(diffvp::runtime::RuntimeInfo) -> String,
) -> i32 {
    let body = || -> Result<(), Failure> {
        // SAFETY: the caller of this function promises the contract of the header.
        let place = unsafe { Out::required(place, name) }?;
        not_in_callback()?;
        string::give(place, &what(diffvp::runtime::info(None)?))
    };
    // SAFETY: as above.
    unsafe { call(error, body) }
}
