//! What a thread is in the middle of, so that a callback is told instead of waiting for itself.

use std::cell::RefCell;
use std::sync::Arc;

use crate::status::{DIFFVP_STATUS_REENTRANT, Failure};

thread_local! {
    /// Addresses of the reporters with a limit that this thread makes reports with.
    static REPORTING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// A report on this thread. While it lasts, none of its callbacks may ask the same reporter for another one: it would
/// hold a permit and wait for one.
#[derive(Debug)]
pub(crate) struct Inside {
    counted: bool,
}

impl Inside {
    /// Begins a report with a reporter that makes `limit` at a time, 0 for any number.
    pub(crate) fn enter<T>(reporter: &Arc<T>, limit: usize) -> Result<Inside, Failure> {
        if limit == 0 {
            return Ok(Inside { counted: false });
        }
        let address = Arc::as_ptr(reporter).addr();
        REPORTING.with_borrow_mut(|reporting| {
            if reporting.contains(&address) {
                let why = "a callback asks the reporter that it is called by, which has a limit, for another report";
                return Err(Failure::new(DIFFVP_STATUS_REENTRANT, why));
            }
            reporting.push(address);
            Ok(Inside { counted: true })
        })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.counted {
            REPORTING.with_borrow_mut(|reporting| reporting.pop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_reporter_with_a_limit_is_refused() {
        let (one, other) = (Arc::new(1), Arc::new(2));
        let first = Inside::enter(&one, 2).unwrap();
        let refused = Inside::enter(&one, 2).unwrap_err();
        assert_eq!(refused.status(), DIFFVP_STATUS_REENTRANT);
        {
            let _second = Inside::enter(&other, 1).unwrap();
            assert!(Inside::enter(&one, 2).is_err() && Inside::enter(&other, 1).is_err());
        }
        drop(Inside::enter(&other, 1).unwrap());
        let _unlimited = (Inside::enter(&one, 0).unwrap(), Inside::enter(&one, 0).unwrap());
        std::thread::scope(|scope| scope.spawn(|| Inside::enter(&one, 2).map(|_| ()).unwrap()).join().unwrap());
        drop(first);
        assert!(Inside::enter(&one, 2).is_ok());
    }
}
