//! What a file is, by its content.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::gzip::Members;
use crate::{Error, Result};

/// What the first bytes of a file look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// NIfTI-1 or NIfTI-2 in one file, perhaps inside gzip.
    Nifti { gzip: bool },
    /// DICOM, with or without preamble.
    Dicom,
    /// The index of a folder of DICOM files (DICOMDIR).
    DicomDirectory,
    /// A format that is known but not read, with what to do.
    Known { detail: String },
    /// None of these.
    Unknown { detail: &'static str },
}

/// Bytes that are looked at: the DICOM magic ends at 132, the NIfTI-1 magic at 348.
const PREFIX: u64 = 348;

/// Sniffs a file on disk.
pub(super) fn file(path: &Path) -> Result<Format> {
    let read = |source| Error::Read { path: path.to_path_buf(), source };
    let mut prefix = Vec::with_capacity(PREFIX as usize);
    let mut file = File::open(path).map_err(read)?;
    file.by_ref().take(PREFIX).read_to_end(&mut prefix).map_err(read)?;
    if !prefix.starts_with(&[0x1f, 0x8b]) {
        return Ok(plain(&prefix));
    }
    let mut inside = Vec::with_capacity(PREFIX as usize);
    let stream = Members::new(prefix.as_slice().chain(BufReader::new(file)));
    if stream.take(PREFIX).read_to_end(&mut inside).is_err() && inside.len() < 4 {
        return Err(Error::Corrupt { detail: "the gzip stream breaks off or is damaged at its start".into() });
    }
    Ok(match plain(&inside) {
        Format::Nifti { .. } => Format::Nifti { gzip: true },
        Format::Dicom | Format::DicomDirectory => {
            Format::Known { detail: "DICOM inside gzip is not read: unpack the file first".into() }
        }
        Format::Known { detail } => Format::Known { detail },
        Format::Unknown { .. } => Format::Unknown { detail: "a gzip file that does not hold NIfTI" },
    })
}

/// Sniffs bytes that are not compressed.
pub(super) fn plain(bytes: &[u8]) -> Format {
    let known = |detail: &str| Format::Known { detail: detail.into() };
    if bytes.is_empty() {
        return Format::Unknown { detail: "the file is empty" };
    }
    if let Some(format) = nifti(bytes) {
        return format;
    }
    if bytes.get(128..132) == Some(b"DICM") || dicom_without_preamble(bytes) {
        return if is_directory(bytes) { Format::DicomDirectory } else { Format::Dicom };
    }
    if bytes.starts_with(b"NRRD") {
        return known("NRRD is not read: convert it to NIfTI (for instance with SimpleITK or 3D Slicer)");
    }
    if bytes.starts_with(b"ObjectType") || bytes.starts_with(b"NDims") {
        return known("MetaImage is not read: convert it to NIfTI (for instance with SimpleITK or 3D Slicer)");
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return known("a zip archive is not read: unpack it and name the folder");
    }
    let text = bytes.iter().all(|b| (0x20..0x7f).contains(b) || b"\t\r\n".contains(b));
    Format::Unknown {
        detail: if text { "the content is plain text" } else { "the content is neither NIfTI nor DICOM" },
    }
}

fn nifti(bytes: &[u8]) -> Option<Format> {
    let size: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    let is = |n: u32| size == n.to_le_bytes() || size == n.to_be_bytes();
    let pair = || Format::Known {
        detail: "a NIfTI header whose voxels are in a separate .img file is not read: convert it to one .nii file"
            .into(),
    };
    if is(348) {
        return match bytes.get(344..348) {
            Some(b"n+1\0") => Some(Format::Nifti { gzip: false }),
            Some(b"ni1\0") => Some(pair()),
            Some(_) => Some(Format::Known { detail: "an ANALYZE 7.5 header is not read: convert it to NIfTI".into() }),
            None => None,
        };
    }
    if is(540) {
        return match bytes.get(4..12) {
            Some(b"n+2\0\r\n\x1a\n") => Some(Format::Nifti { gzip: false }),
            Some(b"ni2\0\r\n\x1a\n") => Some(pair()),
            _ => None,
        };
    }
    None
}

/// Whether the meta group names Media Storage Directory Storage as the kind of object.
fn is_directory(bytes: &[u8]) -> bool {
    const CLASS: &[u8] = b"\x02\0\x02\0UI\x14\x001.2.840.10008.1.3.10";
    bytes.windows(CLASS.len()).any(|window| window == CLASS)
}

/// A data set without preamble starts with an element of group 0002 or 0008 whose value is short.
fn dicom_without_preamble(bytes: &[u8]) -> bool {
    let Some(head) = bytes.get(..8) else {
        return false;
    };
    if head.starts_with(b"DICM") {
        return true;
    }
    let group = u16::from_le_bytes([head[0], head[1]]);
    let element = u16::from_le_bytes([head[2], head[3]]);
    let big = u16::from_be_bytes([head[0], head[1]]) == 8 && head[2] == 0;
    if !(group == 2 || group == 8 || big) || (!big && element > 0x70) {
        return false;
    }
    let explicit = head[4].is_ascii_uppercase() && head[5].is_ascii_uppercase();
    explicit || (!big && u32::from_le_bytes([head[4], head[5], head[6], head[7]]) <= 256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sniff(bytes: &[u8]) -> Result<Format> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        super::file(file.path())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn nifti1() -> Vec<u8> {
        let mut bytes = vec![0; 352];
        bytes[..4].copy_from_slice(&348u32.to_be_bytes());
        bytes[344..348].copy_from_slice(b"n+1\0");
        bytes
    }

    #[test]
    fn formats_are_told_by_content() {
        assert_eq!(sniff(&nifti1()).unwrap(), Format::Nifti { gzip: false });
        assert_eq!(sniff(&gzip(&nifti1())).unwrap(), Format::Nifti { gzip: true });
        let mut dicom = vec![0; 128];
        dicom.extend_from_slice(b"DICM\x02\0\0\0UL\x04\0");
        assert_eq!(sniff(&dicom).unwrap(), Format::Dicom);
        assert_eq!(sniff(&dicom[132..]).unwrap(), Format::Dicom);
        assert_eq!(sniff(b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100").unwrap(), Format::Dicom);
        assert!(matches!(sniff(b"NRRD0004\n# x").unwrap(), Format::Known { .. }));
        assert!(matches!(sniff(b"ObjectType = Image\n").unwrap(), Format::Known { .. }));
        assert!(matches!(sniff(b"").unwrap(), Format::Unknown { .. }));
        assert!(matches!(sniff(b"just a text").unwrap(), Format::Unknown { .. }));
        assert!(matches!(sniff(&gzip(b"just a text")).unwrap(), Format::Unknown { .. }));
    }

    #[test]
    fn header_image_pairs_are_unsupported() {
        let mut pair = nifti1();
        pair[344..348].copy_from_slice(b"ni1\0");
        assert!(matches!(sniff(&pair).unwrap(), Format::Known { .. }));
    }

    #[test]
    fn damaged_gzip_is_corrupt() {
        assert!(matches!(sniff(&[0x1f, 0x8b, 8, 0, 0]), Err(Error::Corrupt { .. })));
    }
}
