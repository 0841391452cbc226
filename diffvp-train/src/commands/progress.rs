//! Progress of long work on standard error.

use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Tells how much of some work is done, from any thread: on a terminal a line that changes, with the time that is left;
/// in a log a line in a hundred.
pub(crate) struct Progress {
    what: &'static str,
    begin: Instant,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        Progress { what, begin: Instant::now(), terminal: std::io::stderr().is_terminal() }
    }

    /// `done` of `all` are done.
    pub(crate) fn tell(&self, done: u64, all: u64) {
        let mut err = std::io::stderr().lock();
        let _ = match (self.terminal, done == all || done.is_multiple_of(100)) {
            (true, _) => {
                let left = self.begin.elapsed().as_secs_f64() * all.saturating_sub(done) as f64 / done.max(1) as f64;
                write!(err, "\r\x1b[K{done} of {all} {}, {left:.0} s left", self.what)
            }
            (false, true) => writeln!(err, "{done} of {all} {}", self.what),
            (false, false) => Ok(()),
        };
    }

    /// Ends the line that changes.
    pub(crate) fn end(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
