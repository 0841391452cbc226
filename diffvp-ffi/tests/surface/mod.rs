//! Every exported function as a row: what its arguments are, and a call of it with any words for them.
//!
//! Used by the table of bad input, by random calls, by the test of caught panics and by the fuzz target.

#![allow(dead_code, unreachable_pub, reason = "each user needs another part")]

mod data;
pub mod memory;
pub mod random;

use std::ffi::{c_char, c_void};

pub use data::{dicom_files, voxels_i16};

/// What a handle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Error,
    String,
    Options,
    Scan,
    Cancel,
    Reporter,
    Report,
}

pub const KINDS: [Kind; 7] =
    [Kind::Error, Kind::String, Kind::Options, Kind::Scan, Kind::Cancel, Kind::Reporter, Kind::Report];

/// What an argument is.
#[derive(Debug, Clone, Copy)]
pub enum Arg {
    /// A handle that must be given.
    Handle(Kind),
    /// A handle that may be null.
    HandleOrNull(Kind),
    /// A handle that the call frees; null does nothing.
    Freed(Kind),
    /// A string that must be given.
    Text(Text),
    /// A string that may be null.
    TextOrNull,
    /// A place for one result.
    Out,
    /// A place for one result that may be null.
    OutOrNull,
    /// A place for up to nine results.
    OutArray,
    /// The same, and it may be null.
    OutArrayOrNull,
    /// The place for the error.
    Error,
    /// An array that must be given.
    Data(Data),
    /// An array that may be null.
    DataOrNull(Data),
    /// A number: a good one, and bad ones with their status.
    Number(u64, &'static [(u64, i32)]),
    /// A callback (0 for none), or its user data.
    Callback,
    UserData,
}

/// A string that makes the call succeed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Text {
    ScanPath,
    PackagePath,
    Any,
}

/// An array that makes the call succeed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Data {
    I16,
    F32,
    Dims,
    Spacing,
    Direction,
    Origin,
    Buffers,
    Sizes,
}

/// One exported function.
pub struct Row {
    pub name: &'static str,
    pub args: &'static [Arg],
    /// Calls the function with one word for each argument.
    ///
    /// # Safety
    /// Words for places and arrays must point to what the function may read and write.
    pub call: unsafe fn(&[u64]) -> i32,
}

/// An argument made of a word.
trait Word {
    fn of(word: u64) -> Self;
}

macro_rules! number_words {
    ($($kind:ty),*) => { $(impl Word for $kind { fn of(word: u64) -> Self { word as $kind } })* };
}
number_words!(i32, u32, u64, usize);

impl Word for f32 {
    fn of(word: u64) -> Self {
        f32::from_bits(word as u32)
    }
}
impl<T> Word for *const T {
    fn of(word: u64) -> Self {
        std::ptr::with_exposed_provenance(word as usize)
    }
}
impl<T> Word for *mut T {
    fn of(word: u64) -> Self {
        std::ptr::with_exposed_provenance_mut(word as usize)
    }
}

unsafe extern "C" fn go_on(_text: *const c_char, _length: usize, _user_data: *mut c_void) -> i32 {
    0
}
unsafe extern "C" fn watch(_stage: i32, _done: f32, _user_data: *mut c_void) -> i32 {
    0
}
unsafe extern "C" fn hear(_level: i32, _target: *const c_char, _message: *const c_char, _user_data: *mut c_void) {}

impl Word for diffvp_ffi::diffvp_text_callback {
    fn of(word: u64) -> Self {
        (word != 0).then_some(go_on)
    }
}
impl Word for diffvp_ffi::diffvp_progress_callback {
    fn of(word: u64) -> Self {
        (word != 0).then_some(watch)
    }
}
impl Word for diffvp_ffi::diffvp_log_callback {
    fn of(word: u64) -> Self {
        (word != 0).then_some(hear)
    }
}

macro_rules! rows {
    ($($name:ident($($arg:expr),*);)*) => {
        &[$(Row { name: stringify!($name), args: &[$($arg),*], call: |words| {
            let mut words = words.iter();
            let mut next = || *words.next().expect("a word for each argument");
            // SAFETY: the caller of `call` promises it.
            unsafe { diffvp_ffi::$name($({ let _: &Arg = &$arg; Word::of(next()) }),*) }
        } }),*]
    };
}

use diffvp_ffi::{
    DIFFVP_STATUS_BUFFER_TOO_SMALL as SMALL, DIFFVP_STATUS_INVALID_ARGUMENT as BAD,
    DIFFVP_STATUS_INVALID_OPTION as OPTION, DIFFVP_STATUS_INVALID_SIZE as SIZE, DIFFVP_STATUS_NO_SUCH_INDEX as INDEX,
    DIFFVP_STATUS_OK as OK,
};

use Arg::{
    Callback, Data as In, DataOrNull as InOrNull, Error as Err, Freed, Handle as H, HandleOrNull as HOrNull,
    Number as N, Out, OutArray, OutArrayOrNull, OutOrNull, Text as S, TextOrNull, UserData,
};
use Kind::{Cancel, Error, Options, Report, Reporter, Scan, String};

const MAX: u64 = u64::MAX;
const NAN: u64 = 0x7fc0_0000;
const ONE: u64 = 0x3f80_0000;
const MINUS_ONE: u64 = 0xbf80_0000;
const INFINITE: u64 = 0x7f80_0000;
/// Voxels of the arrays that make calls succeed.
pub const VOXELS: u64 = 64;
const COUNT: Arg = N(VOXELS, &[(0, SIZE), (VOXELS - 1, SIZE), (VOXELS + 1, SIZE), (MAX, SIZE), (MAX / 2, SIZE)]);
const AT: Arg = N(0, &[(MAX, INDEX), (1 << 32, INDEX)]);
const ANY: Arg = N(1, &[(0, OK), (MAX, OK), (i64::MAX as u64, OK)]);

/// All functions that take a handle, a place or a string; the four others cannot fail.
pub const ROWS: &[Row] = rows! {
    diffvp_error_status(H(Error), Out);
    diffvp_error_message(H(Error), Out);
    diffvp_error_free(Freed(Error));
    diffvp_string_text(H(String), Out, OutOrNull, Err);
    diffvp_string_free(Freed(String));
    diffvp_runtime_init(TextOrNull, Err);
    diffvp_runtime_version(Out, Err);
    diffvp_runtime_library(Out, Err);
    diffvp_options_new(Out, Err);
    diffvp_options_set_device(H(Options), N(0, &[(3, BAD), (MAX, BAD), (i32::MIN as u32 as u64, BAD)]), N(0, &[(1, BAD), (u32::MAX as u64, BAD)]), Err);
    diffvp_options_set_gpu(H(Options), N(1, &[(0, OK), (7, OK), (8, BAD), (u32::MAX as u64, BAD)]), Err);
    diffvp_options_set_threads(H(Options), ANY, Err);
    diffvp_options_set_concurrency(H(Options), ANY, Err);
    diffvp_options_set_seed(H(Options), ANY, Err);
    diffvp_options_set_sampling_greedy(H(Options), Err);
    diffvp_options_set_sampling_random(H(Options), N(ONE, &[(NAN, OPTION), (0, OPTION), (MINUS_ONE, OPTION), (INFINITE, OPTION)]), ANY, N(ONE, &[(NAN, OPTION), (0, OPTION), (INFINITE, OPTION)]), Err);
    diffvp_options_set_reference_seeded(H(Options), Err);
    diffvp_options_set_reference_index(H(Options), ANY, Err);
    diffvp_options_set_reference_id(H(Options), S(Text::Any), Err);
    diffvp_options_set_max_new_tokens(H(Options), ANY, Err);
    diffvp_options_set_sections(H(Options), N(1, &[(3, BAD), (MAX, BAD), (i32::MIN as u32 as u64, BAD)]), Err);
    diffvp_options_set_any_body_part(H(Options), N(1, &[(2, BAD), (MAX, BAD), (i32::MIN as u32 as u64, BAD)]), Err);
    diffvp_options_set_max_voxels(H(Options), ANY, Err);
    diffvp_options_set_series_instance_uid(H(Options), TextOrNull, Err);
    diffvp_options_set_spacing_mm(H(Options), InOrNull(Data::Spacing), Err);
    diffvp_options_free(Freed(Options));
    diffvp_scan_open(S(Text::ScanPath), HOrNull(Options), Out, Err);
    diffvp_scan_from_dicom(In(Data::Buffers), In(Data::Sizes), N(4, &[(MAX, SIZE), (MAX / 8, SIZE)]), HOrNull(Options), Out, Err);
    diffvp_scan_from_hu_i16(In(Data::I16), COUNT, In(Data::Dims), In(Data::Spacing), InOrNull(Data::Direction), InOrNull(Data::Origin), HOrNull(Options), Out, Err);
    diffvp_scan_from_hu_f32(In(Data::F32), COUNT, In(Data::Dims), In(Data::Spacing), InOrNull(Data::Direction), InOrNull(Data::Origin), HOrNull(Options), Out, Err);
    diffvp_scan_dims(H(Scan), OutArray, Err);
    diffvp_scan_grid(H(Scan), OutArrayOrNull, OutArrayOrNull, OutArrayOrNull, Err);
    diffvp_scan_voxels(H(Scan), Out, OutOrNull, Err);
    diffvp_scan_warning_count(H(Scan), Out, Err);
    diffvp_scan_warning(H(Scan), AT, OutOrNull, Out, Err);
    diffvp_scan_source_json(H(Scan), Out, Err);
    diffvp_scan_free(Freed(Scan));
    diffvp_cancel_new(Out, Err);
    diffvp_cancel_trigger(H(Cancel), Err);
    diffvp_cancel_is_triggered(H(Cancel), Out, Err);
    diffvp_cancel_free(Freed(Cancel));
    diffvp_reporter_open(S(Text::PackagePath), HOrNull(Options), Out, Err);
    diffvp_reporter_swap(H(Reporter), S(Text::PackagePath), Err);
    diffvp_reporter_model_id(H(Reporter), Out, Err);
    diffvp_reporter_model_version(H(Reporter), Out, Err);
    diffvp_reporter_manifest_json(H(Reporter), Out, Err);
    diffvp_reporter_device(H(Reporter), Out, Err);
    diffvp_reporter_report(H(Reporter), H(Scan), HOrNull(Options), HOrNull(Cancel), Out, Err);
    diffvp_reporter_report_streaming(H(Reporter), H(Scan), HOrNull(Options), HOrNull(Cancel), Callback, Callback, UserData, Out, Err);
    diffvp_reporter_free(Freed(Reporter));
    diffvp_report_text(H(Report), Out, OutOrNull, Err);
    diffvp_report_printed(H(Report), Out, OutOrNull, Err);
    diffvp_report_json(H(Report), Out, OutOrNull, Err);
    diffvp_report_provenance_json(H(Report), Out, OutOrNull, Err);
    diffvp_report_section_count(H(Report), Out, Err);
    diffvp_report_section(H(Report), AT, OutOrNull, OutOrNull, Out, Err);
    diffvp_report_finding_count(H(Report), Out, Err);
    diffvp_report_finding(H(Report), AT, Out, OutOrNull, OutOrNull, OutOrNull, Err);
    diffvp_report_importance(H(Report), Out, OutOrNull, Err);
    diffvp_report_warning_count(H(Report), Out, Err);
    diffvp_report_warning(H(Report), AT, OutOrNull, Out, Err);
    diffvp_report_intended_use(H(Report), OutOrNull, OutOrNull, Err);
    diffvp_report_map_dims(H(Report), OutArray, Err);
    diffvp_report_map_grid(H(Report), OutArrayOrNull, OutArrayOrNull, OutArrayOrNull, Err);
    diffvp_report_map(H(Report), OutArray, N(1 << 17, &[(0, SMALL), (1, SMALL)]), Err);
    diffvp_report_map_peak(H(Report), OutOrNull, OutArrayOrNull, Err);
    diffvp_report_free(Freed(Report));
    diffvp_log_set(Callback, N(1, &[(0, BAD), (5, BAD), (MAX, BAD)]), UserData, Err);
};

/// The functions that take nothing but a number and cannot fail.
pub const TOTAL: [&str; 4] = ["diffvp_version", "diffvp_abi_version", "diffvp_status_name", "diffvp_status_meaning"];

impl Kind {
    /// Frees a handle of this kind.
    ///
    /// # Safety
    /// None is needed; the signature is that of the interface.
    pub unsafe fn free(self, handle: u64) -> i32 {
        let freed = |arg: &Arg| matches!(arg, Freed(kind) if *kind == self);
        let row = ROWS.iter().find(|row| row.args.iter().any(freed)).expect("each kind has a function that frees it");
        // SAFETY: a function that frees takes any word.
        unsafe { (row.call)(&[handle]) }
    }
}
