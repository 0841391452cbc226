//! NIfTI-1 and NIfTI-2 in one file, plain or inside gzip.
//!
//! The header is checked against the limit and the file's length before memory is taken; the voxels are
//! streamed through a thread of their own, so that a damaged size costs no more than the file can fill.

mod affine;
mod datatype;
mod header;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

pub use write::write_nifti;

use super::gzip::Members;
use super::{Scan, ScanFormat, ScanOptions, ScanSource};
use crate::{Error, Result, Volume, Warning, WarningCode, memory};
use header::Header;

/// The most that deflate can pack into one byte.
const DEFLATE_MAX_RATIO: u64 = 1032;
/// Bytes read at a time, few enough for a processor's cache, and chunks that the reader may be ahead.
const CHUNK: usize = 1 << 18;
const QUEUE: usize = 16;
/// Voxels that memory is asked for at once: 512 × 512 × 512. It is touched only as it is filled.
const USUAL_VOXELS: usize = 1 << 27;
/// Bytes behind the voxels that are read to reach a checksum.
const MAX_REST: usize = 64 << 20;

/// Opens a NIfTI file.
pub(super) fn open(path: &Path, gzip: bool, options: &ScanOptions) -> Result<Scan> {
    let read = |source| Error::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    if gzip {
        let capacity = length.saturating_mul(DEFLATE_MAX_RATIO);
        from_reader(Members::new(std::io::BufReader::with_capacity(CHUNK, file)), capacity, options)
    } else {
        from_reader(file, length, options)
    }
}

/// Reads header and voxels from a stream that holds at most `capacity` bytes.
fn from_reader(mut stream: impl Read + Send, capacity: u64, options: &ScanOptions) -> Result<Scan> {
    let header = Header::read(&mut stream)?;
    let (dims, volumes) = header.volume_dims()?;
    let chosen = choose_volume(dims, volumes, options.volume)?;
    let voxels = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64)).unwrap_or(u64::MAX);
    if voxels > options.max_voxels {
        return Err(Error::LimitExceeded { what: "number of voxels".into(), found: voxels, limit: options.max_voxels });
    }
    let datatype = header.datatype()?;
    let volume_bytes = voxels.saturating_mul(datatype.bytes() as u64);
    // The whole file must be able to hold what its header announces, not only the volume that is chosen.
    let needed = header.voxel_offset()?.saturating_add(volume_bytes.saturating_mul(volumes as u64));
    if needed > capacity {
        return Err(Error::Corrupt {
            detail: format!(
                "the header announces {} × {} × {} × {volumes} voxels of {} bytes, more than the file can hold",
                dims[0],
                dims[1],
                dims[2],
                datatype.bytes()
            ),
        });
    }
    let mut warnings = Vec::new();
    let grid = affine::grid(&header, options.spacing_mm, &mut warnings)?;

    skip(&mut stream, header.voxel_offset()? - header.size() as u64 + chosen as u64 * volume_bytes)?;
    let values = read_voxels(stream, voxels as usize, &header)?;
    let volume = Volume::new(values, dims, grid.spacing_mm, grid.origin_mm, grid.direction)?;
    if header.extra_dims() && volumes == 1 {
        warnings.push(Warning::new(
            WarningCode::IgnoredContent,
            "the header has more than three dimensions, all but three of size 1",
        ));
    }
    let format = if header.version() == 2 { ScanFormat::Nifti2 } else { ScanFormat::Nifti1 };
    if volumes > 1 {
        warnings.push(Warning::new(
            WarningCode::IgnoredContent,
            format!("of {volumes} volumes in the file only volume {chosen} was loaded, as asked for"),
        ));
    }
    Ok(Scan::new(volume, warnings, ScanSource::new(format, 1)))
}

/// Which volume of the file is read, from 0 on.
fn choose_volume(dims: [usize; 3], volumes: usize, wanted: Option<usize>) -> Result<usize> {
    match wanted {
        Some(wanted) if wanted >= volumes => Err(Error::InvalidOption {
            name: "volume",
            detail: format!("{wanted} given, the file has volumes 0 to {}", volumes - 1),
        }),
        Some(wanted) => Ok(wanted),
        None if volumes > 1 => Err(Error::NotAVolume {
            detail: format!(
                "the file holds {volumes} volumes of {} × {} × {}; say which one is meant (0 to {})",
                dims[0],
                dims[1],
                dims[2],
                volumes - 1
            ),
        }),
        None => Ok(0),
    }
}

/// Decodes voxels into f32, `scl_slope · raw + scl_inter` computed in f64, while another thread reads and inflates.
fn read_voxels(stream: impl Read + Send, count: usize, header: &Header) -> Result<Vec<f32>> {
    let datatype = header.datatype()?;
    let (big_endian, scaling) = (header.big_endian(), header.scaling());
    let total = count * datatype.bytes();
    std::thread::scope(|scope| {
        let (full, chunks) = sync_channel(QUEUE);
        let (empty, spare) = channel();
        let reader = std::thread::Builder::new().name("diffvp-read".into());
        reader
            .spawn_scoped(scope, move || read_chunks(stream, total, &full, &spare))
            .map_err(|_| Error::LimitExceeded { what: "number of threads".into(), found: 1, limit: 0 })?;
        let mut values: Vec<f32> = Vec::new();
        loop {
            // A reader that ends without a last word has come to its end too early.
            let chunk = chunks.recv().unwrap_or_else(|_| Err(std::io::ErrorKind::UnexpectedEof.into()));
            let chunk: Vec<u8> = chunk.map_err(|source| broken(&source, values.len(), count))?;
            if chunk.is_empty() {
                return Ok(values);
            }
            let more = chunk.len() / datatype.bytes();
            if values.capacity() - values.len() < more {
                // Beyond a usual volume, doubling keeps memory in proportion to what was really read.
                let more = more.max(values.len()).max(USUAL_VOXELS).min(count - values.len());
                memory::grow(&mut values, more)?;
            }
            datatype.decode(&chunk, big_endian, scaling, &mut values);
            let _ = empty.send(chunk);
        }
    })
}

/// Sends `total` bytes of a stream in chunks, and an empty chunk once the rest has been read.
fn read_chunks(
    mut stream: impl Read,
    mut total: usize,
    full: &SyncSender<std::io::Result<Vec<u8>>>,
    spare: &Receiver<Vec<u8>>,
) {
    while total > 0 {
        let mut chunk = spare.try_recv().unwrap_or_default();
        chunk.resize(total.min(CHUNK), 0);
        total -= chunk.len();
        let read = stream.read_exact(&mut chunk).map(|()| chunk);
        let failed = read.is_err();
        if full.send(read).is_err() || failed {
            return;
        }
    }
    // The rest of a gzip stream carries its checksum: reading on proves the voxels whole.
    let mut chunk = vec![0; CHUNK];
    let mut rest = 0;
    let end = loop {
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 && rest < MAX_REST => rest += n,
            Ok(_) => break Ok(Vec::new()),
            Err(source) => break Err(source),
        }
    };
    let _ = full.send(end);
}

fn broken(source: &std::io::Error, found: usize, expected: usize) -> Error {
    let what = match source.kind() {
        std::io::ErrorKind::UnexpectedEof => "the file breaks off",
        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => "the gzip stream is damaged",
        _ => "reading failed",
    };
    Error::Corrupt { detail: format!("{what} after {found} of {expected} voxels") }
}

fn skip(stream: &mut impl Read, bytes: u64) -> Result<()> {
    let copied = std::io::copy(&mut stream.take(bytes), &mut std::io::sink());
    match copied {
        Ok(n) if n == bytes => Ok(()),
        _ => Err(Error::Corrupt { detail: "the file breaks off before the first voxel".into() }),
    }
}

#[cfg(test)]
mod tests;
