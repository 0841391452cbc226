//! Status numbers: those of [`diffvp::Error::code`], and those that only the C interface has.

use std::ffi::{CStr, c_char};

/// Success.
pub const DIFFVP_STATUS_OK: i32 = 0;

/// The path does not exist.
pub const DIFFVP_STATUS_NOT_FOUND: i32 = 10;
/// The operating system refused to read.
pub const DIFFVP_STATUS_READ: i32 = 11;
/// A folder without a DICOM file.
pub const DIFFVP_STATUS_EMPTY_STUDY: i32 = 12;
/// Neither NIfTI nor DICOM, whatever the name says.
pub const DIFFVP_STATUS_UNKNOWN_FORMAT: i32 = 13;
/// A known format in a form that is not read.
pub const DIFFVP_STATUS_UNSUPPORTED: i32 = 14;
/// Truncated or contradictory.
pub const DIFFVP_STATUS_CORRUPT: i32 = 15;
/// Larger than the limit, or than memory holds; refused before memory is taken.
pub const DIFFVP_STATUS_LIMIT_EXCEEDED: i32 = 16;
/// Two- or four-dimensional, or a single slice.
pub const DIFFVP_STATUS_NOT_A_VOLUME: i32 = 17;
/// NaN or infinite values.
pub const DIFFVP_STATUS_INVALID_VOXELS: i32 = 18;
/// Positions, spacing or directions that make no volume.
pub const DIFFVP_STATUS_GEOMETRY: i32 = 19;
/// No series of the study can be reported.
pub const DIFFVP_STATUS_NO_USABLE_SERIES: i32 = 20;
/// Readable, but not what the model is for.
pub const DIFFVP_STATUS_OUT_OF_SCOPE: i32 = 21;
/// No readable manifest.json, or one that breaks its specification.
pub const DIFFVP_STATUS_MANIFEST: i32 = 30;
/// The package format is newer than this program.
pub const DIFFVP_STATUS_PACKAGE_VERSION: i32 = 31;
/// The package requires a feature that this program lacks.
pub const DIFFVP_STATUS_PACKAGE_FEATURE: i32 = 32;
/// A listed file is not there.
pub const DIFFVP_STATUS_PACKAGE_FILE_MISSING: i32 = 33;
/// Size or hash differ from the manifest.
pub const DIFFVP_STATUS_PACKAGE_FILE_CHANGED: i32 = 34;
/// The reference bank belongs to another encoder.
pub const DIFFVP_STATUS_BANK_MISMATCH: i32 = 35;
/// A file is whole but cannot be used, such as a graph that is not ONNX.
pub const DIFFVP_STATUS_PACKAGE_CONTENT: i32 = 36;
/// No ONNX Runtime library; the message lists every place tried.
pub const DIFFVP_STATUS_RUNTIME_NOT_FOUND: i32 = 50;
/// A library that is none, too old, or not the one already loaded.
pub const DIFFVP_STATUS_RUNTIME_UNUSABLE: i32 = 51;
/// The requested device cannot be used; nothing falls back.
pub const DIFFVP_STATUS_DEVICE_UNAVAILABLE: i32 = 52;
/// ONNX Runtime failed while running a graph.
pub const DIFFVP_STATUS_INFERENCE: i32 = 53;
/// The caller stopped the report.
pub const DIFFVP_STATUS_CANCELLED: i32 = 70;
/// An option with a value that cannot be used.
pub const DIFFVP_STATUS_INVALID_OPTION: i32 = 71;
/// A result could not be written; nothing is left in its place.
pub const DIFFVP_STATUS_WRITE: i32 = 72;
/// The prompt leaves no room for a report.
pub const DIFFVP_STATUS_CONTEXT_FULL: i32 = 73;
/// A mistake of this program.
pub const DIFFVP_STATUS_INTERNAL: i32 = 99;

// Statuses of the interface itself begin at 1000. Those above are exit statuses of the command line too, and so
// stay under 256: the two can never meet.

/// A required pointer was null.
pub const DIFFVP_STATUS_NULL_ARGUMENT: i32 = 1001;
/// A handle that this library never made.
pub const DIFFVP_STATUS_INVALID_HANDLE: i32 = 1002;
/// A handle that was already freed.
pub const DIFFVP_STATUS_STALE_HANDLE: i32 = 1003;
/// A handle of another type than the function takes.
pub const DIFFVP_STATUS_WRONG_KIND: i32 = 1004;
/// Text that is not UTF-8.
pub const DIFFVP_STATUS_INVALID_UTF8: i32 = 1005;
/// A number that is none of the documented constants, or outside its range.
pub const DIFFVP_STATUS_INVALID_ARGUMENT: i32 = 1006;
/// Sizes that contradict each other, or are larger than memory can be.
pub const DIFFVP_STATUS_INVALID_SIZE: i32 = 1007;
/// An index that is not below its count.
pub const DIFFVP_STATUS_NO_SUCH_INDEX: i32 = 1008;
/// The caller's buffer is too small; the message says what is needed.
pub const DIFFVP_STATUS_BUFFER_TOO_SMALL: i32 = 1009;
/// A mistake of this library was caught; the message has its text, please report it.
pub const DIFFVP_STATUS_PANIC: i32 = 1010;
/// More objects are alive than can be named; some are never freed.
pub const DIFFVP_STATUS_TOO_MANY_HANDLES: i32 = 1011;
/// There is not enough memory for what was asked.
pub const DIFFVP_STATUS_OUT_OF_MEMORY: i32 = 1012;
/// The function was called from inside a callback that does not allow it.
pub const DIFFVP_STATUS_REENTRANT: i32 = 1013;
/// Another part of the process listens to the log already.
pub const DIFFVP_STATUS_LOG_TAKEN: i32 = 1014;

/// Status, word, meaning.
const TABLE: &[(i32, &CStr, &CStr)] = &[
    (DIFFVP_STATUS_OK, c"ok", c"success"),
    (DIFFVP_STATUS_NOT_FOUND, c"not_found", c"the path does not exist"),
    (DIFFVP_STATUS_READ, c"read", c"the operating system refused to read"),
    (DIFFVP_STATUS_EMPTY_STUDY, c"empty_study", c"a folder without a DICOM file"),
    (DIFFVP_STATUS_UNKNOWN_FORMAT, c"unknown_format", c"neither NIfTI nor DICOM, whatever the name says"),
    (DIFFVP_STATUS_UNSUPPORTED, c"unsupported", c"a known format in a form that is not read"),
    (DIFFVP_STATUS_CORRUPT, c"corrupt", c"truncated or contradictory"),
    (DIFFVP_STATUS_LIMIT_EXCEEDED, c"limit_exceeded", c"larger than the limit, or than memory holds"),
    (DIFFVP_STATUS_NOT_A_VOLUME, c"not_a_volume", c"two- or four-dimensional, or a single slice"),
    (DIFFVP_STATUS_INVALID_VOXELS, c"invalid_voxels", c"NaN or infinite values"),
    (DIFFVP_STATUS_GEOMETRY, c"geometry", c"positions, spacing or directions that make no volume"),
    (DIFFVP_STATUS_NO_USABLE_SERIES, c"no_usable_series", c"no series of the study can be reported"),
    (DIFFVP_STATUS_OUT_OF_SCOPE, c"out_of_scope", c"readable, but not what the model is for"),
    (DIFFVP_STATUS_MANIFEST, c"manifest", c"no readable manifest.json, or one that breaks its specification"),
    (DIFFVP_STATUS_PACKAGE_VERSION, c"package_version", c"the package format is newer than this program"),
    (DIFFVP_STATUS_PACKAGE_FEATURE, c"package_feature", c"the package requires a feature that this program lacks"),
    (DIFFVP_STATUS_PACKAGE_FILE_MISSING, c"package_file_missing", c"a listed file is not there"),
    (DIFFVP_STATUS_PACKAGE_FILE_CHANGED, c"package_file_changed", c"size or hash differ from the manifest"),
    (DIFFVP_STATUS_BANK_MISMATCH, c"bank_mismatch", c"the reference bank belongs to another encoder"),
    (
        DIFFVP_STATUS_PACKAGE_CONTENT,
        c"package_content",
        c"a file is whole but cannot be used, such as a graph that is not ONNX",
    ),
    (
        DIFFVP_STATUS_RUNTIME_NOT_FOUND,
        c"runtime_not_found",
        c"no ONNX Runtime library; the message lists every place tried",
    ),
    (
        DIFFVP_STATUS_RUNTIME_UNUSABLE,
        c"runtime_unusable",
        c"a library that is none, too old, or not the one already loaded",
    ),
    (
        DIFFVP_STATUS_DEVICE_UNAVAILABLE,
        c"device_unavailable",
        c"the requested device cannot be used; nothing falls back",
    ),
    (DIFFVP_STATUS_INFERENCE, c"inference", c"ONNX Runtime failed while running a graph"),
    (DIFFVP_STATUS_CANCELLED, c"cancelled", c"the caller stopped the report"),
    (DIFFVP_STATUS_INVALID_OPTION, c"invalid_option", c"an option with a value that cannot be used"),
    (DIFFVP_STATUS_WRITE, c"write", c"a result could not be written; nothing is left in its place"),
    (DIFFVP_STATUS_CONTEXT_FULL, c"context_full", c"the prompt leaves no room for a report"),
    (DIFFVP_STATUS_INTERNAL, c"internal", c"a mistake of this program"),
    (DIFFVP_STATUS_NULL_ARGUMENT, c"null_argument", c"a required pointer was null"),
    (DIFFVP_STATUS_INVALID_HANDLE, c"invalid_handle", c"a handle that this library never made"),
    (DIFFVP_STATUS_STALE_HANDLE, c"stale_handle", c"a handle that was already freed"),
    (DIFFVP_STATUS_WRONG_KIND, c"wrong_kind", c"a handle of another type than the function takes"),
    (DIFFVP_STATUS_INVALID_UTF8, c"invalid_utf8", c"text that is not UTF-8"),
    (
        DIFFVP_STATUS_INVALID_ARGUMENT,
        c"invalid_argument",
        c"a number that is none of the documented constants, or outside its range",
    ),
    (
        DIFFVP_STATUS_INVALID_SIZE,
        c"invalid_size",
        c"sizes that contradict each other, or are larger than memory can be",
    ),
    (DIFFVP_STATUS_NO_SUCH_INDEX, c"no_such_index", c"an index that is not below its count"),
    (
        DIFFVP_STATUS_BUFFER_TOO_SMALL,
        c"buffer_too_small",
        c"the caller's buffer is too small; the message says what is needed",
    ),
    (
        DIFFVP_STATUS_PANIC,
        c"panic",
        c"a mistake of this library was caught; the message has its text, please report it",
    ),
    (
        DIFFVP_STATUS_TOO_MANY_HANDLES,
        c"too_many_handles",
        c"more objects are alive than can be named; some are never freed",
    ),
    (DIFFVP_STATUS_OUT_OF_MEMORY, c"out_of_memory", c"there is not enough memory for what was asked"),
    (DIFFVP_STATUS_REENTRANT, c"reentrant", c"the function was called from inside a callback that does not allow it"),
    (DIFFVP_STATUS_LOG_TAKEN, c"log_taken", c"another part of the process listens to the log already"),
];

/// Name of a status as one stable word, such as `"not_found"`; `"unknown"` for other numbers.
///
/// The string is static: never free it. May be called from any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn diffvp_status_name(status: i32) -> *const c_char {
    TABLE.iter().find(|row| row.0 == status).map_or(c"unknown", |row| row.1).as_ptr()
}

/// Meaning of a status in a few English words. What went wrong in one call is in its `diffvp_error`.
///
/// The string is static: never free it. May be called from any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn diffvp_status_meaning(status: i32) -> *const c_char {
    TABLE.iter().find(|row| row.0 == status).map_or(c"no status of this version of the library", |row| row.2).as_ptr()
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: i32,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: i32, message: impl Into<String>) -> Self {
        Failure { status, message: message.into() }
    }

    pub(crate) fn internal(message: &str) -> Self {
        diffvp::Error::Internal { detail: message.into() }.into()
    }

    pub(crate) fn status(&self) -> i32 {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<diffvp::Error> for Failure {
    fn from(error: diffvp::Error) -> Self {
        Failure { status: error.code(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers and words of `diffvp::Error`, as its source lists them.
    fn library() -> Vec<(i32, String)> {
        let source = include_str!("../../diffvp/src/error.rs");
        let after = |function: &str| source.split(function).nth(1).expect("the function");
        let arms = |text: &str| -> Vec<String> {
            let body = text.split("\n    }\n").next().expect("its body");
            body.lines()
                .filter_map(|line| line.trim().strip_prefix("Error::")?.split_once(" => "))
                .map(|(_, v)| v.trim_end_matches(',').trim_matches('"').to_owned())
                .collect()
        };
        let numbers = arms(after("pub fn code(&self) -> i32"));
        let words = arms(after("pub fn name(&self) -> &'static str"));
        assert_eq!(numbers.len(), words.len());
        numbers.iter().map(|n| n.parse().unwrap()).zip(words).collect()
    }

    #[test]
    fn every_error_of_the_library_has_its_row() {
        let library = library();
        assert!(library.len() > 25);
        let rows: Vec<(i32, String)> = TABLE
            .iter()
            .filter(|row| row.0 != 0 && row.0 < 1000)
            .map(|row| (row.0, row.1.to_str().unwrap().to_owned()))
            .collect();
        assert_eq!(rows, library, "statuses of the C interface (left) and of diffvp::Error (right)");
    }

    #[test]
    fn the_two_ranges_cannot_meet() {
        assert!(library().iter().all(|(number, _)| (1..256).contains(number)));
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(TABLE.iter().filter(|row| row.0 >= 1000).count() >= 14);
    }

    #[test]
    fn texts_of_unknown_numbers_are_texts_too() {
        for status in [0, 10, 99, 1010, 5, -1, i32::MIN, i32::MAX] {
            for text in [diffvp_status_name(status), diffvp_status_meaning(status)] {
                // SAFETY: the functions return static strings.
                assert!(unsafe { CStr::from_ptr(text) }.to_bytes().len() > 1);
            }
        }
    }
}
