//! The log callback: events of this library and of ONNX Runtime go to the host.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Level, Metadata};

use crate::boundary::call;
use crate::error::diffvp_error;
use crate::status::{DIFFVP_STATUS_INVALID_ARGUMENT, DIFFVP_STATUS_LOG_TAKEN, DIFFVP_STATUS_REENTRANT, Failure};
use crate::text::c_text;

/// Something failed.
pub const DIFFVP_LOG_ERROR: i32 = 1;
/// Something a reader should know.
pub const DIFFVP_LOG_WARN: i32 = 2;
/// What happens, in few lines.
pub const DIFFVP_LOG_INFO: i32 = 3;
/// What happens, in detail.
pub const DIFFVP_LOG_DEBUG: i32 = 4;

/// Hears a message. `level` is one of the DIFFVP_LOG_ constants; `target` says which part of the library speaks,
/// `message` what. Both are UTF-8 with a NUL at their end and live until the callback returns. No message holds
/// patient data.
///
/// It is called on any thread, by several at a time, also on threads of ONNX Runtime, and in the middle of loading and
/// reporting. So it cannot do these itself: the diffvp_runtime_ functions, diffvp_reporter_open, diffvp_reporter_swap and
/// the report functions are DIFFVP_STATUS_REENTRANT inside it. Messages that its other calls of this library cause are
/// dropped. It must not throw or jump out.
pub type diffvp_log_callback =
    Option<unsafe extern "C" fn(level: i32, target: *const c_char, message: *const c_char, user_data: *mut c_void)>;

/// Refuses what waits for loading or reporting to end: the log callback is called in the middle of both.
pub(crate) fn not_in_callback() -> Result<(), Failure> {
    if IN_CALLBACK.get() {
        let why = "loading and reporting are not possible inside the log callback";
        return Err(Failure::new(DIFFVP_STATUS_REENTRANT, why));
    }
    Ok(())
}

struct Sink {
    callback: unsafe extern "C" fn(i32, *const c_char, *const c_char, *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the header asks for a callback, and for user data, that may be used from any thread.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
static MAX_LEVEL: AtomicI32 = AtomicI32::new(0);

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Sends messages up to `max_level` (one of the DIFFVP_LOG_ constants) to `callback`, in place of the callback that was
/// set before; null ends logging. By default nothing is logged anywhere.
///
/// When the call returns, the earlier callback is not running any more and will not be called again: its user data
/// may be freed. It waits for callbacks that are running: do not hold a lock that the callback takes. Not from inside a log callback: DIFFVP_STATUS_REENTRANT. In a program that links the library
/// statically and has its own listener of Rust's `tracing`: DIFFVP_STATUS_LOG_TAKEN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn diffvp_log_set(
    callback: diffvp_log_callback,
    max_level: i32,
    user_data: *mut c_void,
    error: *mut *mut diffvp_error,
) -> i32 {
    let body = || {
        if IN_CALLBACK.get() {
            return Err(Failure::new(DIFFVP_STATUS_REENTRANT, "the log cannot be set from inside its callback"));
        }
        let Some(callback) = callback else {
            MAX_LEVEL.store(0, Ordering::Relaxed);
            *SINK.write().unwrap_or_else(PoisonError::into_inner) = None;
            return Ok(());
        };
        if !(DIFFVP_LOG_ERROR..=DIFFVP_LOG_DEBUG).contains(&max_level) {
            let detail = format!("max_level {max_level} is none of the DIFFVP_LOG_ constants");
            return Err(Failure::new(DIFFVP_STATUS_INVALID_ARGUMENT, detail));
        }
        listen()?;
        *SINK.write().unwrap_or_else(PoisonError::into_inner) = Some(Sink { callback, user_data });
        MAX_LEVEL.store(max_level, Ordering::Relaxed);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { call(error, body) }
}

/// Makes the bridge the listener of this library's events, once.
fn listen() -> Result<(), Failure> {
    static LISTENING: AtomicBool = AtomicBool::new(false);
    static STARTING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if LISTENING.load(Ordering::Acquire) {
        return Ok(());
    }
    tracing::subscriber::set_global_default(Bridge)
        .map_err(|_| Failure::new(DIFFVP_STATUS_LOG_TAKEN, "another listener of tracing is set in this process"))?;
    LISTENING.store(true, Ordering::Release);
    Ok(())
}

/// Listens to events and hands them to the callback.
struct Bridge;

fn number(level: &Level) -> i32 {
    match *level {
        Level::ERROR => DIFFVP_LOG_ERROR,
        Level::WARN => DIFFVP_LOG_WARN,
        Level::INFO => DIFFVP_LOG_INFO,
        _ => DIFFVP_LOG_DEBUG,
    }
}

impl Subscriber for Bridge {
    /// Asked again for every event, because the level can change.
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    /// Other crates' messages are left out: what they may hold of a file is not known.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("diffvp") && metadata.is_event();
        ours && number(metadata.level()) <= MAX_LEVEL.load(Ordering::Relaxed)
    }

    fn event(&self, event: &Event<'_>) {
        if IN_CALLBACK.get() {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let (target, message) = (c_text(metadata.target()), c_text(&(line.message + &line.fields)));
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = &*sink {
            IN_CALLBACK.set(true);
            // SAFETY: the contract of the header: the function may be called with its user data until it is
            // replaced, which waits for the lock that is held here.
            unsafe { (sink.callback)(number(metadata.level()), target.as_ptr(), message.as_ptr(), sink.user_data) };
            IN_CALLBACK.set(false);
        }
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

/// An event as one line: the message, then the other fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
