//! Voxel types of NIfTI.

use crate::{Error, Result};

/// A real voxel type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Datatype {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl Datatype {
    /// The type behind a code of `nifti1.h`.
    pub(super) fn from_code(code: i16) -> Result<Datatype> {
        let unsupported = |what: &str| Err(Error::Unsupported { detail: format!("NIfTI voxels of {what}") });
        match code {
            2 => Ok(Datatype::U8),
            4 => Ok(Datatype::I16),
            8 => Ok(Datatype::I32),
            16 => Ok(Datatype::F32),
            64 => Ok(Datatype::F64),
            256 => Ok(Datatype::I8),
            512 => Ok(Datatype::U16),
            768 => Ok(Datatype::U32),
            1024 => Ok(Datatype::I64),
            1280 => Ok(Datatype::U64),
            1 => unsupported("1 bit"),
            32 | 1792 | 2048 => unsupported("complex numbers"),
            128 | 2304 => unsupported("colours (RGB): a CT has one value per voxel"),
            1536 => unsupported("128-bit floating point"),
            _ => Err(Error::Corrupt { detail: format!("{code} is not a NIfTI data type") }),
        }
    }

    /// Bytes of a voxel.
    pub(super) fn bytes(self) -> usize {
        match self {
            Datatype::U8 | Datatype::I8 => 1,
            Datatype::I16 | Datatype::U16 => 2,
            Datatype::I32 | Datatype::U32 | Datatype::F32 => 4,
            Datatype::I64 | Datatype::U64 | Datatype::F64 => 8,
        }
    }

    /// Appends the voxels of `bytes` to `out`.
    pub(super) fn decode(self, bytes: &[u8], big_endian: bool, scaling: Option<(f64, f64)>, out: &mut Vec<f32>) {
        macro_rules! append {
            ($kind:ty) => {{
                let (plain, wide) = (|raw| raw as f32, |raw| raw as f64);
                if big_endian {
                    append(bytes, <$kind>::from_be_bytes, plain, wide, scaling, out)
                } else {
                    append(bytes, <$kind>::from_le_bytes, plain, wide, scaling, out)
                }
            }};
        }
        match self {
            Datatype::U8 => append!(u8),
            Datatype::I8 => append!(i8),
            Datatype::I16 => append!(i16),
            Datatype::U16 => append!(u16),
            Datatype::I32 => append!(i32),
            Datatype::U32 => append!(u32),
            Datatype::I64 => append!(i64),
            Datatype::U64 => append!(u64),
            Datatype::F32 => append!(f32),
            Datatype::F64 => append!(f64),
        }
    }
}

fn append<const N: usize, T: Copy>(
    bytes: &[u8],
    read: impl Fn([u8; N]) -> T,
    plain: impl Fn(T) -> f32,
    wide: impl Fn(T) -> f64,
    scaling: Option<(f64, f64)>,
    out: &mut Vec<f32>,
) {
    let raw = bytes.as_chunks::<N>().0.iter().map(|voxel| read(*voxel));
    match scaling {
        None => out.extend(raw.map(plain)),
        Some((slope, inter)) => out.extend(raw.map(|v| (slope * wide(v) + inter) as f32)),
    }
}
