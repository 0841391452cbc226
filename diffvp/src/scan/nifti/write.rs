//! Writes a volume as NIfTI-1.

use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{Error, Result, Volume};

const HEADER: usize = 352;

/// Writes a volume as a NIfTI-1 file, with sform and qform; compressed where the name ends in `.gz`.
///
/// Voxels are stored as 16-bit integers where every value is a whole number in their range, else as 32-bit
/// floats, so that reading gives the same values. The file appears whole or not at all.
///
/// # Errors
/// [`Error::Write`] from the file system; [`Error::Unsupported`] for an axis of more than 32,767 voxels,
/// which NIfTI-1 cannot hold.
pub fn write_nifti(volume: &Volume, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    if let Some(size) = volume.dims().into_iter().find(|d| *d > i16::MAX as usize) {
        return Err(Error::Unsupported {
            detail: format!("NIfTI-1 cannot hold an axis of {size} voxels"),
        });
    }
    let write = |source| Error::Write {
        path: path.to_path_buf(),
        source,
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .prefix(".diffvp-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(write)?;
    let buffered = BufWriter::with_capacity(1 << 20, file);
    let gzip = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let buffered = if gzip {
        let mut encoder = GzEncoder::new(buffered, Compression::fast());
        write_to(volume, &mut encoder).map_err(write)?;
        encoder.finish().map_err(write)?
    } else {
        let mut buffered = buffered;
        write_to(volume, &mut buffered).map_err(write)?;
        buffered
    };
    let file = buffered.into_inner().map_err(|e| write(e.into_error()))?;
    file.as_file().sync_all().map_err(write)?;
    file.persist(path).map_err(|e| write(e.error))?;
    Ok(())
}

fn write_to(volume: &Volume, out: &mut impl Write) -> std::io::Result<()> {
    let voxels = volume.voxels_hu();
    let short = voxels
        .iter()
        .all(|v| v.fract() == 0.0 && *v >= i16::MIN as f32 && *v <= i16::MAX as f32);
    out.write_all(&header(volume, short))?;
    let mut bytes = Vec::with_capacity(1 << 18);
    for chunk in voxels.chunks(1 << 16) {
        bytes.clear();
        for v in chunk {
            if short {
                bytes.extend_from_slice(&(*v as i16).to_le_bytes());
            } else {
                bytes.extend_from_slice(&v.to_le_bytes());
            }
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn header(volume: &Volume, short: bool) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348i32.to_le_bytes());
    let [x, y, z] = volume.dims().map(|d| d as i16);
    for (i, size) in [3, x, y, z, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &size.to_le_bytes());
    }
    let (code, bits) = if short { (4i16, 16i16) } else { (16, 32) };
    put(70, &code.to_le_bytes());
    put(72, &bits.to_le_bytes());

    // LPS → RAS, and a proper rotation for the quaternion: qfac takes a mirrored third axis.
    let sign = [-1.0, -1.0, 1.0];
    let (direction, spacing, origin) =
        (volume.direction(), volume.spacing_mm(), volume.origin_mm());
    let mut rotation: [[f64; 3]; 3] = std::array::from_fn(|r| direction[r].map(|v| v * sign[r]));
    for r in 0..3 {
        for axis in 0..3 {
            let value = (rotation[r][axis] * spacing[axis]) as f32;
            put(280 + 16 * r + 4 * axis, &value.to_le_bytes());
        }
        put(
            280 + 16 * r + 12,
            &((origin[r] * sign[r]) as f32).to_le_bytes(),
        );
        put(268 + 4 * r, &((origin[r] * sign[r]) as f32).to_le_bytes());
    }
    let qfac = if determinant(&rotation) < 0.0 {
        -1.0
    } else {
        1.0
    };
    for row in &mut rotation {
        row[2] *= qfac;
    }
    for (i, part) in quaternion(&rotation).into_iter().enumerate() {
        put(256 + 4 * i, &(part as f32).to_le_bytes());
    }
    for (i, value) in [qfac, spacing[0], spacing[1], spacing[2]]
        .into_iter()
        .enumerate()
    {
        put(76 + 4 * i, &(value as f32).to_le_bytes());
    }
    put(108, &(HEADER as f32).to_le_bytes());
    put(112, &1f32.to_le_bytes());
    put(123, &[2]);
    put(252, &1i16.to_le_bytes());
    put(254, &1i16.to_le_bytes());
    put(344, b"n+1\0");
    bytes
}

fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

/// `(b, c, d)` of the unit quaternion of a rotation, with `a ≥ 0`: Shepperd's method, which divides by the
/// largest component.
fn quaternion(m: &[[f64; 3]; 3]) -> [f64; 3] {
    let squares = [
        1.0 + m[0][0] + m[1][1] + m[2][2],
        1.0 + m[0][0] - m[1][1] - m[2][2],
        1.0 - m[0][0] + m[1][1] - m[2][2],
        1.0 - m[0][0] - m[1][1] + m[2][2],
    ];
    let largest = (0..4).fold(
        0,
        |best, i| if squares[i] > squares[best] { i } else { best },
    );
    let s = 2.0 * squares[largest].max(0.0).sqrt();
    let q = match largest {
        0 => [
            s / 4.0,
            (m[2][1] - m[1][2]) / s,
            (m[0][2] - m[2][0]) / s,
            (m[1][0] - m[0][1]) / s,
        ],
        1 => [
            (m[2][1] - m[1][2]) / s,
            s / 4.0,
            (m[0][1] + m[1][0]) / s,
            (m[0][2] + m[2][0]) / s,
        ],
        2 => [
            (m[0][2] - m[2][0]) / s,
            (m[0][1] + m[1][0]) / s,
            s / 4.0,
            (m[1][2] + m[2][1]) / s,
        ],
        _ => [
            (m[1][0] - m[0][1]) / s,
            (m[0][2] + m[2][0]) / s,
            (m[1][2] + m[2][1]) / s,
            s / 4.0,
        ],
    };
    let sign = if q[0] < 0.0 { -1.0 } else { 1.0 };
    [q[1] * sign, q[2] * sign, q[3] * sign]
}
