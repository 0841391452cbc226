//! `diffvp_cancel`: stopping a report from another thread.

use diffvp::CancelToken;

use crate::boundary::call;
use crate::error::{diffvp_error, free};
use crate::output::Out;
use crate::table::{self, Kind, Object};

/// Stops reports from any thread. One may be given to several reports, which it then stops together; once
/// triggered it stays so. Freed with diffvp_cancel_free, also while a report uses it: the report goes on.
pub struct diffvp_cancel {
    _opaque: (),
}

pub(crate) struct CancelObject(pub(crate) CancelToken);

impl Object for CancelObject {
    type Handle = diffvp_cancel;
    const KIND: Kind = Kind::Cancel;
}

/// Makes a cancel handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_cancel_new(cancel: *mut *mut diffvp_cancel, error: *mut *mut diffvp_error) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let cancel = unsafe { Out::required(cancel, "cancel") }?;
        cancel.write(table::insert(CancelObject(CancelToken::default()))?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Stops the reports that were given this handle, and those that will be. Returns at once; a report that is
/// waiting or running, also inside a graph, ends soon after with DIFFVP_STATUS_CANCELLED. From any thread, and
/// from callbacks; not from signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_cancel_trigger(cancel: *const diffvp_cancel, error: *mut *mut diffvp_error) -> i32 {
    let body = || {
        table::get::<CancelObject>(cancel)?.0.cancel();
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Writes 1 to `*triggered` after diffvp_cancel_trigger, 0 before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_cancel_is_triggered(
    cancel: *const diffvp_cancel,
    triggered: *mut i32,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        // SAFETY: the contract of the header.
        let triggered = unsafe { Out::required(triggered, "triggered") }?;
        triggered.write(table::get::<CancelObject>(cancel)?.0.is_cancelled().into());
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Frees a cancel handle. Null is allowed and does nothing.
///
/// Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_cancel_free(cancel: *mut diffvp_cancel) -> i32 {
    free::<CancelObject>(cancel)
}
