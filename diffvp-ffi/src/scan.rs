//! `diffvp_scan`: a CT volume, and where it came from.

use std::ffi::{CString, c_char};

use diffvp::{Scan, Warning};

use crate::boundary::call;
use crate::error::{diffvp_error, free};
use crate::input;
use crate::options::{diffvp_options, snapshot};
use crate::output::{Buffer, Out, Write as _};
use crate::status::{DIFFVP_STATUS_NO_SUCH_INDEX, Failure};
use crate::table::{self, Kind, Object};
use crate::text::{c_json, c_text, c_word};

/// A CT scan in memory, which never changes. May be used from any thread, by several at a time. Freed with
/// diffvp_scan_free, also while a report reads it: the report goes on.
pub struct diffvp_scan {
    _opaque: (),
}

pub(crate) struct ScanObject {
    pub(crate) scan: Scan,
    warnings: Vec<WarningText>,
    source: CString,
}

impl Object for ScanObject {
    type Handle = diffvp_scan;
    const KIND: Kind = Kind::Scan;
}

impl ScanObject {
    pub(crate) fn new(scan: Scan) -> Self {
        ScanObject { warnings: warning_texts(scan.warnings()), source: c_json(scan.source()), scan }
    }
}

/// A warning as C takes it.
pub(crate) struct WarningText {
    pub(crate) code: CString,
    pub(crate) message: CString,
}

pub(crate) fn warning_texts(warnings: &[Warning]) -> Vec<WarningText> {
    warnings.iter().map(|w| WarningText { code: c_word(&w.code), message: c_text(&w.message) }).collect()
}

/// The element of a list that a caller asks for.
pub(crate) fn element<'a, T>(list: &'a [T], index: usize, what: &str) -> Result<&'a T, Failure> {
    let none = || Failure::new(DIFFVP_STATUS_NO_SUCH_INDEX, format!("{what} {index} of {}", list.len()));
    list.get(index).ok_or_else(none)
}

/// Opens a NIfTI file, a DICOM file, or a folder with one or many DICOM series. Content decides what a file is.
///
/// `path` is UTF-8. `options` (null for defaults) gives the limit of voxels, the series and the spacing.
/// `*scan` belongs to the caller: diffvp_scan_free. Errors are 10 to 20 and 71 of the status table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_open(
    path: *const c_char,
    options: *const diffvp_options,
    scan: *mut *mut diffvp_scan,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (path, place) = unsafe { (input::path(path, "path")?, Out::required(scan, "scan")?) };
        let settings = snapshot(options)?;
        place.write(table::insert(ScanObject::new(Scan::open_with(path, &settings.scan)?))?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Number of voxels along x, y, z: `dims` has room for three values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_dims(
    scan: *const diffvp_scan,
    dims: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let dims = unsafe { Buffer::new(dims, 3, "dims") }?;
        dims.write(&table::get::<ScanObject>(scan)?.scan.volume().dims(), "dims")
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// The grid of a scan in the patient coordinates of DICOM and ITK (LPS, mm). Each place may be null.
///
/// `spacing_mm`: three values, x, y, z. `direction`: nine values, row by row; column a is the unit vector of grid
/// axis a. `origin_mm`: three values, the centre of voxel (0, 0, 0).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_grid(
    scan: *const diffvp_scan,
    spacing_mm: *mut f64,
    direction: *mut f64,
    origin_mm: *mut f64,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        let object = table::get::<ScanObject>(scan)?;
        let volume = object.scan.volume();
        // SAFETY: the contract of the header.
        unsafe {
            write_grid([spacing_mm, direction, origin_mm], volume.spacing_mm(), volume.direction(), volume.origin_mm())
        }
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Writes spacing, direction and origin to the places that are not null: all of them or none.
pub(crate) unsafe fn write_grid(
    places: [*mut f64; 3],
    spacing_mm: [f64; 3],
    direction: [[f64; 3]; 3],
    origin_mm: [f64; 3],
) -> Result<(), Failure> {
    let values: [&[f64]; 3] = [&spacing_mm, direction.as_flattened(), &origin_mm];
    let names = ["spacing_mm", "direction", "origin_mm"];
    let mut checked = Vec::with_capacity(3);
    for ((place, values), name) in places.into_iter().zip(values).zip(names) {
        let capacity = if place.is_null() { 0 } else { values.len() };
        // SAFETY: the caller of this function promises the contract of the header.
        checked.push((unsafe { Buffer::new(place, capacity, name) }?, &values[..capacity], name));
    }
    checked.into_iter().try_for_each(|(place, values, name)| place.write(values, name))
}

/// The voxels in Hounsfield units, x fastest, then y, then z, and their number (`count` may be null).
///
/// `*voxels_hu` belongs to the scan and lives until diffvp_scan_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_voxels(
    scan: *const diffvp_scan,
    voxels_hu: *mut *const f32,
    count: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (place, count) = unsafe { (Out::required(voxels_hu, "voxels_hu")?, Out::optional(count)?) };
        let object = table::get::<ScanObject>(scan)?;
        let voxels = object.scan.volume().voxels_hu();
        count.write(voxels.len());
        place.write(voxels.as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Number of warnings: what was decided or noticed while loading.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_warning_count(
    scan: *const diffvp_scan,
    count: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let count = unsafe { Out::required(count, "count") }?;
        count.write(table::get::<ScanObject>(scan)?.warnings.len());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// A warning: a stable word such as "series_chosen", and a sentence without patient data. `code` may be null.
///
/// The strings belong to the scan and live until diffvp_scan_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_warning(
    scan: *const diffvp_scan,
    index: usize,
    code: *mut *const c_char,
    message: *mut *const c_char,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (code, message) = unsafe { (Out::optional(code)?, Out::required(message, "message")?) };
        let object = table::get::<ScanObject>(scan)?;
        let warning = element(&object.warnings, index, "warning")?;
        code.write(warning.code.as_ptr());
        message.write(warning.message.as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Where the scan comes from, as JSON: format, number of files, and the series that were seen with the reason
/// why each was refused. Holds series UIDs and no other identifier.
///
/// `*json` belongs to the scan and lives until diffvp_scan_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_source_json(
    scan: *const diffvp_scan,
    json: *mut *const c_char,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let json = unsafe { Out::required(json, "json") }?;
        json.write(table::get::<ScanObject>(scan)?.source.as_ptr());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Frees a scan. Null is allowed and does nothing.
///
/// Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_free(scan: *mut diffvp_scan) -> i32 {
    free::<ScanObject>(scan)
}
