//! [`diffvp::files::write_atomic`] for writers that fail with this crate's error.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `path` whole or not at all; an error of `fill` is handed through.
pub(crate) fn write_atomically<T>(path: &Path, fill: impl FnOnce(&mut BufWriter<&mut File>) -> Result<T>) -> Result<T> {
    let mut failure = None;
    let written = diffvp::files::write_atomic(path, |out| {
        fill(out).map_err(|error| {
            let kind = match &error {
                Error::Write { source, .. } => source.kind(),
                _ => io::ErrorKind::Other,
            };
            failure = Some(error);
            kind.into()
        })
    });
    written.map_err(|error| failure.unwrap_or(Error::Diffvp(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_writer_keeps_its_kind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let failed: Result<()> = write_atomically(&path, |_| Err(Error::WeightMissing { name: "w".into() }));
        assert!(matches!(failed, Err(Error::WeightMissing { .. })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let failed = write_atomically(&dir.path().join("none/a"), |_| Ok(()));
        assert!(matches!(failed, Err(Error::Diffvp(diffvp::Error::Write { .. }))));
    }
}
