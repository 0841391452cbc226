//! Standard output, whose errors are results too: a full disk behind `>` must not look like success.

use std::io::{ErrorKind, Write};

use diffvp::{Error, Result};

/// Prints a text and its line end.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    match written {
        Ok(()) => Ok(()),
        // The reader (`| head`) has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(Error::Write { path: "standard output".into(), source }),
    }
}
