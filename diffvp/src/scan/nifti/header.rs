//! The NIfTI-1 header (348 bytes) and the NIfTI-2 header (540 bytes), as defined in `nifti1.h` and `nifti2.h`.

use std::io::Read;

use super::datatype::Datatype;
use crate::{Error, Result};

/// The fields that are used, widened to the NIfTI-2 types.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    version: u8,
    big_endian: bool,
    dim: [i64; 8],
    datatype: i16,
    bitpix: i16,
    vox_offset: f64,
    scl_slope: f64,
    scl_inter: f64,
    /// Spacing of axes 1 to 3; entry 0 is qfac.
    pub pixdim: [f64; 4],
    pub qform_code: i32,
    pub sform_code: i32,
    pub quatern_bcd: [f64; 3],
    pub qoffset: [f64; 3],
    pub srow: [[f64; 4]; 3],
    xyzt_units: i32,
}

/// Reads numbers at fixed offsets of a header.
struct Fields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut raw = [0; N];
        raw.copy_from_slice(&self.bytes[at..at + N]);
        if self.big_endian {
            raw.reverse();
        }
        raw
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.array(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.array(at))
    }

    fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.array(at))
    }

    fn f32(&self, at: usize) -> f64 {
        f32::from_le_bytes(self.array(at)) as f64
    }

    fn f64(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.array(at))
    }
}

/// The most that a header with its extensions may take, in bytes.
const MAX_OFFSET: f64 = (64u64 << 20) as f64;

impl Header {
    /// Reads the header from the start of a stream.
    pub(super) fn read(stream: &mut impl Read) -> Result<Header> {
        let mut bytes = [0; 540];
        let short = |_| Error::Corrupt { detail: "the file breaks off inside the NIfTI header".into() };
        stream.read_exact(&mut bytes[..348]).map_err(short)?;
        let size: [u8; 4] = bytes[..4].try_into().expect("four bytes");
        let (version, big_endian) = match (u32::from_le_bytes(size), u32::from_be_bytes(size)) {
            (348, _) => (1, false),
            (_, 348) => (1, true),
            (540, _) => (2, false),
            (_, 540) => (2, true),
            _ => {
                return Err(Error::Corrupt { detail: "the NIfTI header has an impossible size".into() });
            }
        };
        if version == 2 {
            stream.read_exact(&mut bytes[348..]).map_err(short)?;
        }
        let fields = Fields { bytes: &bytes, big_endian };
        Ok(if version == 1 { Header::nifti1(&fields) } else { Header::nifti2(&fields) })
    }

    fn nifti1(f: &Fields) -> Header {
        Header {
            version: 1,
            big_endian: f.big_endian,
            dim: std::array::from_fn(|i| f.i16(40 + 2 * i) as i64),
            datatype: f.i16(70),
            bitpix: f.i16(72),
            pixdim: std::array::from_fn(|i| f.f32(76 + 4 * i)),
            vox_offset: f.f32(108),
            scl_slope: f.f32(112),
            scl_inter: f.f32(116),
            xyzt_units: f.bytes[123] as i32,
            qform_code: f.i16(252) as i32,
            sform_code: f.i16(254) as i32,
            quatern_bcd: std::array::from_fn(|i| f.f32(256 + 4 * i)),
            qoffset: std::array::from_fn(|i| f.f32(268 + 4 * i)),
            srow: std::array::from_fn(|r| std::array::from_fn(|c| f.f32(280 + 16 * r + 4 * c))),
        }
    }

    fn nifti2(f: &Fields) -> Header {
        Header {
            version: 2,
            big_endian: f.big_endian,
            datatype: f.i16(12),
            bitpix: f.i16(14),
            dim: std::array::from_fn(|i| f.i64(16 + 8 * i)),
            pixdim: std::array::from_fn(|i| f.f64(104 + 8 * i)),
            vox_offset: f.i64(168) as f64,
            scl_slope: f.f64(176),
            scl_inter: f.f64(184),
            qform_code: f.i32(344),
            sform_code: f.i32(348),
            quatern_bcd: std::array::from_fn(|i| f.f64(352 + 8 * i)),
            qoffset: std::array::from_fn(|i| f.f64(376 + 8 * i)),
            srow: std::array::from_fn(|r| std::array::from_fn(|c| f.f64(400 + 32 * r + 8 * c))),
            xyzt_units: f.i32(500),
        }
    }

    /// 1 or 2.
    pub(super) fn version(&self) -> u8 {
        self.version
    }

    /// Bytes of the header itself.
    pub(super) fn size(&self) -> usize {
        if self.version == 2 { 540 } else { 348 }
    }

    /// Whether header and voxels are big endian.
    pub(super) fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// Sizes along the three axes, each at least 2, and the number of volumes along the fourth.
    pub(super) fn volume_dims(&self) -> Result<([usize; 3], usize)> {
        let rank = self.dim[0];
        if !(1..=7).contains(&rank) {
            return Err(Error::Corrupt {
                detail: format!("the NIfTI header has {rank} dimensions, 1 to 7 are possible"),
            });
        }
        let sizes = &self.dim[1..=rank as usize];
        if let Some(size) = sizes.iter().find(|s| **s < 1) {
            return Err(Error::Corrupt { detail: format!("the NIfTI header has an axis of size {size}") });
        }
        let spatial = sizes.iter().take(3).filter(|s| **s > 1).count();
        if rank < 3 || spatial < 3 || sizes.iter().skip(4).any(|s| *s > 1) {
            let text: Vec<String> = sizes.iter().map(i64::to_string).collect();
            return Err(Error::NotAVolume { detail: format!("the file holds {}", text.join(" × ")) });
        }
        Ok((std::array::from_fn(|a| sizes[a] as usize), sizes.get(3).map_or(1, |volumes| *volumes as usize)))
    }

    /// Whether there are further axes, all of size 1.
    pub(super) fn extra_dims(&self) -> bool {
        self.dim[0] > 3
    }

    /// Type of the voxels.
    pub(super) fn datatype(&self) -> Result<Datatype> {
        let datatype = Datatype::from_code(self.datatype)?;
        if self.bitpix as usize != 8 * datatype.bytes() {
            return Err(Error::Corrupt {
                detail: format!("data type {} does not have {} bits", self.datatype, self.bitpix),
            });
        }
        Ok(datatype)
    }

    /// Position of the first voxel in the file, behind the header and its extensions.
    pub(super) fn voxel_offset(&self) -> Result<u64> {
        // Some writers leave the field 0 in single files: the voxels then follow the header and its 4 flag bytes.
        let least = self.size() as f64 + 4.0;
        match self.vox_offset {
            0.0 => Ok(least as u64),
            at if at >= self.size() as f64 && at <= MAX_OFFSET && at.fract() == 0.0 => Ok(at as u64),
            at => Err(Error::Corrupt { detail: format!("the voxels cannot start at byte {at}") }),
        }
    }

    /// Slope and intercept; `None` where the values are used as they are (slope 0 or not a number).
    pub(super) fn scaling(&self) -> Option<(f64, f64)> {
        let (slope, inter) = (self.scl_slope, self.scl_inter);
        let used = slope != 0.0 && slope.is_finite() && (slope, inter) != (1.0, 0.0);
        used.then_some((slope, if inter.is_finite() { inter } else { 0.0 }))
    }

    /// mm per spatial unit of the header.
    pub(super) fn mm_per_unit(&self) -> f64 {
        match self.xyzt_units & 7 {
            1 => 1000.0,
            3 => 0.001,
            _ => 1.0,
        }
    }
}
