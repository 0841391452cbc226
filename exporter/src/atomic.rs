//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Writes `path` through a temporary file beside it: filled, synced to disk, then renamed.
///
/// # Errors
/// [`Error::Write`] where the operating system refuses, or the error of `fill`. Nothing stays behind.
pub fn write_atomically<T>(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let temporary = NamedTempFile::with_suffix_in(".tmp", folder).map_err(Error::write(path))?;
    let file = temporary.as_file().try_clone().map_err(Error::write(path))?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let value = fill(&mut writer)?;
    writer.flush().map_err(Error::write(path))?;
    writer.get_ref().sync_all().map_err(Error::write(path))?;
    drop(writer);
    set_readable(temporary.as_file()).map_err(Error::write(path))?;
    temporary.persist(path).map_err(|e| Error::Write { path: path.to_path_buf(), source: e.error })?;
    Ok(value)
}

/// Temporary files are private to their owner; a finished file has the usual permissions.
#[cfg(unix)]
fn set_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_readable(_: &File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fill_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_atomically(&path, |w| w.write_all(b"old").map_err(Error::write("a"))).unwrap();
        let failed: Result<()> = write_atomically(&path, |w| {
            w.write_all(b"new").map_err(Error::write("a"))?;
            Err(Error::internal("stop"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
