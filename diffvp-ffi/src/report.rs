//! `diffvp_report`: what a report says.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use diffvp::Report;

use crate::boundary::call;
use crate::error::{diffvp_error, free};
use crate::output::{Out, Write as _};
use crate::scan::{WarningText, element, warning_texts};
use crate::status::Failure;
use crate::table::{self, Kind, Object};
use crate::text::{c_json, c_text};

/// A report, which never changes. May be used from any thread, by several at a time. Strings and arrays that its
/// functions hand out belong to it and live until diffvp_report_free.
pub struct diffvp_report {
    _opaque: (),
}

pub(crate) struct ReportObject {
    pub(crate) report: Report,
    text: CString,
    sections: Vec<[CString; 3]>,
    findings: Vec<CString>,
    warnings: Vec<WarningText>,
    statement: CString,
    printed: OnceLock<CString>,
    json: OnceLock<CString>,
    provenance: OnceLock<CString>,
}

impl Object for ReportObject {
    type Handle = diffvp_report;
    const KIND: Kind = Kind::Report;
}

impl ReportObject {
    pub(crate) fn new(report: Report) -> Self {
        let section = |s: &diffvp::report::Section| [c_text(&s.region), c_text(&s.heading), c_text(&s.text)];
        ReportObject {
            text: c_text(report.text()),
            sections: report.sections().iter().map(section).collect(),
            findings: report.findings().iter().map(|finding| c_text(&finding.name)).collect(),
            warnings: warning_texts(report.warnings()),
            statement: c_text(report.intended_use_statement()),
            printed: OnceLock::new(),
            json: OnceLock::new(),
            provenance: OnceLock::new(),
            report,
        }
    }
}

/// The text as the model wrote it, headings included, and its length in bytes (`length` may be null).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_text(
    report: *const diffvp_report,
    text: *mut *const c_char,
    length: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell(report, text, length, error, |report| &report.text) }
}

/// The report for people: sections, findings, warnings, what made it, intended use; and its length in bytes
/// (`length` may be null).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_printed(
    report: *const diffvp_report,
    text: *mut *const c_char,
    length: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let printed = |object: &ReportObject| c_text(&object.report.to_string());
    // SAFETY: the contract of the header.
    unsafe { tell(report, text, length, error, |object| object.printed.get_or_init(|| printed(object))) }
}

/// The whole report as JSON (docs/report-json.md), and its length in bytes (`length` may be null).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_json(
    report: *const diffvp_report,
    json: *mut *const c_char,
    length: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell(report, json, length, error, |object| object.json.get_or_init(|| c_text(&object.report.to_json()))) }
}

/// What made the report, as JSON: versions, device, model, package hash, reference, seed and more; and its length
/// in bytes (`length` may be null). Holds nothing about the patient.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_provenance_json(
    report: *const diffvp_report,
    json: *mut *const c_char,
    length: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let provenance = |object: &ReportObject| c_json(object.report.provenance());
    // SAFETY: the contract of the header.
    unsafe { tell(report, json, length, error, |object| object.provenance.get_or_init(|| provenance(object))) }
}

unsafe fn tell(
    report: *const diffvp_report,
    text: *mut *const c_char,
    length: *mut usize,
    error: *mut *mut diffvp_error,
    what: impl FnOnce(&ReportObject) -> &CString,
) -> i32 {
    let body = || {
        // SAFETY: the caller of this function promises the contract of the header.
        let (text, length) = unsafe { (Out::required(text, "the text")?, Out::optional(length)?) };
        let object = table::get::<ReportObject>(report)?;
        let found = what(&object);
        length.write(found.count_bytes());
        text.write(found.as_ptr());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { call(error, body) }
}

/// Number of sections; empty ones are left out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_section_count(
    report: *const diffvp_report,
    count: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell_count(report, count, error, |report| report.sections.len()) }
}

/// A section, in the order of the report: the region as the data spells it, the heading as printed, the text
/// without heading. Text under no heading has an empty region and heading. `region` and `heading` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_section(
    report: *const diffvp_report,
    index: usize,
    region: *mut *const c_char,
    heading: *mut *const c_char,
    text: *mut *const c_char,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (region, heading, text) =
            unsafe { (Out::optional(region)?, Out::optional(heading)?, Out::required(text, "text")?) };
        let object = table::get::<ReportObject>(report)?;
        let section = element(&object.sections, index, "section")?;
        region.write(section[0].as_ptr());
        heading.write(section[1].as_ptr());
        text.write(section[2].as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Number of findings that the classifier knows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_finding_count(
    report: *const diffvp_report,
    count: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell_count(report, count, error, |report| report.findings.len()) }
}

/// A finding, in the order of the manifest: its name, its probability and the threshold from which it is taken as
/// present (both 0 to 1), and whether it is (1 or 0). Each place but `name` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_finding(
    report: *const diffvp_report,
    index: usize,
    name: *mut *const c_char,
    probability: *mut f32,
    threshold: *mut f32,
    present: *mut i32,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let name = unsafe { Out::required(name, "name") }?;
        // SAFETY: as above.
        let (probability, threshold, present) =
            unsafe { (Out::optional(probability)?, Out::optional(threshold)?, Out::optional(present)?) };
        let object = table::get::<ReportObject>(report)?;
        let text = element(&object.findings, index, "finding")?;
        let finding = element(object.report.findings(), index, "finding")?;
        probability.write(finding.probability);
        threshold.write(finding.threshold);
        present.write(finding.present.into());
        name.write(text.as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Importance of each latent token, the squared distance from the token of the reference, and their number
/// (`count` may be null). `*values` belongs to the report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_importance(
    report: *const diffvp_report,
    values: *mut *const f32,
    count: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (values, count) = unsafe { (Out::required(values, "values")?, Out::optional(count)?) };
        let object = table::get::<ReportObject>(report)?;
        count.write(object.report.importance().len());
        values.write(object.report.importance().as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Number of warnings from scan, package and writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_warning_count(
    report: *const diffvp_report,
    count: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    // SAFETY: the contract of the header.
    unsafe { tell_count(report, count, error, |report| report.warnings.len()) }
}

/// A warning: a stable word such as "report_truncated", and a sentence without patient data. `code` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_warning(
    report: *const diffvp_report,
    index: usize,
    code: *mut *const c_char,
    message: *mut *const c_char,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (code, message) = unsafe { (Out::optional(code)?, Out::required(message, "message")?) };
        let object = table::get::<ReportObject>(report)?;
        let warning = element(&object.warnings, index, "warning")?;
        code.write(warning.code.as_ptr());
        message.write(warning.message.as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Whether the maker of the model allows clinical use (1 or 0), and what it may be used for, in the words of the
/// manifest. A host shows the statement with every report. Each place may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_intended_use(
    report: *const diffvp_report,
    clinical_use: *mut i32,
    statement: *mut *const c_char,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (clinical_use, statement) = unsafe { (Out::optional(clinical_use)?, Out::optional(statement)?) };
        let object = table::get::<ReportObject>(report)?;
        clinical_use.write(object.report.clinical_use().into());
        statement.write(object.statement.as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

unsafe fn tell_count(
    report: *const diffvp_report,
    count: *mut usize,
    error: *mut *mut diffvp_error,
    what: impl FnOnce(&ReportObject) -> usize,
) -> i32 {
    let body = || -> Result<(), Failure> {
        // SAFETY: the caller of this function promises the contract of the header.
        let count = unsafe { Out::required(count, "count") }?;
        count.write(what(&*table::get::<ReportObject>(report)?));
        Ok(())
    };
    // SAFETY: as above.
    unsafe { call(error, body) }
}

/// Frees a report with all that its functions handed out. Null is allowed and does nothing.
///
/// Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_free(report: *mut diffvp_report) -> i32 {
    free::<ReportObject>(report)
}
