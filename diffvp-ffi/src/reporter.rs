//! `diffvp_reporter`: a loaded model package that makes reports.

use std::ffi::{c_char, c_void};

use diffvp::{Event, Flow, Reporter, Stage};

use crate::boundary::call;
use crate::cancel::{CancelObject, diffvp_cancel};
use crate::error::{diffvp_error, free};
use crate::input;
use crate::inside::Inside;
use crate::log::not_in_callback;
use crate::options::{diffvp_options, snapshot};
use crate::output::Out;
use crate::report::{ReportObject, diffvp_report};
use crate::scan::{ScanObject, diffvp_scan};
use crate::status::Failure;
use crate::string::{self, diffvp_string};
use crate::table::{self, Kind, Object};
use crate::text::{c_json, c_text};

/// Volume to model input.
pub const DIFFVP_STAGE_PREPROCESS: i32 = 0;
/// Model input to tokens.
pub const DIFFVP_STAGE_ENCODE: i32 = 1;
/// Model input to findings.
pub const DIFFVP_STAGE_CLASSIFY: i32 = 2;
/// Tokens against the tokens of a normal reference.
pub const DIFFVP_STAGE_CONTRAST: i32 = 3;
/// The prompt into the language model.
pub const DIFFVP_STAGE_PREFILL: i32 = 4;
/// Token by token.
pub const DIFFVP_STAGE_DECODE: i32 = 5;

/// A loaded model package. May be used from any thread, and several may report with it at the same time. Freed
/// with diffvp_reporter_free, also while it reports: those reports go on.
pub struct diffvp_reporter {
    _opaque: (),
}

pub(crate) struct ReporterObject {
    reporter: Reporter,
    /// Reports at a time; 0 for no limit.
    limit: usize,
}

impl Object for ReporterObject {
    type Handle = diffvp_reporter;
    const KIND: Kind = Kind::Reporter;
}

/// Hears new text of a report. `text` is UTF-8 with a NUL at its end, `length` its bytes without it; it lives until
/// the callback returns. The pieces joined are the text of the report. Returns 0 to go on; anything else stops the
/// report, which ends with DIFFVP_STATUS_CANCELLED.
///
/// It is called on the thread that asked for the report, and may call any function of this library, with one
/// exception: where the reporter has a limit of concurrent reports (diffvp_options_set_concurrency), asking the same
/// reporter for another report would wait for this one, and is DIFFVP_STATUS_REENTRANT. Waiting here for another
/// thread that does so waits forever. It must not throw or jump out.
pub type diffvp_text_callback =
    Option<unsafe extern "C" fn(text: *const c_char, length: usize, user_data: *mut c_void) -> i32>;

/// Hears of each stage that begins: one of the DIFFVP_STAGE_ constants (there may be more of them in later versions),
/// and the share of stages that are over, from 0 to 1. Returns and rules as for diffvp_text_callback.
pub type diffvp_progress_callback = Option<unsafe extern "C" fn(stage: i32, done: f32, user_data: *mut c_void) -> i32>;

/// Opens a model package: verifies all of it and loads it, which takes seconds.
///
/// `package` is the path of its folder, in UTF-8. `options` (null for defaults) gives device, threads and
/// concurrency; more than 1024 threads are DIFFVP_STATUS_INVALID_OPTION. `*reporter` belongs to the caller:
/// diffvp_reporter_free. Errors are 10 to 16, 30 to 53 and 71 of the status table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_open(
    package: *const c_char,
    options: *const diffvp_options,
    reporter: *mut *mut diffvp_reporter,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        not_in_callback()?;
        // SAFETY: the contract of the header.
        let (package, place) = unsafe { (input::path(package, "package")?, Out::required(reporter, "reporter")?) };
        let settings = snapshot(options)?;
        let (builder, limit) = (Reporter::builder(package), settings.concurrency);
        let builder = builder.device(settings.device).gpu(settings.gpu).threads(settings.threads);
        let reporter = builder.concurrency(limit).build()?;
        place.write(table::insert(ReporterObject { reporter, limit })?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Loads another package, or another version, and uses it for every report that begins from now on. Reports that
/// are running finish on the one they began with, and go on meanwhile. Takes seconds, as diffvp_reporter_open, and has its
/// errors; on an error nothing changes. From any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_swap(
    reporter: *const diffvp_reporter,
    package: *const c_char,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        not_in_callback()?;
        // SAFETY: the contract of the header.
        let package = unsafe { input::path(package, "package") }?;
        Ok(table::get::<ReporterObject>(reporter)?.reporter.swap(package)?)
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Id of the model in use, from the manifest of the package.
///
/// `*id` belongs to the caller: diffvp_string_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_model_id(
    reporter: *const diffvp_reporter,
    id: *mut *mut diffvp_string,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell(reporter, id, "id", error, |reporter| reporter.manifest().model.id) }
}

/// Version of the model in use, from the manifest of the package.
///
/// `*version` belongs to the caller: diffvp_string_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_model_version(
    reporter: *const diffvp_reporter,
    version: *mut *mut diffvp_string,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell(reporter, version, "version", error, |reporter| reporter.manifest().model.version) }
}

/// The manifest of the package in use, as JSON: findings, sections, references, intended use and more.
///
/// `*json` belongs to the caller: diffvp_string_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_manifest_json(
    reporter: *const diffvp_reporter,
    json: *mut *mut diffvp_string,
    error: *mut *mut diffvp_error,
) -> i32 {
    let manifest = |reporter: &Reporter| c_json(&reporter.manifest()).to_string_lossy().into_owned();
    // SAFETY: the contract of the header.
    unsafe { tell(reporter, json, "json", error, manifest) }
}

/// The device in use: "cpu", "cuda:0", "tensorrt:0" and so on.
///
/// `*device` belongs to the caller: diffvp_string_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_device(
    reporter: *const diffvp_reporter,
    device: *mut *mut diffvp_string,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell(reporter, device, "device", error, |reporter| reporter.device().to_string()) }
}

unsafe fn tell(
    reporter: *const diffvp_reporter,
    place: *mut *mut diffvp_string,
    name: &str,
    error: *mut *mut diffvp_error,
    what: impl FnOnce(&Reporter) -> String,
) -> i32 {
    let body = || {
        // SAFETY: the caller of this function promises the contract of the header.
        let place = unsafe { Out::required(place, name) }?;
        string::give(place, &what(&table::get::<ReporterObject>(reporter)?.reporter))
    };
    // SAFETY: as above.
    unsafe { call(error, body) }
}

/// Reports a scan, and returns when the report is there.
///
/// `options` (null for defaults) gives seed, sampling, reference, the limit of tokens and whether any part of the body is
/// reported. `cancel` may be null. `*report` belongs to the caller: diffvp_report_free. Errors are 16 (no memory, or a
/// spacing that makes too many voxels), 21, 30 and 36 (a package that contradicts itself), 53, 70, 71 and 73 of the status
/// table, and DIFFVP_STATUS_REENTRANT (see diffvp_text_callback and diffvp_log_callback).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_report(
    reporter: *const diffvp_reporter,
    scan: *const diffvp_scan,
    options: *const diffvp_options,
    cancel: *const diffvp_cancel,
    report: *mut *mut diffvp_report,
    error: *mut *mut diffvp_error,
) -> i32 {
    let request = Request { reporter, scan, options, cancel, report };
    // SAFETY: the contract of the header.
    unsafe { call(error, || request.run(|_| Flow::Continue)) }
}

/// As diffvp_reporter_report, telling callbacks of text as it is written and of stages as they begin. Each
/// callback may be null. `user_data` is handed to both and is not looked at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_report_streaming(
    reporter: *const diffvp_reporter,
    scan: *const diffvp_scan,
    options: *const diffvp_options,
    cancel: *const diffvp_cancel,
    on_text: diffvp_text_callback,
    on_progress: diffvp_progress_callback,
    user_data: *mut c_void,
    report: *mut *mut diffvp_report,
    error: *mut *mut diffvp_error,
) -> i32 {
    let request = Request { reporter, scan, options, cancel, report };
    let listen = |event: Event<'_>| {
        let answer = match (event, on_text, on_progress) {
            (Event::Text(text), Some(on_text), _) => {
                let text = c_text(text);
                // SAFETY: the contract of the header: the function may be called with `user_data` until this
                // call returns.
                unsafe { on_text(text.as_ptr(), text.count_bytes(), user_data) }
            }
            (Event::Stage { stage, done }, _, Some(on_progress)) => {
                // SAFETY: as above.
                unsafe { on_progress(stage_number(stage), done, user_data) }
            }
            _ => 0,
        };
        if answer == 0 { Flow::Continue } else { Flow::Stop }
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, || request.run(listen)) }
}

struct Request {
    reporter: *const diffvp_reporter,
    scan: *const diffvp_scan,
    options: *const diffvp_options,
    cancel: *const diffvp_cancel,
    report: *mut *mut diffvp_report,
}

impl Request {
    /// # Safety
    /// The contract of the header for the pointers of the request.
    unsafe fn run(self, listen: impl FnMut(Event<'_>) -> Flow) -> Result<(), Failure> {
        // SAFETY: the caller's promise.
        let place = unsafe { Out::required(self.report, "report") }?;
        not_in_callback()?;
        let reporter = table::get::<ReporterObject>(self.reporter)?;
        let scan = table::get::<ScanObject>(self.scan)?;
        let settings = snapshot(self.options)?;
        let cancel = table::get_optional::<CancelObject>(self.cancel)?.map(|cancel| cancel.0.clone());
        let _inside = Inside::enter(&reporter, reporter.limit)?;
        let report = reporter.reporter.report_with(&scan.scan, &settings.report(cancel), listen)?;
        place.write(table::insert(ReportObject::new(report))?);
        Ok(())
    }
}

/// The number of a stage: its place in the order of stages.
fn stage_number(stage: Stage) -> i32 {
    Stage::ALL.iter().position(|other| *other == stage).map_or(-1, |position| position as i32)
}

/// Frees a reporter; the package is unloaded when the last report that runs on it has ended. Null is allowed and
/// does nothing.
///
/// Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_reporter_free(reporter: *mut diffvp_reporter) -> i32 {
    free::<ReporterObject>(reporter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_stages() {
        let constants = [
            (DIFFVP_STAGE_PREPROCESS, Stage::Preprocess),
            (DIFFVP_STAGE_ENCODE, Stage::Encode),
            (DIFFVP_STAGE_CLASSIFY, Stage::Classify),
            (DIFFVP_STAGE_CONTRAST, Stage::Contrast),
            (DIFFVP_STAGE_PREFILL, Stage::Prefill),
            (DIFFVP_STAGE_DECODE, Stage::Decode),
        ];
        assert_eq!(constants.len(), Stage::ALL.len(), "a stage has no constant");
        for (number, stage) in constants {
            assert_eq!(stage_number(stage), number);
        }
    }
}
