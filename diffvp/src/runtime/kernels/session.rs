//! What both operators ask of ONNX Runtime: their attributes, and work on the threads of the session.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ort::operator::{ComputeContext, KernelContext};

/// Turns a panic into an error: it must not unwind into ONNX Runtime, which is C++.
pub(super) fn contained<T>(work: impl FnOnce() -> ort::Result<T>) -> ort::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(ort::Error::new("an operator ended with a panic")))
}

/// An attribute that is a size.
pub(super) fn size(context: &KernelContext<'_>, name: &str) -> ort::Result<usize> {
    let value = context.get::<i64>(name).and_then(|v| usize::try_from(v).ok()).filter(|&v| v > 0);
    value.ok_or_else(|| ort::Error::new(format!("the attribute {name} is missing or not positive")))
}

/// Numbers of which each thread fills a part of its own.
pub(super) struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    _numbers: PhantomData<&'a mut [T]>,
}

// SAFETY: the caller of `part` gives each thread other parts.
unsafe impl<T: Send> Sync for Parts<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub(super) fn new(numbers: &'a mut [T]) -> Self {
        Parts { start: numbers.as_mut_ptr(), len: numbers.len(), _numbers: PhantomData }
    }

    /// How many numbers all parts have together.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// So many numbers from `start` on.
    ///
    /// # Safety
    /// Nobody else may have a part with any of them at the same time.
    ///
    /// # Panics
    /// Where they are not there.
    #[allow(clippy::mut_from_ref, reason = "the caller has parts that do not overlap")]
    pub(super) unsafe fn part(&self, start: usize, count: usize) -> &mut [T] {
        assert!(start.checked_add(count).is_some_and(|end| end <= self.len));
        // SAFETY: the numbers are there, and the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), count) }
    }
}

/// Does `count` pieces of work on the threads of the session, in so many batches.
///
/// The order between this thread and those is ONNX Runtime's affair; it is told once more in atomics of our own, so that tools that
/// look for races see it, and that a piece that was left out is noticed.
pub(super) fn in_parallel(
    context: &ComputeContext,
    count: usize,
    batches: usize,
    work: impl Fn(usize) + Send + Sync,
) -> ort::Result<()> {
    let (ready, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    ready.store(true, Ordering::Release);
    context.par_for(count, batches, |i| {
        // The thread pool is C++: a panic must not unwind into it.
        let whole = ready.load(Ordering::Acquire) && catch_unwind(AssertUnwindSafe(|| work(i))).is_ok();
        done.fetch_add(usize::from(whole), Ordering::AcqRel);
    })?;
    match done.load(Ordering::Acquire) {
        done if done == count => Ok(()),
        done => Err(ort::Error::new(format!("an operator ended with a panic: {done} of {count} pieces are done"))),
    }
}
