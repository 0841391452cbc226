//! Where a call enters and leaves: nothing that goes wrong inside gets out other than as a status.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use ffi_support::{ErrorCode, ExternError, call_with_result};

use crate::error::{self, diffvp_error};
use crate::status::{DIFFVP_STATUS_OK, DIFFVP_STATUS_PANIC, Failure};

thread_local! {
    /// How many calls of this library the thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic of this thread happened.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// How many calls of this library are running, in all threads.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// Where the last panic of a thread that works for a call happened.
static PLACE_ELSEWHERE: Mutex<String> = Mutex::new(String::new());
/// How the library's own threads are called.
const OWN_THREADS: &str = "diffvp-";

impl From<Failure> for ExternError {
    fn from(failure: Failure) -> Self {
        // C would read a message only up to a NUL in it.
        ExternError::new_error(ErrorCode::new(failure.status()), failure.message().replace('\0', "\u{fffd}"))
    }
}

/// Runs the body of an exported function. Returns its status and, where it failed and `error` is not null,
/// writes an error object there. A panic becomes `DIFFVP_STATUS_PANIC` with the panic's text.
///
/// # Safety
/// `error` is null or points to memory for one pointer that this call may write.
pub(crate) unsafe fn call(error: *mut *mut diffvp_error, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    quiet_panics();
    let mut outcome = ExternError::success();
    // `call_with_result` catches panics too, but panics again, and then outside, over a text with a NUL in it.
    call_with_result(
        &mut outcome,
        AssertUnwindSafe(|| catch_unwind(AssertUnwindSafe(|| enter(body))).unwrap_or_else(told)),
    );
    let status = outcome.get_code().code();
    if status == DIFFVP_STATUS_OK {
        return DIFFVP_STATUS_OK;
    }
    // SAFETY: nobody else has seen the message of this local value.
    let message = unsafe { outcome.get_and_consume_message() }.unwrap_or_default();
    // SAFETY: the caller's promise about `error`.
    unsafe { error::give(error, status, &message) };
    status
}

fn enter(body: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let _inside = Inside::enter();
    #[cfg(test)]
    fault::strike();
    body()
}

/// A panic as a failure.
fn told(payload: Box<dyn Any + Send>) -> Result<(), Failure> {
    let text = payload.downcast::<&'static str>().map(|text| (*text).to_owned());
    let text = text.or_else(|payload| payload.downcast::<String>().map(|text| *text)).unwrap_or_else(|payload| {
        // A payload of any other type can panic when it is dropped.
        std::mem::forget(payload);
        "no text".to_owned()
    });
    let mut place = PLACE.with(|place| std::mem::take(&mut *place.borrow_mut()));
    if place.is_empty() {
        place = std::mem::take(&mut *PLACE_ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner));
    }
    Err(Failure::new(DIFFVP_STATUS_PANIC, format!("caught a panic, please report it: {text}{place}")))
}

/// Counts a thread in, and out again however the call ends.
struct Inside;

impl Inside {
    fn enter() -> Inside {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        CALLS.fetch_add(1, Ordering::Relaxed);
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
        CALLS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether this thread works for a call: a thread that this library started, or while there are calls one without a name,
/// as those of rayon, which decode slices.
fn works_for_a_call() -> bool {
    let thread = std::thread::current();
    thread.name().map_or_else(|| CALLS.load(Ordering::Relaxed) > 0, |name| name.starts_with(OWN_THREADS))
}

/// A panic inside a call is told by its error and not on the host's standard error; others are left to the
/// hook that was there before.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let inside = DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false);
            if !inside && !works_for_a_call() {
                return before(info);
            }
            let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
            if inside {
                let _ = PLACE.try_with(|last| last.replace(place));
            } else {
                *PLACE_ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner) = place;
            }
        }));
    });
}

/// Panics on demand, so that tests can see each function catch one.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;

    thread_local! {
        static ARMED: Cell<bool> = const { Cell::new(false) };
    }

    /// The next call of this thread panics.
    pub(crate) fn arm() {
        ARMED.with(|armed| armed.set(true));
    }

    /// Whether a call has taken the panic.
    pub(crate) fn is_armed() -> bool {
        ARMED.with(Cell::get)
    }

    pub(super) fn strike() {
        if ARMED.with(Cell::take) {
            panic!("injected fault");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::DIFFVP_STATUS_NULL_ARGUMENT;

    fn message_of(body: impl FnOnce() -> Result<(), Failure>) -> (i32, String) {
        let mut error = std::ptr::null_mut();
        // SAFETY: `error` is a local.
        let status = unsafe { call(&mut error, body) };
        (status, error::take_message(error))
    }

    #[test]
    fn panics_of_every_kind_become_a_status_with_their_text() {
        let (status, text) = message_of(|| panic!("number {}", 7));
        assert_eq!(status, DIFFVP_STATUS_PANIC);
        assert!(text.contains("number 7") && text.contains("boundary.rs:"), "{text}");
        let (status, text) = message_of(|| std::panic::panic_any(()));
        assert_eq!(status, DIFFVP_STATUS_PANIC);
        assert!(text.contains("panic"), "{text}");
        let (status, text) = message_of(|| panic!("a\0b"));
        assert_eq!(status, DIFFVP_STATUS_PANIC);
        assert!(text.contains("a\u{fffd}b"), "{text}");
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("while the payload is dropped");
            }
        }
        let (status, _) = message_of(|| std::panic::panic_any(Bomb));
        assert_eq!(status, DIFFVP_STATUS_PANIC);
    }

    #[test]
    fn a_panic_of_a_thread_that_works_for_a_call_is_told_too() {
        let named = || std::thread::Builder::new().name(format!("{OWN_THREADS}test"));
        for builder in [named(), std::thread::Builder::new()] {
            let (status, text) = message_of(|| {
                let joined = builder.spawn(|| panic!("elsewhere")).unwrap().join();
                std::panic::resume_unwind(joined.unwrap_err())
            });
            assert_eq!(status, DIFFVP_STATUS_PANIC);
            assert!(text.contains("elsewhere") && text.contains("boundary.rs:"), "{text}");
        }
    }

    #[test]
    fn a_message_with_a_nul_stays_whole() {
        let (status, text) = message_of(|| Err(Failure::new(DIFFVP_STATUS_NULL_ARGUMENT, "left\0right")));
        assert_eq!(status, DIFFVP_STATUS_NULL_ARGUMENT);
        assert_eq!(text, "left\u{fffd}right");
    }

    #[test]
    fn success_writes_no_error_and_null_takes_none() {
        let marker = std::ptr::without_provenance_mut(77);
        let mut error: *mut diffvp_error = marker;
        // SAFETY: `error` is a local, and null is allowed.
        unsafe {
            assert_eq!(call(&mut error, || Ok(())), DIFFVP_STATUS_OK);
            assert_eq!(error, marker);
            assert_eq!(call(std::ptr::null_mut(), || panic!("unheard")), DIFFVP_STATUS_PANIC);
        }
    }
}
