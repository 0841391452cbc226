//! The difference map of a report: where the scan differs from the normal reference.

use crate::boundary::call;
use crate::error::diffvp_error;
use crate::output::{Buffer, Out, Write as _};
use crate::report::{ReportObject, diffvp_report};
use crate::scan::write_grid;
use crate::table;

/// Number of values of the difference map along x, y, z, which is the scan's own grid: `dims` has room for three.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_map_dims(
    report: *const diffvp_report,
    dims: *mut usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let dims = unsafe { Buffer::new(dims, 3, "dims") }?;
        dims.write(&table::get::<ReportObject>(report)?.report.difference_map().dims(), "dims")
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// The grid of the difference map, which is the scan's, with the conventions of diffvp_scan_grid. Each place may be
/// null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_map_grid(
    report: *const diffvp_report,
    spacing_mm: *mut f64,
    direction: *mut f64,
    origin_mm: *mut f64,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        let object = table::get::<ReportObject>(report)?;
        let map = object.report.difference_map();
        // SAFETY: the contract of the header.
        unsafe { write_grid([spacing_mm, direction, origin_mm], map.spacing_mm(), map.direction(), map.origin_mm()) }
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Computes the difference map on the scan's grid into `values`, x fastest, then y, then z: 0 or more, 0 outside the
/// model's field of view. `capacity` is the number of values that fit; the product of diffvp_report_map_dims is
/// needed, and less is DIFFVP_STATUS_BUFFER_TOO_SMALL. Where there is no memory for a copy of the map:
/// DIFFVP_STATUS_LIMIT_EXCEEDED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_map(
    report: *const diffvp_report,
    values: *mut f32,
    capacity: usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let values = unsafe { Buffer::new(values, capacity, "values") }?;
        let object = table::get::<ReportObject>(report)?;
        let map = object.report.difference_map();
        values.check(map.dims().iter().product(), "values")?;
        values.write(&map.on_scan_grid()?, "values")
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// The highest value among the model's features, which are coarser than the scan's grid, and the centre of that feature
/// in LPS patient coordinates in mm (three values), moved into the scan where it lies outside. Values of
/// diffvp_report_map are interpolated between features, so none of them is higher. Each place may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_report_map_peak(
    report: *const diffvp_report,
    value: *mut f32,
    position_mm: *mut f64,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        let room = if position_mm.is_null() { 0 } else { 3 };
        // SAFETY: the contract of the header.
        let (value, position) = unsafe { (Out::optional(value)?, Buffer::new(position_mm, room, "position_mm")?) };
        let (peak, at_mm) = table::get::<ReportObject>(report)?.report.difference_map().peak();
        position.write(&at_mm[..room], "position_mm")?;
        value.write(peak);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}
