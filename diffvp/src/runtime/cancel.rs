//! Stopping a report from another thread, also while a graph is running.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use ort::session::RunOptions;

use crate::{Error, Result};

/// Stops a report from any thread. Cheap to clone; all clones are one token; once cancelled it stays so.
///
/// ```
/// let token = diffvp::CancelToken::default();
/// let other = token.clone();
/// std::thread::spawn(move || other.cancel()).join().unwrap();
/// assert!(token.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    running: Mutex<Vec<Weak<RunOptions>>>,
}

impl std::fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish()
    }
}

impl CancelToken {
    /// Asks the report to stop. A running graph ends after the operator it is in.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        for run in self.running().iter().filter_map(Weak::upgrade) {
            // A run that cannot be stopped early still ends at its own end, where the flag is seen.
            let _ = run.terminate();
        }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// [`Error::Cancelled`] once cancelled.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Lets a later `cancel` reach a run that is about to start.
    pub(super) fn watch(&self, run: &Arc<RunOptions>) -> Result<()> {
        let mut running = self.running();
        running.retain(|other| other.strong_count() > 0);
        running.push(Arc::downgrade(run));
        drop(running);
        self.check()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<Weak<RunOptions>>> {
        self.0.running.lock().unwrap_or_else(|e| e.into_inner())
    }
}
