//! Compressed frames: codecs of other crates behind checks of size and a guard against panics.
//!
//! JPEG-LS and JPEG with 12 bits are decoded by `openreadout-codecs`, everything else by what the registry of the
//! `dicom` crates has.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_encoding::Codec;
use dicom_encoding::adapters::{PixelDataObject, RawPixelData};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use openreadout_codecs::{CodecError, Raster, jpeg_decode_limited, jpegls_decode_limited};

use super::coded;
use super::file::PixelFormat;
use super::jpeg2000::Stream;
use super::pixels::corrupt;
use super::syntax::Syntax;
use crate::{Error, Result};

/// Scans of a JPEG frame, each of which may go over all of it. Encoders make one, or ten where it is progressive.
const MAX_SCANS: usize = 256;

/// One frame as the codecs of the registry want to see it.
struct CodecFrame<'a> {
    code: &'a [u8],
    format: &'a PixelFormat,
    syntax: &'a Syntax,
}

impl PixelDataObject for CodecFrame<'_> {
    fn transfer_syntax_uid(&self) -> &str {
        &self.syntax.uid
    }
    fn rows(&self) -> Option<u16> {
        Some(self.format.rows)
    }
    fn cols(&self) -> Option<u16> {
        Some(self.format.columns)
    }
    fn samples_per_pixel(&self) -> Option<u16> {
        Some(1)
    }
    fn bits_allocated(&self) -> Option<u16> {
        Some(self.format.bits_allocated)
    }
    fn bits_stored(&self) -> Option<u16> {
        Some(self.format.bits_stored)
    }
    fn photometric_interpretation(&self) -> Option<&str> {
        Some("MONOCHROME2")
    }
    fn number_of_frames(&self) -> Option<u32> {
        Some(1)
    }
    fn number_of_fragments(&self) -> Option<u32> {
        Some(1)
    }
    fn fragment(&self, fragment: usize) -> Option<Cow<'_, [u8]>> {
        (fragment == 0).then_some(Cow::Borrowed(self.code))
    }
    fn offset_table(&self) -> Option<Cow<'_, [u32]>> {
        Some(Cow::Borrowed(&[0]))
    }
    fn raw_pixel_data(&self) -> Option<RawPixelData> {
        Some(RawPixelData { fragments: vec![self.code.to_vec()].into(), offset_table: vec![0].into() })
    }
}

/// Decodes one frame with the codec that the registry has for the transfer syntax, into little-endian pixels.
///
/// # Errors
/// [`Error::Unsupported`] where there is none or it cannot do this form; [`Error::Corrupt`] for damaged code.
pub(super) fn decode_codec(code: &[u8], format: &PixelFormat, syntax: &Syntax) -> Result<Vec<u8>> {
    let unsupported = || Error::Unsupported {
        detail: format!(
            "pixels packed as {}: decompress the study first, or build diffvp with the feature that reads it",
            syntax.describe()
        ),
    };
    let jpeg_ls = matches!(syntax.uid.as_str(), "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81");
    let reader = match TransferSyntaxRegistry.get(&syntax.uid).map(|known| known.codec()) {
        Some(Codec::EncapsulatedPixelData(Some(reader), _)) => Some(reader),
        _ if jpeg_ls => None,
        _ => return Err(unsupported()),
    };
    let expected = [format.rows as u64, format.columns as u64];
    match coded::announced_size(code) {
        Some(found) if found == expected => {}
        Some([rows, columns]) => {
            return Err(corrupt(format!(
                "a compressed frame of {columns} × {rows} pixels in a slice of {} × {}",
                format.columns, format.rows
            )));
        }
        None => return Err(corrupt("a compressed frame without a frame header")),
    }
    match coded::components(code) {
        Some((1, true)) => {}
        Some((1, false)) => return Err(corrupt("a compressed frame with fewer samples than pixels")),
        Some((count, _)) => {
            return Err(Error::Unsupported {
                detail: format!("a compressed frame of {count} components: a CT has one"),
            });
        }
        None => return Err(corrupt("a compressed frame without a frame header")),
    }
    let code = match Stream::find(code) {
        Some(stream) => stream.check().map(|()| stream.bytes())?,
        None if coded::scans(code) > MAX_SCANS => {
            let (what, found) = ("number of scans of a JPEG frame".into(), coded::scans(code) as u64);
            return Err(Error::LimitExceeded { what, found, limit: MAX_SCANS as u64 });
        }
        None => code,
    };
    if let Some(what) = coded::lossless_beyond_decoder(code) {
        let detail = format!("{} with {what}: decompress the study first", syntax.describe());
        return Err(Error::Unsupported { detail });
    }
    let twelve_bits = syntax.uid == "1.2.840.10008.1.2.4.51" && coded::jpeg_precision(code) == Some(12);
    // The decoders index by what the code stream says and panic on damaged ones; each frame is
    // decoded into a buffer of its own, so nothing half-written survives.
    let outcome = catch_unwind(AssertUnwindSafe(|| match reader {
        _ if jpeg_ls => whole(code).and_then(|()| raster(jpegls_decode_limited(code, 2 * format.pixels()), format)),
        _ if twelve_bits => whole(code).and_then(|()| raster(jpeg_decode_limited(code, 2 * format.pixels()), format)),
        Some(reader) => {
            let mut decoded = Vec::new();
            let frame = CodecFrame { code, format, syntax };
            reader.decode_frame(&frame, 0, &mut decoded).map(|()| decoded).map_err(|error| error_chain(&error))
        }
        None => Err("unsupported".into()),
    }));
    match outcome {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(text)) => {
            if text.contains("nsupported") || text.contains("not supported") {
                return Err(Error::Unsupported { detail: format!("{}: {text}", syntax.describe()) });
            }
            Err(corrupt(format!("a frame packed as {} cannot be decoded: {text}", syntax.describe())))
        }
        Err(_) => Err(corrupt(format!("a frame packed as {} is damaged", syntax.describe()))),
    }
}

/// Whether the code stream has its end: these decoders make up what is missing.
fn whole(code: &[u8]) -> std::result::Result<(), String> {
    let end = code.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    match end.checked_sub(1).and_then(|at| code.get(at..=end)) {
        Some([0xff, 0xd9]) => Ok(()),
        _ => Err("the code stream breaks off".into()),
    }
}

/// The samples of a decoded picture in the width that the header announces.
fn raster(
    decoded: std::result::Result<Raster, CodecError>,
    format: &PixelFormat,
) -> std::result::Result<Vec<u8>, String> {
    let raster = decoded.map_err(|error| error_chain(&error))?;
    if raster.channels != 1 || raster.float {
        return Err("not one grey value per pixel".into());
    }
    match (raster.bits_per_sample, format.bits_allocated) {
        (8, 16) => Ok(raster.data.iter().flat_map(|sample| [*sample, 0]).collect()),
        (found, allocated) if found.div_ceil(8) == u32::from(allocated) / 8 => Ok(raster.data),
        (found, allocated) => Err(format!("samples of {found} bits where {allocated} are announced")),
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
