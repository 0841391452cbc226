//! Hashes of files, and files that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// SHA-256 of some bytes, in lower-case hexadecimal.
///
/// ```
/// assert_eq!(
///     diffvp::files::sha256(b"abc"),
///     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
/// );
/// ```
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file in lower-case hexadecimal, read in pieces of 1 MiB.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Read`], with the path as it was given.
pub fn sha256_file(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut file = File::open(path).map_err(|source| read_error(path, source))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(read_error(path, source)),
        };
        hasher.update(&buffer[..count]);
    }
}

/// Writes a file so that `path` holds either what it held before or everything that `write` wrote:
/// into a temporary file beside it, which is synchronised and then renamed.
///
/// What `write` returns is handed through. The new file has the permissions of any newly made file. A link is
/// followed: the file that it names is replaced. What is no file, such as `/dev/stdout` or a named pipe, is
/// written to as it is.
///
/// # Errors
/// [`Error::Write`] with `path`, where the folder is missing, the disk is full, or `write` fails. The
/// temporary file is removed then.
pub fn write_atomic<T>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<T>,
) -> Result<T> {
    let path = path.as_ref();
    let written = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => std::fs::canonicalize(path).and_then(|target| write_beside(&target, write)),
        Ok(found) if !found.is_dir() => write_through(path, write),
        _ => write_beside(path, write),
    };
    written.map_err(|source| Error::Write { path: path.to_path_buf(), source })
}

/// Writes to a device or pipe, which a rename would replace by a file.
fn write_through<T>(path: &Path, write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<T>) -> io::Result<T> {
    let mut file = File::options().write(true).open(path)?;
    let mut writer = BufWriter::with_capacity(1 << 20, &mut file);
    let value = write(&mut writer)?;
    writer.flush()?;
    Ok(value)
}

fn write_beside<T>(path: &Path, write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<T>) -> io::Result<T> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".diffvp-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    let value = write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename itself is safe on disk only once the folder is.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(value)
}

pub(crate) fn read_error(path: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path: path.to_path_buf() },
        _ => Error::Read { path: path.to_path_buf(), source },
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_a_file_is_the_hash_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(sha256_file(&path).unwrap(), sha256(&bytes));
        assert!(matches!(sha256_file(folder.path().join("absent")), Err(Error::NotFound { .. })));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        write_atomic(&path, |w| w.write_all(b"old")).unwrap();
        let failed = write_atomic(&path, |w| {
            w.write_all(b"new, but half of it")?;
            Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(matches!(failed, Err(Error::Write { source, .. }) if source.kind() == io::ErrorKind::StorageFull));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_a_write_error_with_the_callers_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("result");
        let error = write_atomic(&path, |w| w.write_all(b"x")).unwrap_err();
        assert!(matches!(error, Error::Write { path: p, .. } if p == path));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_device_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_atomic(&link, |w| w.write_all(b"new")).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        // A link to a device, so that a mistake here replaces the link and not the device.
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        write_atomic(&null, |w| w.write_all(b"x")).unwrap();
        assert!(std::fs::symlink_metadata(&null).unwrap().is_symlink());
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_can_be_read_by_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, b"x").unwrap();
        let ours = folder.path().join("ours");
        write_atomic(&ours, |w| w.write_all(b"x")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
