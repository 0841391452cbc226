//! What a JPEG 2000 code stream announces of itself (ITU-T T.800, annex A), read before a decoder takes memory and time by it.

use crate::{Error, Result};

/// Tiles of a frame: decoders keep kilobytes for each. A slice has one, or some dozens.
const MAX_TILES: u64 = 4096;
/// Quality layers of a frame, each with a packet for every precinct. Encoders make one, or some dozens.
const MAX_LAYERS: u16 = 256;
/// Least width and height of a precinct, as a power of two: decoders keep hundreds of bytes for each.
const LEAST_PRECINCT: u8 = 4;

const SIZ: u8 = 0x51;
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const SOT: u8 = 0x90;
const SOD: u8 = 0x93;

/// A code stream from its SOC marker on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream<'a>(&'a [u8]);

impl<'a> Stream<'a> {
    /// Finds the code stream, which some writers wrap in the boxes of a JP2 file.
    pub(super) fn find(code: &'a [u8]) -> Option<Self> {
        let at = code.windows(4).take(4096).position(|w| w == [0xff, 0x4f, 0xff, SIZ])?;
        Some(Stream(&code[at..]))
    }

    /// The bytes without what they are wrapped in. Boxes could say otherwise than the code: a palette makes many colours.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// A number of the SIZ segment: ends, starts, sizes and starts of tiles, each along x and y.
    fn siz(self, field: usize) -> Option<u64> {
        let raw = self.0.get(8 + 4 * field..12 + 4 * field)?;
        Some(u64::from(u32::from_be_bytes(raw.try_into().ok()?)))
    }

    /// Rows and columns: the image area is `Xsiz − XOsiz` by `Ysiz − YOsiz`.
    pub(super) fn size(self) -> Option<[u64; 2]> {
        Some([self.siz(1)?.checked_sub(self.siz(3)?)?, self.siz(0)?.checked_sub(self.siz(2)?)?])
    }

    /// Components, and whether each has a value for every pixel.
    pub(super) fn components(self) -> Option<(u16, bool)> {
        let count = self.0.get(40..42)?;
        // Precision, then the distances of samples.
        let first = self.0.get(42..45)?;
        Some((u16::from_be_bytes([count[0], count[1]]), first[1..] == [1, 1]))
    }

    fn tiles(self) -> Option<u64> {
        let along = |axis: usize| {
            let length = self.siz(axis)?.checked_sub(self.siz(axis + 6)?)?;
            length.checked_next_multiple_of(self.siz(axis + 4)?).map(|whole| whole / self.siz(axis + 4).unwrap_or(1))
        };
        along(0)?.checked_mul(along(1)?)
    }

    /// Kind and content of the segments of all headers, up to where they break off.
    fn segments(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let code = self.0;
        let (mut at, mut part_end) = (2, None);
        std::iter::from_fn(move || {
            if code.get(at..at + 2) == Some(&[0xff, SOD]) {
                // The data of the part follow; the next part has a header of its own. A part that says it ends within
                // its header does not lead back.
                at = part_end.take().map_or(at, |end: usize| end.max(at));
            }
            let [marker, kind] = [*code.get(at)?, *code.get(at + 1)?];
            let length = usize::from(u16::from_be_bytes([*code.get(at + 2)?, *code.get(at + 3)?]));
            let segment = code.get(at + 4..at + 2 + length)?;
            if kind == SOT {
                let part = u32::from_be_bytes(segment.get(2..6)?.try_into().ok()?) as usize;
                // 0 stands for all that follows.
                part_end = Some(if part == 0 { code.len() } else { at.saturating_add(part.max(length + 2)) });
            }
            at += 2 + length;
            (marker == 0xff).then_some((kind, segment))
        })
    }

    /// Refuses what no encoder makes of a slice and what would take a decoder memory or time without bounds.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for many tiles or layers, [`Error::Unsupported`] for small precincts.
    pub(super) fn check(self) -> Result<()> {
        let limit = |what: &str, found: u64, limit: u64| match found {
            _ if found <= limit => Ok(()),
            _ => Err(Error::LimitExceeded { what: format!("number of {what} of a JPEG 2000 frame"), found, limit }),
        };
        limit("tiles", self.tiles().unwrap_or(0), MAX_TILES)?;
        for (kind, segment) in self.segments() {
            // Style, order and layers (of COD only), levels, size of code blocks, transformation; then precincts.
            let (style, sizes) = match (kind, segment) {
                (COD, [style, _, high, low, _, _, _, _, _, _, sizes @ ..]) => {
                    limit("layers", u16::from_be_bytes([*high, *low]).into(), MAX_LAYERS.into())?;
                    (style, sizes)
                }
                (COC, [_, style, _, _, _, _, _, sizes @ ..]) => (style, sizes),
                _ => continue,
            };
            if style & 1 != 0 && sizes.iter().any(|size| size & 15 < LEAST_PRECINCT || size >> 4 < LEAST_PRECINCT) {
                return Err(Error::Unsupported {
                    detail: "JPEG 2000 with precincts of less than 16 pixels: decompress the study first".into(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Headers of a stream of 64 × 48 pixels: size of tiles, layers, precincts in the first header and in that of a tile.
    fn stream(tile: u32, layers: u16, precinct: u8, in_tile: u8) -> Vec<u8> {
        let cod = |precinct: u8| {
            let [high, low] = layers.to_be_bytes();
            [0xff, COD, 0, 13, 1, 0, high, low, 0, 0, 4, 4, 0, 0, precinct]
        };
        let mut code = vec![0xff, 0x4f, 0xff, SIZ, 0, 41, 0, 0];
        code.extend([64, 48, 0, 0, tile, tile, 0, 0].iter().flat_map(|v: &u32| v.to_be_bytes()));
        code.extend([0, 1, 15, 1, 1]);
        code.extend(cod(precinct));
        // Of the first part nothing but its head; the second has a header.
        code.extend([0xff, SOT, 0, 10, 0, 0, 0, 0, 0, 16, 0, 2, 0xff, SOD, 1, 2]);
        code.extend([0xff, SOT, 0, 10, 0, 0, 0, 0, 0, 0, 1, 2]);
        code.extend(cod(in_tile));
        code.extend([0xff, SOD]);
        code
    }

    #[test]
    fn what_is_announced_is_seen_also_inside_boxes() {
        let mut code = b"\0\0\0\x0cjP  \r\n\x87\n".to_vec();
        code.extend(stream(64, 1, 0xff, 0xff));
        let found = Stream::find(&code).unwrap();
        assert_eq!((found.size(), found.components(), found.tiles()), (Some([48, 64]), Some((1, true)), Some(1)));
        assert_eq!(found.bytes(), &code[12..]);
        assert!(found.check().is_ok() && Stream::find(b"no picture").is_none());
    }

    #[test]
    fn a_part_that_ends_within_its_header_comes_to_an_end() {
        let mut code = stream(64, 1, 0xff, 0xff);
        let part = code.windows(2).rposition(|w| w == [0xff, SOT]).unwrap();
        code[part + 9] = 12;
        let stream = Stream::find(&code).unwrap();
        assert!(stream.segments().take(code.len()).count() < code.len() && stream.check().is_ok());
    }

    #[test]
    fn what_takes_memory_without_bounds_is_refused() {
        let check = |code: Vec<u8>| Stream::find(&code).unwrap().check();
        assert!(check(stream(1, 1, 0xff, 0xff)).is_ok(), "3072 tiles");
        assert!(check(stream(0, 1, 0xff, 0xff)).is_ok(), "the decoder refuses tiles of no size");
        let mut many = stream(1, 1, 0xff, 0xff);
        many[10] = 1;
        assert!(matches!(check(many), Err(Error::LimitExceeded { found: 15_360, .. })));
        assert!(matches!(check(stream(64, 257, 0xff, 0xff)), Err(Error::LimitExceeded { found: 257, .. })));
        for (first, in_tile) in [(0x14, 0xff), (0x43, 0xff), (0xff, 0x11)] {
            assert!(
                matches!(check(stream(64, 1, first, in_tile)), Err(Error::Unsupported { .. })),
                "{first} {in_tile}"
            );
        }
        assert!(check(stream(64, 1, 0x44, 0x44)).is_ok());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(at in 0usize..120, bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut code = stream(64, 1, 0xff, 0xff);
            code.splice(at.min(code.len())..(at + bytes.len()).min(code.len()).max(at.min(code.len())), bytes);
            if let Some(stream) = Stream::find(&code) {
                let _ = (stream.size(), stream.components(), stream.check());
            }
        }
    }
}
