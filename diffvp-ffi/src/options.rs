//! `diffvp_options`: one bag of settings for scans, reporters and reports.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use diffvp::runtime::GpuOptions;
use diffvp::{CancelToken, Device, ReportOptions, ScanOptions};

use crate::boundary::call;
use crate::error::{diffvp_error, free};
use crate::input;
use crate::output::Out;
use crate::status::{DIFFVP_STATUS_INVALID_ARGUMENT, Failure};
use crate::table::{self, Kind, Object};

/// The processor.
pub const DIFFVP_DEVICE_CPU: i32 = 0;
/// An NVIDIA GPU through CUDA.
pub const DIFFVP_DEVICE_CUDA: i32 = 1;
/// An NVIDIA GPU through TensorRT.
pub const DIFFVP_DEVICE_TENSORRT: i32 = 2;

/// For diffvp_options_set_gpu: float32 products may round their inputs to TensorFloat-32 (10 bits of mantissa).
pub const DIFFVP_GPU_TF32: u32 = 1;
/// For diffvp_options_set_gpu: algorithms are picked by timing them, at load and at first runs. Two processes may
/// then differ in the last digits of a result.
pub const DIFFVP_GPU_TUNE: u32 = 2;
/// For diffvp_options_set_gpu: operators that the GPU has no kernel for run on the processor. Without this the package
/// that holds them is refused.
pub const DIFFVP_GPU_CPU_OPERATORS: u32 = 4;

/// Settings, all with a default. Functions that take options read them during the call and keep nothing of
/// them; null stands for the defaults. May be used and changed from any thread; a call sees the settings as they
/// were when it began. Freed with diffvp_options_free.
pub struct diffvp_options {
    _opaque: (),
}

#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) device: Device,
    pub(crate) gpu: GpuOptions,
    pub(crate) threads: usize,
    pub(crate) concurrency: usize,
    pub(crate) scan: ScanOptions,
    pub(crate) report: ReportOptions,
}

impl Settings {
    /// How one report is made, with its own cancel token.
    pub(crate) fn report(&self, cancel: Option<CancelToken>) -> ReportOptions {
        // Settings hold a token too, which nobody can reach; reports must not share it.
        self.report.clone().cancel(cancel.unwrap_or_default())
    }
}

#[derive(Default)]
pub(crate) struct OptionsObject(Mutex<Settings>);

impl Object for OptionsObject {
    type Handle = diffvp_options;
    const KIND: Kind = Kind::Options;
}

/// The settings as they are now; the defaults for null.
pub(crate) fn snapshot(options: *const diffvp_options) -> Result<Settings, Failure> {
    let object = table::get_optional::<OptionsObject>(options)?;
    Ok(object.map_or_else(Settings::default, |object| object.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
}

/// Changes settings; where `change` fails they stay as they were.
pub(crate) unsafe fn set(
    options: *mut diffvp_options,
    error: *mut *mut diffvp_error,
    change: impl FnOnce(&mut Settings) -> Result<(), Failure>,
) -> i32 {
    let body = || {
        let object = table::get::<OptionsObject>(options)?;
        let mut settings = object.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = settings.clone();
        change(&mut changed)?;
        *settings = changed;
        Ok(())
    };
    // SAFETY: the caller of this function promises the contract of the header.
    unsafe { call(error, body) }
}

/// Makes options with the default of every setting.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_new(options: *mut *mut diffvp_options, error: *mut *mut diffvp_error) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let options = unsafe { Out::required(options, "options") }?;
        options.write(table::insert(OptionsObject::default())?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Where the graphs run: one of DIFFVP_DEVICE_CPU (the default), DIFFVP_DEVICE_CUDA, DIFFVP_DEVICE_TENSORRT,
/// and the number of the GPU (0 for the processor); anything else is DIFFVP_STATUS_INVALID_ARGUMENT. A device that cannot be used is an error when the reporter
/// is opened; nothing falls back. Read by diffvp_reporter_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_device(
    options: *mut diffvp_options,
    device: i32,
    index: u32,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.device = match (device, index) {
            (DIFFVP_DEVICE_CPU, 0) => Device::Cpu,
            (DIFFVP_DEVICE_CUDA, index) => Device::Cuda(index),
            (DIFFVP_DEVICE_TENSORRT, index) => Device::TensorRt(index),
            _ => {
                let detail = format!("device {device} with index {index} is none of the DIFFVP_DEVICE_ constants");
                return Err(Failure::new(DIFFVP_STATUS_INVALID_ARGUMENT, detail));
            }
        };
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// How a GPU is used: any of the DIFFVP_GPU_ constants, added; 0, the default, for full precision, reproducible, and
/// nothing on the processor. Other bits are DIFFVP_STATUS_INVALID_ARGUMENT. Without effect on the processor. Read by
/// diffvp_reporter_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_gpu(
    options: *mut diffvp_options,
    flags: u32,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        let unknown = flags & !(DIFFVP_GPU_TF32 | DIFFVP_GPU_TUNE | DIFFVP_GPU_CPU_OPERATORS);
        if unknown != 0 {
            let detail = format!("flags {flags:#x} hold {unknown:#x}, which is none of the DIFFVP_GPU_ constants");
            return Err(Failure::new(DIFFVP_STATUS_INVALID_ARGUMENT, detail));
        }
        settings.gpu = GpuOptions {
            tf32: flags & DIFFVP_GPU_TF32 != 0,
            tune: flags & DIFFVP_GPU_TUNE != 0,
            cpu_operators: flags & DIFFVP_GPU_CPU_OPERATORS != 0,
        };
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Threads inside an operator; 0, the default, for all cores; at most 1024, which diffvp_reporter_open checks. Read by
/// diffvp_reporter_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_threads(
    options: *mut diffvp_options,
    threads: usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.threads = threads;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Reports that one reporter makes at a time; further calls wait, and can be cancelled while they do. 0, the
/// default, for no limit. Each running report holds its own working memory. Read by diffvp_reporter_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_concurrency(
    options: *mut diffvp_options,
    reports: usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.concurrency = reports;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Most voxels that a scan may have, 2^30 by default; more is DIFFVP_STATUS_LIMIT_EXCEEDED before memory is
/// taken. Read by the functions that make scans.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_max_voxels(
    options: *mut diffvp_options,
    voxels: u64,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.scan.max_voxels = voxels;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Loads the DICOM series with this SeriesInstanceUID instead of the best one; null for the best one, the
/// default. The text is copied. Read by diffvp_scan_open and diffvp_scan_from_dicom.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_series_instance_uid(
    options: *mut diffvp_options,
    uid: *const c_char,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        // SAFETY: the contract of the header.
        settings.scan.series_instance_uid = unsafe { input::text_optional(uid, "uid") }?;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Spacing for NIfTI files whose header has none: three numbers above 0, x, y, z in mm; null for none, the
/// default. Other numbers are DIFFVP_STATUS_INVALID_OPTION. The numbers are copied. Read by diffvp_scan_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_spacing_mm(
    options: *mut diffvp_options,
    spacing_mm: *const f64,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        // SAFETY: the contract of the header.
        settings.scan.spacing_mm = unsafe { input::array::<3>(spacing_mm, "spacing_mm") }?;
        settings.scan.validate()?;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Frees options. Null is allowed and does nothing.
///
/// Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_free(options: *mut diffvp_options) -> i32 {
    free::<OptionsObject>(options)
}
