//! Scans from the host's memory: DICOM files and voxels.

use std::ffi::c_void;

use diffvp::{Scan, Volume};

use crate::boundary::call;
use crate::error::diffvp_error;
use crate::input;
use crate::options::{diffvp_options, snapshot};
use crate::output::Out;
use crate::scan::{ScanObject, diffvp_scan};
use crate::status::{DIFFVP_STATUS_INVALID_SIZE, DIFFVP_STATUS_NULL_ARGUMENT, Failure};
use crate::table;

/// Makes a scan from DICOM files in memory, in any order; the rules are those for a folder.
///
/// `buffers` are `count` addresses and `sizes` their lengths in bytes. They are read during the call only.
/// `options` (null for defaults) gives the limit of voxels and the series.
/// `*scan` belongs to the caller: diffvp_scan_free. Errors are 14 to 20 of the status table; they name files by their
/// position. No files, or none with an image, is DIFFVP_STATUS_NOT_A_VOLUME.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_from_dicom(
    buffers: *const *const c_void,
    sizes: *const usize,
    count: usize,
    options: *const diffvp_options,
    scan: *mut *mut diffvp_scan,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let (place, addresses, sizes) = unsafe {
            (
                Out::required(scan, "scan")?,
                input::slice(buffers, count, "buffers")?,
                input::slice(sizes, count, "sizes")?,
            )
        };
        let settings = snapshot(options)?;
        let mut files: Vec<&[u8]> = input::reserve(count, "buffers")?;
        for (index, (address, size)) in addresses.iter().zip(sizes).enumerate() {
            // SAFETY: the contract of the header.
            files.push(unsafe { input::slice(address.cast(), *size, &format!("buffer {index}")) }?);
        }
        place.write(table::insert(ScanObject::new(Scan::from_dicom_buffers(&files, &settings.scan)?))?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Makes a scan from 16-bit voxels in Hounsfield units (rescaled, not stored values), x fastest, then y, then z.
///
/// `count` is the number of voxels and must be the product of `dims`. `dims` and `spacing_mm` are three values,
/// x, y, z. `direction` is nine values, row by row, column a the unit vector of grid axis a in LPS coordinates;
/// null for axes to the left, the back and the head. `origin_mm` is the centre of voxel (0, 0, 0) in LPS
/// coordinates; null for zero. These are the conventions of ITK, and of DICOM.
///
/// Everything is copied: the arrays may be freed after the call. `options` (null for defaults) gives the limit of
/// voxels. `*scan` belongs to the caller: diffvp_scan_free.
///
/// Errors: DIFFVP_STATUS_INVALID_SIZE where `count` is 0 or not the product of `dims`; DIFFVP_STATUS_LIMIT_EXCEEDED above
/// the limit of voxels; DIFFVP_STATUS_GEOMETRY for a spacing that is not above 0, an origin that is not finite, or a
/// direction whose columns are not orthonormal within 1e-3; DIFFVP_STATUS_OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_from_hu_i16(
    voxels_hu: *const i16,
    count: usize,
    dims: *const usize,
    spacing_mm: *const f64,
    direction: *const f64,
    origin_mm: *const f64,
    options: *const diffvp_options,
    scan: *mut *mut diffvp_scan,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let grid = unsafe { Grid::read(dims, spacing_mm, direction, origin_mm) }?;
        // SAFETY: as above.
        unsafe { from_voxels(voxels_hu, count, grid, options, scan, f32::from) }
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// As diffvp_scan_from_hu_i16, from 32-bit floats, which must be finite: DIFFVP_STATUS_INVALID_VOXELS where they are not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_scan_from_hu_f32(
    voxels_hu: *const f32,
    count: usize,
    dims: *const usize,
    spacing_mm: *const f64,
    direction: *const f64,
    origin_mm: *const f64,
    options: *const diffvp_options,
    scan: *mut *mut diffvp_scan,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let grid = unsafe { Grid::read(dims, spacing_mm, direction, origin_mm) }?;
        // SAFETY: as above.
        unsafe { from_voxels(voxels_hu, count, grid, options, scan, |value| value) }
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// The caller's grid.
struct Grid {
    dims: [usize; 3],
    spacing_mm: [f64; 3],
    direction: [[f64; 3]; 3],
    origin_mm: [f64; 3],
}

impl Grid {
    unsafe fn read(
        dims: *const usize,
        spacing_mm: *const f64,
        direction: *const f64,
        origin_mm: *const f64,
    ) -> Result<Grid, Failure> {
        let null = || Failure::new(DIFFVP_STATUS_NULL_ARGUMENT, "spacing_mm is null");
        // SAFETY: the caller of this function promises the contract of the header.
        unsafe {
            let sizes = input::slice(dims, 3, "dims")?;
            let flat = input::array::<9>(direction, "direction")?.unwrap_or([1., 0., 0., 0., 1., 0., 0., 0., 1.]);
            Ok(Grid {
                dims: [sizes[0], sizes[1], sizes[2]],
                spacing_mm: input::array::<3>(spacing_mm, "spacing_mm")?.ok_or_else(null)?,
                direction: std::array::from_fn(|row| std::array::from_fn(|column| flat[3 * row + column])),
                origin_mm: input::array::<3>(origin_mm, "origin_mm")?.unwrap_or_default(),
            })
        }
    }
}

unsafe fn from_voxels<T: Copy>(
    voxels_hu: *const T,
    count: usize,
    grid: Grid,
    options: *const diffvp_options,
    scan: *mut *mut diffvp_scan,
    to_hu: impl Fn(T) -> f32,
) -> Result<(), Failure> {
    // SAFETY: the caller of this function promises the contract of the header.
    let place = unsafe { Out::required(scan, "scan") }?;
    let settings = snapshot(options)?;
    let [nx, ny, nz] = grid.dims;
    let product = nx.checked_mul(ny).and_then(|n| n.checked_mul(nz));
    if product != Some(count) || count == 0 {
        let detail = format!("{count} voxels do not fill {nx} × {ny} × {nz}");
        return Err(Failure::new(DIFFVP_STATUS_INVALID_SIZE, detail));
    }
    settings.scan.admit(count as u64)?;
    // SAFETY: as above.
    let voxels = unsafe { input::slice(voxels_hu, count, "voxels_hu") }?;
    let mut values: Vec<f32> = input::reserve(count, "voxels_hu")?;
    values.extend(voxels.iter().map(|value| to_hu(*value)));
    let volume = Volume::new(values, grid.dims, grid.spacing_mm, grid.origin_mm, grid.direction)?;
    place.write(table::insert(ScanObject::new(Scan::from_voxels(volume)))?);
    Ok(())
}
