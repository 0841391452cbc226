//! Work that the end of the process waits for, and that can be left behind when it is cancelled.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

use super::CancelToken;
use crate::{Error, Result};

/// How often a waiting thread looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(10);

/// How long the end of the process waits for work that was left behind.
const EXIT_PATIENCE: Duration = Duration::from_secs(10);

/// Runs work on a thread of its own and waits for it, or for `cancel`: then the work goes on alone, to an end that
/// it should find soon.
///
/// # Errors
/// [`Error::Cancelled`]; what the work returns; [`Error::Inference`] where no thread can be started.
pub(super) fn run<T: Send + 'static>(
    name: &str,
    cancel: &CancelToken,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    cancel.check()?;
    let (sender, receiver) = channel();
    let running = Running::begin(cancel)?;
    let body = move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        // Counted out first: whoever has the result may end the process.
        drop(running);
        let _ = sender.send(result);
    };
    std::thread::Builder::new()
        .name("diffvp-graph".into())
        .spawn(body)
        .map_err(|error| Error::Inference { graph: name.to_owned(), detail: format!("no thread: {error}") })?;
    loop {
        match receiver.recv_timeout(CANCEL_POLL) {
            Ok(Ok(result)) => return result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout) => cancel.check()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Internal { detail: format!("{name}: its thread ended without a result") });
            }
        }
    }
}

/// What stops each piece of work that is running.
static RUNNING: Mutex<Vec<(u64, CancelToken)>> = Mutex::new(Vec::new());
static ENDED: Condvar = Condvar::new();
/// Set when the process ends: nothing begins any more.
static ENDING: AtomicBool = AtomicBool::new(false);

fn all() -> MutexGuard<'static, Vec<(u64, CancelToken)>> {
    RUNNING.lock().unwrap_or_else(|e| e.into_inner())
}

/// A piece of work that is running, by its number: the end of the process stops it and waits for it.
pub(super) struct Running(u64);

impl Running {
    /// # Errors
    /// [`Error::Cancelled`] once the process is ending.
    pub(super) fn begin(cancel: &CancelToken) -> Result<Running> {
        static REGISTERED: Once = Once::new();
        static NEXT: AtomicU64 = AtomicU64::new(0);
        REGISTERED.call_once(|| {
            // A failure only means that nobody waits.
            let _ = atexit(at_exit);
        });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut all = all();
        if ENDING.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        all.push((number, cancel.clone()));
        Ok(Running(number))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        all().retain(|(number, _)| *number != self.0);
        ENDED.notify_all();
    }
}

// SAFETY: this is the signature that ISO C gives to the function, which takes any function.
unsafe extern "C" {
    /// Registers a function that is called when the process ends normally.
    safe fn atexit(function: extern "C" fn()) -> i32;
}

/// A process that ends takes ONNX Runtime apart, which must not happen under a running graph.
extern "C" fn at_exit() {
    {
        let _running = all();
        ENDING.store(true, Ordering::Relaxed);
    }
    wait_for_all();
}

fn wait_for_all() {
    let begin = Instant::now();
    let mut running = all();
    for (_, cancel) in running.iter() {
        cancel.cancel();
    }
    while !running.is_empty() && begin.elapsed() < EXIT_PATIENCE {
        running = match ENDED.wait_timeout(running, Duration::from_millis(100)) {
            Ok((guard, _)) => guard,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, because the end of the process cancels everything that runs.
    #[test]
    fn work_comes_back_or_is_left_behind_and_waited_for() {
        let cancel = CancelToken::default();
        assert_eq!(run("x", &cancel, || Ok(7)).unwrap(), 7);
        let error = run("x", &cancel, || Err::<(), _>(Error::Internal { detail: "this".into() })).unwrap_err();
        assert!(error.to_string().contains("this"));
        let panic = catch_unwind(AssertUnwindSafe(|| run::<()>("x", &cancel, || panic!("that")))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"that"));

        let begin = Instant::now();
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                cancel.cancel();
            });
            run("x", &cancel, || {
                std::thread::sleep(Duration::from_millis(900));
                Ok(())
            })
        });
        assert!(matches!(result, Err(Error::Cancelled)));
        assert!(begin.elapsed() < Duration::from_millis(600), "{:?}", begin.elapsed());
        assert_eq!(all().len(), 1);
        wait_for_all();
        assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());

        // The end of the process stops what nobody has cancelled.
        let token = CancelToken::default();
        let running = Running::begin(&token).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while token.check().is_ok() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                drop(running);
            });
            wait_for_all();
        });
        assert!(token.is_cancelled());
    }
}
