//! Sessions that are used by one thread at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::CancelToken;
use crate::Result;

/// How often a waiting thread looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Holds one value that threads take in turn. Unlike a mutex, waiting ends when the waiter is cancelled.
pub(super) struct Slot<T> {
    value: Mutex<Option<T>>,
    returned: Condvar,
}

impl<T> Slot<T> {
    pub(super) fn new(value: T) -> Self {
        Slot { value: Mutex::new(Some(value)), returned: Condvar::new() }
    }

    /// Waits for the value.
    pub(super) fn take(&self, cancel: &CancelToken) -> Result<Taken<'_, T>> {
        let mut guard = self.lock();
        loop {
            cancel.check()?;
            if let Some(value) = guard.take() {
                return Ok(Taken { slot: self, value: Some(value) });
            }
            guard = match self.returned.wait_timeout(guard, CANCEL_POLL) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.value.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// The value of a [`Slot`], given back on drop.
pub(super) struct Taken<'a, T> {
    slot: &'a Slot<T>,
    value: Option<T>,
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("present until drop")
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("present until drop")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        *self.slot.lock() = self.value.take();
        self.slot.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn threads_take_turns() {
        let slot = Slot::new(0u32);
        let cancel = CancelToken::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let mut value = slot.take(&cancel).unwrap();
                        let before = *value;
                        std::thread::yield_now();
                        *value = before + 1;
                    }
                });
            }
        });
        assert_eq!(*slot.take(&cancel).unwrap(), 800);
    }

    #[test]
    fn a_waiter_can_be_cancelled() {
        let slot = Slot::new(());
        let _held = slot.take(&CancelToken::default()).unwrap();
        let cancel = CancelToken::default();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| slot.take(&cancel).map(|_| ()));
            std::thread::sleep(Duration::from_millis(30));
            cancel.cancel();
            assert!(matches!(waiter.join().unwrap(), Err(Error::Cancelled)));
        });
    }
}
