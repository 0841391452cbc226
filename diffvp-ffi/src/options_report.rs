//! Settings of `diffvp_options` that the report functions read.

use std::ffi::c_char;

use diffvp::{ReferencePolicy, Sampling, SectionOrder};

use crate::error::diffvp_error;
use crate::input;
use crate::options::{Settings, diffvp_options, set};
use crate::status::{DIFFVP_STATUS_INVALID_ARGUMENT, Failure};

/// For diffvp_options_set_sections: what the package offers first.
pub const DIFFVP_SECTIONS_DEFAULT: i32 = 0;
/// For diffvp_options_set_sections: one after the other, each after all before it.
pub const DIFFVP_SECTIONS_SEQUENTIAL: i32 = 1;
/// For diffvp_options_set_sections: all at once, each after the prompt alone.
pub const DIFFVP_SECTIONS_PARALLEL: i32 = 2;

/// Seed of everything that is drawn at random: the normal reference, and tokens where sampling is random.
/// Default 0. The same scan, package, options and device give the same report. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_seed(
    options: *mut diffvp_options,
    seed: u64,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.report.seed = seed;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Always takes the most probable token; the default. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_sampling_greedy(
    options: *mut diffvp_options,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.report.sampling = Sampling::Greedy;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Draws tokens at random. `temperature` is above 0. `top_k` keeps that many most probable tokens, 0 for all.
/// `top_p`, above 0 and at most 1, keeps the smallest set of tokens whose probability reaches it. Other numbers are
/// DIFFVP_STATUS_INVALID_OPTION. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_sampling_random(
    options: *mut diffvp_options,
    temperature: f32,
    top_k: usize,
    top_p: f32,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        let sampling = Sampling::Random { temperature, top_k, top_p };
        sampling.validate()?;
        settings.report.sampling = sampling;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Compares with a normal reference that the seed draws; the default. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_reference_seeded(
    options: *mut diffvp_options,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.report.reference = ReferencePolicy::Seeded;
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Compares with the normal reference at this position of the package's bank. A position that the bank does not
/// have is DIFFVP_STATUS_INVALID_OPTION when the report is made. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_reference_index(
    options: *mut diffvp_options,
    index: usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.report.reference = ReferencePolicy::Index(index);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Compares with the normal reference of this name in the package's bank. A name that the bank does not have is
/// DIFFVP_STATUS_INVALID_OPTION when the report is made. The name is copied. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_reference_id(
    options: *mut diffvp_options,
    id: *const c_char,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        // SAFETY: the contract of the header.
        settings.report.reference = ReferencePolicy::Id(unsafe { input::text(id, "id") }?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Most tokens that the model writes. It can only lower the number of the package's manifest, which is the
/// default. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_max_new_tokens(
    options: *mut diffvp_options,
    tokens: usize,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.report.max_new_tokens = Some(tokens);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// In which order the sections are written: one of the DIFFVP_SECTIONS_ constants. DIFFVP_SECTIONS_DEFAULT, the default, is the
/// package's first. An order that the package does not offer is DIFFVP_STATUS_INVALID_OPTION when the report is made; another number
/// is DIFFVP_STATUS_INVALID_ARGUMENT. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_sections(
    options: *mut diffvp_options,
    order: i32,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.report.sections = match order {
            DIFFVP_SECTIONS_DEFAULT => None,
            DIFFVP_SECTIONS_SEQUENTIAL => Some(SectionOrder::Sequential),
            DIFFVP_SECTIONS_PARALLEL => Some(SectionOrder::Parallel),
            _ => {
                let detail = format!("order {order} is none of the DIFFVP_SECTIONS_ constants");
                return Err(Failure::new(DIFFVP_STATUS_INVALID_ARGUMENT, detail));
            }
        };
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}

/// Whether a scan that shows another part of the body than the model is for is reported all the same: 1, or 0, the
/// default, for DIFFVP_STATUS_OUT_OF_SCOPE. Another number is DIFFVP_STATUS_INVALID_ARGUMENT. Values that are not
/// Hounsfield units stay out of scope where the package says so. Read by the report functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_options_set_any_body_part(
    options: *mut diffvp_options,
    any: i32,
    error: *mut *mut diffvp_error,
) -> i32 {
    let change = |settings: &mut Settings| {
        settings.report.any_body_part = match any {
            0 => false,
            1 => true,
            _ => return Err(Failure::new(DIFFVP_STATUS_INVALID_ARGUMENT, format!("any is {any}, neither 0 nor 1"))),
        };
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { set(options, error, change) }
}
