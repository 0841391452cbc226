//! NIfTI-1 and NIfTI-2 in one file, plain or inside gzip.
//!
//! The header is checked against the limit and the file's length before memory is taken; the voxels are
//! streamed, so that a damaged size costs no more than the file can fill.

mod affine;
mod datatype;
mod header;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

pub use write::write_nifti;

use super::{Scan, ScanFormat, ScanOptions, ScanSource, hu};
use crate::{Error, Result, Volume, Warning, WarningCode};
use header::Header;

/// The most that deflate can pack into one byte.
const DEFLATE_MAX_RATIO: u64 = 1032;
/// Bytes decoded at a time.
const CHUNK: usize = 1 << 20;

/// Opens a NIfTI file.
pub(super) fn open(path: &Path, gzip: bool, options: &ScanOptions) -> Result<Scan> {
    let read = |source| Error::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    if gzip {
        let capacity = length.saturating_mul(DEFLATE_MAX_RATIO);
        from_reader(
            MultiGzDecoder::new(std::io::BufReader::with_capacity(CHUNK, file)),
            capacity,
            options,
        )
    } else {
        from_reader(file, length, options)
    }
}

/// Reads header and voxels from a stream that holds at most `capacity` bytes.
fn from_reader(mut stream: impl Read, capacity: u64, options: &ScanOptions) -> Result<Scan> {
    let header = Header::read(&mut stream)?;
    let dims = header.volume_dims()?;
    let voxels = dims
        .iter()
        .try_fold(1u64, |n, &d| n.checked_mul(d as u64))
        .unwrap_or(u64::MAX);
    if voxels > options.max_voxels {
        return Err(Error::LimitExceeded {
            what: "number of voxels".into(),
            found: voxels,
            limit: options.max_voxels,
        });
    }
    let datatype = header.datatype()?;
    let needed = header
        .voxel_offset()?
        .saturating_add(voxels.saturating_mul(datatype.bytes() as u64));
    if needed > capacity {
        return Err(Error::Corrupt {
            detail: format!(
                "the header announces {} × {} × {} voxels of {} bytes, more than the file can hold",
                dims[0],
                dims[1],
                dims[2],
                datatype.bytes()
            ),
        });
    }
    let mut warnings = Vec::new();
    let grid = affine::grid(&header, options.spacing_mm, &mut warnings)?;

    skip(&mut stream, header.voxel_offset()? - header.size() as u64)?;
    let values = read_voxels(stream, voxels as usize, &header)?;
    let volume = Volume::new(
        values,
        dims,
        grid.spacing_mm,
        grid.origin_mm,
        grid.direction,
    )?;
    if header.extra_dims() {
        warnings.push(Warning::new(
            WarningCode::IgnoredContent,
            "the header has more than three dimensions, all but three of size 1",
        ));
    }
    hu::check(&volume, &mut warnings);
    hu::check_oblique(&volume, &mut warnings);
    let format = if header.version() == 2 {
        ScanFormat::Nifti2
    } else {
        ScanFormat::Nifti1
    };
    Ok(Scan {
        volume,
        warnings,
        source: ScanSource::new(format, 1),
    })
}

/// Decodes voxels chunk by chunk into f32: `scl_slope · raw + scl_inter`, computed in f64.
fn read_voxels(mut stream: impl Read, count: usize, header: &Header) -> Result<Vec<f32>> {
    let datatype = header.datatype()?;
    let scaling = header.scaling();
    let mut values: Vec<f32> = Vec::new();
    let mut chunk = vec![0; CHUNK];
    while values.len() < count {
        let wanted = (count - values.len()).min(CHUNK / datatype.bytes());
        let bytes = &mut chunk[..wanted * datatype.bytes()];
        stream
            .read_exact(bytes)
            .map_err(|source| broken(&source, values.len(), count))?;
        if values.capacity() - values.len() < wanted {
            // Doubling keeps memory in proportion to what was really read.
            let more = wanted.max(values.len()).min(count - values.len());
            values
                .try_reserve_exact(more)
                .map_err(|_| Error::LimitExceeded {
                    what: "memory for voxels, in bytes".into(),
                    found: 4 * count as u64,
                    limit: 4 * values.len() as u64,
                })?;
        }
        datatype.decode(bytes, header.big_endian(), scaling, &mut values);
    }
    // The rest of a gzip stream carries its checksum: reading on proves the voxels whole.
    let mut rest = 0u64;
    while rest < 64 * CHUNK as u64 {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => rest += n as u64,
            Err(source) => return Err(broken(&source, count, count)),
        }
    }
    Ok(values)
}

fn broken(source: &std::io::Error, found: usize, expected: usize) -> Error {
    let what = match source.kind() {
        std::io::ErrorKind::UnexpectedEof => "the file breaks off",
        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
            "the gzip stream is damaged"
        }
        _ => "reading failed",
    };
    Error::Corrupt {
        detail: format!("{what} after {found} of {expected} voxels"),
    }
}

fn skip(stream: &mut impl Read, bytes: u64) -> Result<()> {
    let copied = std::io::copy(&mut stream.take(bytes), &mut std::io::sink());
    match copied {
        Ok(n) if n == bytes => Ok(()),
        _ => Err(Error::Corrupt {
            detail: "the file breaks off before the first voxel".into(),
        }),
    }
}

#[cfg(test)]
mod tests;
