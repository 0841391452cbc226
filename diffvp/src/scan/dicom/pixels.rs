//! Pixels of a frame → Hounsfield units.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::codec::decode_codec;
use super::data_set::{data_set, meta};
use super::file::FileHeader;
use super::frames::Plane;
use super::rle;
use super::sequence::items;
use super::syntax::Packing;
use crate::scan::content::AIR_HU;
use crate::{Error, Result};

pub(super) fn corrupt(detail: impl Into<String>) -> Error {
    Error::Corrupt { detail: detail.into() }
}

/// Pixels of a compressed frame, beyond which it is no slice of a CT: decoders take up to two dozen bytes for each.
const MAX_PACKED: usize = 1 << 24;
/// Pixels of compressed frames that are decoded at the same time; larger ones are decoded one by one.
const MAX_PARALLEL: usize = 1 << 20;

/// Checks what can be known of the pixels from the header, before memory is taken for them.
pub(super) fn check_format(header: &FileHeader) -> Result<()> {
    let f = &header.format;
    if f.rows == 0 || f.columns == 0 {
        return Err(corrupt(format!("a slice of {} × {} pixels", f.columns, f.rows)));
    }
    if f.samples > 1 || !f.monochrome {
        return Err(Error::Unsupported { detail: "a colour picture: a CT has one grey value per pixel".into() });
    }
    if !matches!(f.bits_allocated, 8 | 16) {
        return Err(Error::Unsupported { detail: format!("pixels of {} bits; 8 and 16 are read", f.bits_allocated) });
    }
    let last_bit = f.high_bit.unwrap_or(f.bits_stored.wrapping_sub(1));
    if f.bits_stored == 0 || f.bits_stored > f.bits_allocated || last_bit != f.bits_stored - 1 {
        return Err(corrupt(format!(
            "{} bits stored with high bit {last_bit} in {} bits allocated",
            f.bits_stored, f.bits_allocated
        )));
    }
    let frames = header.planes.len();
    if matches!(header.syntax.packing, Packing::Native) {
        let needed = f.frame_bytes().saturating_mul(frames);
        if header.pixels.length.is_none() {
            return Err(corrupt("the pixel data are in fragments although the transfer syntax is not compressed"));
        }
        if header.pixel_bytes < needed {
            return Err(corrupt(format!("{} bytes of pixel data where {needed} are needed", header.pixel_bytes)));
        }
    } else if header.pixels.length.is_some() {
        return Err(corrupt("the pixel data are in one piece although the transfer syntax is compressed"));
    } else if f.pixels() > MAX_PACKED {
        let what = "number of pixels of a compressed frame".into();
        return Err(Error::LimitExceeded { what, found: f.pixels() as u64, limit: MAX_PACKED as u64 });
    }
    Ok(())
}

/// The pixel data of one file, ready for decoding frame by frame.
pub(super) struct PixelFile<'a> {
    /// The file, or its inflated data set.
    bytes: Cow<'a, [u8]>,
    /// Where the value of PixelData lies in `bytes`.
    start: usize,
    length: Option<usize>,
    /// Of packed pixels: the fragments, and the table of their offsets.
    fragments: Vec<Range<usize>>,
    /// First fragment of each frame; empty where they cannot be told apart.
    starts: Vec<usize>,
}

impl<'a> PixelFile<'a> {
    /// Finds the pixel data in the bytes of the file; `header` was read from the same file.
    pub(super) fn new(bytes: Cow<'a, [u8]>, header: &FileHeader) -> Result<Self> {
        let (start, _) = meta(&bytes)?.ok_or_else(|| corrupt("the file changed while it was read"))?;
        let (bytes, start) = match header.syntax.deflated {
            // No more is kept of what was inflated than the pixels.
            true => {
                let set = data_set(&bytes, &header.syntax, start)?;
                let value = set.get(header.pixels.start..).unwrap_or_default();
                let needed = header.format.frame_bytes().saturating_mul(header.planes.len());
                (Cow::Owned(value[..needed.min(value.len())].to_vec()), 0)
            }
            false => (bytes, start + header.pixels.start),
        };
        let mut file =
            PixelFile { bytes, start, length: header.pixels.length, fragments: Vec::new(), starts: Vec::new() };
        if !matches!(header.syntax.packing, Packing::Native) {
            let value = file.bytes.get(start..).unwrap_or_default();
            let items = items(value, header.syntax.encoding)?;
            let base = value.as_ptr() as usize;
            let place = |item: &&[u8]| {
                let at = start + (item.as_ptr() as usize - base);
                at..at + item.len()
            };
            let (table, fragments) = items.split_first().ok_or_else(|| corrupt("the pixel data hold no fragments"))?;
            let offsets = offset_table(table);
            file.fragments = fragments.iter().map(place).collect();
            file.starts = file.frame_starts(&offsets, header.planes.len());
        }
        Ok(file)
    }

    /// Decodes frame `index` into `out` in Hounsfield units; returns how many pixels were padding or
    /// below the scale and are now air.
    pub(super) fn frame(&self, header: &FileHeader, index: usize, out: &mut [f32]) -> Result<usize> {
        let format = &header.format;
        let plane = &header.planes[index];
        let pixels: Cow<[u8]> = match header.syntax.packing {
            Packing::Native => {
                let size = format.frame_bytes();
                let start = self.start + index * size;
                let within = self.length.is_some_and(|length| (index + 1) * size <= length);
                let frame = within.then(|| self.bytes.get(start..start + size)).flatten();
                Cow::Borrowed(frame.ok_or_else(|| corrupt("the pixel data break off"))?)
            }
            _ => Cow::Owned(self.packed_frame(header, index)?),
        };
        let big_endian = header.syntax.encoding.big_endian;
        to_hu(&pixels, header, big_endian, plane, out)
    }

    fn packed_frame(&self, header: &FileHeader, index: usize) -> Result<Vec<u8>> {
        let format = &header.format;
        let frame = self.frame_code(index, header.planes.len())?;
        let size = format.frame_bytes();
        static LARGE: Mutex<()> = Mutex::new(());
        let _one = (format.pixels() > MAX_PARALLEL).then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
        let decoded = match header.syntax.packing {
            Packing::EncapsulatedNative => frame.into_owned(),
            Packing::Rle => rle::decode(&frame, format.pixels(), format.bits_allocated as usize / 8)
                .ok_or_else(|| corrupt("the RLE segments are damaged or do not fill the frame"))?,
            _ => decode_codec(&frame, format, &header.syntax)?,
        };
        match decoded.len() {
            n if n == size => Ok(decoded),
            // Fragments have an even length: one byte of padding may follow.
            n if n == size + 1 && header.syntax.packing == Packing::EncapsulatedNative => Ok(decoded),
            n => Err(corrupt(format!("a frame decodes to {n} bytes where {size} are needed"))),
        }
    }

    /// The first fragment of each frame: one fragment a frame, or those that the offset table names, or, for a single
    /// frame, the first. Without a table, a fragment that starts a code stream starts a frame.
    fn frame_starts(&self, offsets: &[u32], frames: usize) -> Vec<usize> {
        let fragments = &self.fragments;
        if fragments.len() == frames {
            return (0..frames).collect();
        }
        if frames == 1 {
            return vec![0];
        }
        let starts: Vec<usize> = if offsets.len() == frames {
            let mut positions = Vec::with_capacity(fragments.len());
            let mut at = 0u64;
            for fragment in fragments {
                positions.push(at);
                at += fragment.len() as u64 + 8;
            }
            let find = |offset: &u32| positions.binary_search(&(*offset as u64)).ok();
            offsets.iter().map(find).collect::<Option<_>>().unwrap_or_default()
        } else {
            let starts_stream = |f: &[u8]| f.starts_with(&[0xff, 0xd8]) || f.starts_with(&[0xff, 0x4f, 0xff, 0x51]);
            (0..fragments.len()).filter(|i| starts_stream(&self.bytes[fragments[*i].clone()])).collect()
        };
        if starts.len() == frames && starts.is_sorted() { starts } else { Vec::new() }
    }

    /// The bytes of one frame.
    fn frame_code(&self, index: usize, frames: usize) -> Result<Cow<'_, [u8]>> {
        let fragments = &self.fragments;
        let Some(first) = self.starts.get(index).copied() else {
            return Err(corrupt(format!("{} fragments cannot be told apart into {frames} frames", fragments.len())));
        };
        let end = self.starts.get(index + 1).copied().unwrap_or(fragments.len());
        match fragments.get(first..end).unwrap_or_default() {
            [only] => Ok(Cow::Borrowed(&self.bytes[only.clone()])),
            several => Ok(Cow::Owned(several.iter().flat_map(|f| &self.bytes[f.clone()]).copied().collect())),
        }
    }
}

fn offset_table(item: &[u8]) -> Vec<u32> {
    item.as_chunks::<4>().0.iter().map(|raw| u32::from_le_bytes(*raw)).collect()
}

/// `slope · stored + intercept`; padding and values below the scale become air. Returns how many did.
fn to_hu(raw: &[u8], header: &FileHeader, big_endian: bool, plane: &Plane, out: &mut [f32]) -> Result<usize> {
    let slope = plane.slope.unwrap_or(1.0);
    let intercept = plane.intercept.unwrap_or(0.0);
    if slope == 0.0 {
        return Err(corrupt("a rescale slope of 0"));
    }
    let padding = padding_range(header, slope, intercept);
    let whole = slope.fract() == 0.0 && intercept.fract() == 0.0;
    // Whole numbers below 2²⁴ are exact in f32, which is twice as fast.
    if whole && slope.abs() * 65_536.0 + intercept.abs() < 16_777_216.0 {
        let (slope, intercept) = (slope as f32, intercept as f32);
        return Ok(rescale(raw, header, big_endian, padding, |stored| slope * stored as f32 + intercept, out));
    }
    Ok(rescale(raw, header, big_endian, padding, |stored| (slope * stored as f64 + intercept) as f32, out))
}

/// Takes the stored bits out of the pixels and rescales them. Written without branches, so that it is vectorised.
fn rescale(
    raw: &[u8],
    header: &FileHeader,
    big_endian: bool,
    padding: Option<[i32; 2]>,
    scale: impl Fn(i32) -> f32,
    out: &mut [f32],
) -> usize {
    let format = &header.format;
    let shift = 32 - format.bits_stored as u32;
    // No value lies in the empty range.
    let [low, high] = padding.unwrap_or([i32::MAX, i32::MIN]);
    // Bits above the stored ones may hold overlays: the sign is extended from the stored bits. Padding may also be a value
    // that only all of the bits can hold.
    let finish = |value: i32, all_bits: i32, out: &mut f32| -> u32 {
        let hu = scale(value);
        let padding = ((value >= low) & (value <= high)) | ((all_bits >= low) & (all_bits <= high));
        let below = padding | (hu < AIR_HU);
        *out = if below { AIR_HU } else { hu };
        u32::from(below)
    };
    let all = 32 - format.bits_allocated as u32;
    let signed =
        |bits: u32, out: &mut f32| finish(((bits << shift) as i32) >> shift, ((bits << all) as i32) >> all, out);
    let unsigned = |bits: u32, out: &mut f32| finish(((bits << shift) >> shift) as i32, bits as i32, out);
    let words = raw.as_chunks::<2>().0.iter();
    let replaced: u32 = match (format.bits_allocated, big_endian, format.signed) {
        (8, _, false) => raw.iter().zip(out).map(|(byte, out)| unsigned(u32::from(*byte), out)).sum(),
        (8, _, true) => raw.iter().zip(out).map(|(byte, out)| signed(u32::from(*byte), out)).sum(),
        (_, false, false) => words.zip(out).map(|(p, out)| unsigned(u16::from_le_bytes(*p).into(), out)).sum(),
        (_, false, true) => words.zip(out).map(|(p, out)| signed(u16::from_le_bytes(*p).into(), out)).sum(),
        (_, true, false) => words.zip(out).map(|(p, out)| unsigned(u16::from_be_bytes(*p).into(), out)).sum(),
        (_, true, true) => words.zip(out).map(|(p, out)| signed(u16::from_be_bytes(*p).into(), out)).sum(),
    };
    replaced as usize
}

/// The stored values that mean "no pixel here". A padding value that would be body tissue is not believed:
/// writers leave 0 there.
fn padding_range(header: &FileHeader, slope: f64, intercept: f64) -> Option<[i32; 2]> {
    let signed = header.format.signed;
    let [a, b] = header.padding?.map(|bits| if signed { bits as i16 as i32 } else { bits as i32 });
    let tissue = |value: i32| (-1000.0..=3071.0).contains(&(slope * value as f64 + intercept));
    (!tissue(a) && !tissue(b)).then(|| [a.min(b), a.max(b)])
}
