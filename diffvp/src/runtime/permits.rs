//! How many reports are made at a time.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::CancelToken;
use crate::Result;

/// How often a waiting thread looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// A number of permits that threads take and give back; waiting for one ends when the waiter is cancelled.
pub(crate) struct Permits {
    limit: usize,
    taken: Mutex<usize>,
    returned: Condvar,
}

impl Permits {
    /// Permits for `limit` holders at a time; 0 for any number.
    pub(crate) fn new(limit: usize) -> Self {
        Permits { limit, taken: Mutex::new(0), returned: Condvar::new() }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`].
    pub(crate) fn take(&self, cancel: &CancelToken) -> Result<Permit<'_>> {
        let mut taken = self.lock();
        loop {
            cancel.check()?;
            if self.limit == 0 || *taken < self.limit {
                *taken += 1;
                return Ok(Permit(self));
            }
            taken = match self.returned.wait_timeout(taken, CANCEL_POLL) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// One permit, given back on drop.
pub(crate) struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Error;

    #[test]
    fn no_more_than_the_limit_hold_a_permit() {
        let (permits, cancel) = (Permits::new(2), CancelToken::default());
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _permit = permits.take(&cancel).unwrap();
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_micros(200));
                        now.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 2);
        let unlimited = Permits::new(0);
        let _all: Vec<_> = (0..100).map(|_| unlimited.take(&cancel).unwrap()).collect();
    }

    #[test]
    fn a_waiter_can_be_cancelled() {
        let (permits, cancel) = (Permits::new(1), CancelToken::default());
        let _held = permits.take(&CancelToken::default()).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| permits.take(&cancel).map(|_| ()));
            std::thread::sleep(Duration::from_millis(30));
            cancel.cancel();
            assert!(matches!(waiter.join().unwrap(), Err(Error::Cancelled)));
        });
    }
}
