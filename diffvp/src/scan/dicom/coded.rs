//! What a compressed frame announces of itself, read before a decoder may allocate by it.

use super::jpeg2000::Stream;

/// Rows and columns that the code stream announces; `None` if no frame header is found.
///
/// Knows the start-of-frame segments of JPEG and JPEG-LS (ITU-T T.81 B.2.2, T.87 C.2.2), and JPEG 2000.
pub(super) fn announced_size(code: &[u8]) -> Option<[u64; 2]> {
    if let Some(stream) = Stream::find(code) {
        return stream.size();
    }
    let (_, size) = frame_header(code)?;
    let size = size.get(1..5)?;
    Some([u16::from_be_bytes([size[0], size[1]]) as u64, u16::from_be_bytes([size[2], size[3]]) as u64])
}

/// Components that the code stream announces, and whether each has a value for every pixel.
pub(super) fn components(code: &[u8]) -> Option<(u16, bool)> {
    if let Some(stream) = Stream::find(code) {
        return stream.components();
    }
    let (_, frame) = frame_header(code)?;
    Some((u16::from(*frame.get(5)?), true))
}

/// What of lossless JPEG the decoder does wrongly without an error: restart intervals and point transforms (T.81, H.1.2).
pub(super) fn lossless_beyond_decoder(code: &[u8]) -> Option<&'static str> {
    let lossless = frame_header(code).is_some_and(|(kind, _)| kind == 0xc3);
    for (kind, segment) in segments(code)?.filter(|_| lossless) {
        match (kind, segment) {
            (0xdd, [high, low, ..]) if [*high, *low] != [0, 0] => return Some("restart intervals"),
            // Components, two bytes for each, then predictor, end, and both bit positions.
            (0xda, [count, rest @ ..]) => {
                let shift = rest.get(2 * *count as usize + 2)? & 0x0f;
                return (shift != 0).then_some("a point transform");
            }
            _ => {}
        }
    }
    None
}

/// Scans of a JPEG code stream: inside coded data, no byte 255 is followed by this one.
pub(super) fn scans(code: &[u8]) -> usize {
    code.windows(2).filter(|pair| *pair == [0xff, 0xda]).count()
}

/// Kind and content of the segments of a JPEG code stream, up to the first that breaks off or is none. Markers that have no
/// length end it too: decoders differ in what they take for the next.
fn segments(code: &[u8]) -> Option<impl Iterator<Item = (u8, &[u8])>> {
    let mut at = code.windows(2).take(64).position(|w| w == [0xff, 0xd8])? + 2;
    Some(std::iter::from_fn(move || {
        while *code.get(at)? == 0xff && *code.get(at + 1)? == 0xff {
            at += 1;
        }
        let [marker, kind] = [*code.get(at)?, *code.get(at + 1)?];
        let length = u16::from_be_bytes([*code.get(at + 2)?, *code.get(at + 3)?]) as usize;
        let segment = code.get(at + 4..(at + 2 + length.max(2)).min(code.len()))?;
        at += 2 + length.max(2);
        let has_length = (0xc0..=0xfe).contains(&kind) && !(0xd0..=0xd9).contains(&kind);
        (marker == 0xff && has_length).then_some((kind, segment))
    }))
}

/// Kind and content of the start-of-frame segment of a JPEG or JPEG-LS code stream: precision, rows, columns.
fn frame_header(code: &[u8]) -> Option<(u8, &[u8])> {
    // C4, C8 and CC are tables and extensions; F7 is the frame of JPEG-LS.
    let is_frame = |kind: u8| (matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc)) || kind == 0xf7;
    segments(code)?.find(|(kind, _)| is_frame(*kind))
}

/// Bits of a sample that a JPEG code stream announces.
pub(super) fn jpeg_precision(code: &[u8]) -> Option<u8> {
    let (_, frame) = frame_header(code)?;
    frame.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_found() {
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc3, 0, 11, 16, 2, 0, 1, 0, 1, 0, 0, 0];
        assert_eq!(announced_size(&jpeg), Some([512, 256]));
        let mut j2k = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
        for v in [300u32, 200, 44, 0] {
            j2k.extend(v.to_be_bytes());
        }
        assert_eq!(announced_size(&j2k), Some([200, 256]));
        assert_eq!(announced_size(b"no picture"), None);
    }

    /// A lossless JPEG up to its scan: frame of one component, perhaps a restart interval, scan with a point transform.
    fn lossless(interval: Option<u16>, shift: u8, components: u8) -> Vec<u8> {
        let mut code = vec![0xff, 0xd8, 0xff, 0xc3, 0, 11, 16, 2, 0, 1, 0, components, 1, 0x11, 0];
        if let Some(interval) = interval {
            code.extend([0xff, 0xdd, 0, 4]);
            code.extend(interval.to_be_bytes());
        }
        code.extend([0xff, 0xda, 0, 8, 1, 1, 0, 1, 0, shift, 0x55]);
        code
    }

    #[test]
    fn what_the_decoder_would_do_wrongly_is_seen() {
        assert_eq!(lossless_beyond_decoder(&lossless(None, 0, 1)), None);
        assert_eq!(lossless_beyond_decoder(&lossless(Some(0), 0, 1)), None);
        assert_eq!(lossless_beyond_decoder(&lossless(Some(256), 0, 1)), Some("restart intervals"));
        assert_eq!(lossless_beyond_decoder(&lossless(None, 2, 1)), Some("a point transform"));
        assert_eq!(components(&lossless(None, 0, 3)), Some((3, true)));
        let mut j2k = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
        j2k.extend([0; 32]);
        j2k.extend([0, 2, 15, 1, 2]);
        assert_eq!(components(&j2k), Some((2, false)));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), jpeg: bool) {
            if jpeg && bytes.len() > 2 {
                bytes[..2].copy_from_slice(&[0xff, 0xd8]);
            }
            let _ = (announced_size(&bytes), components(&bytes), lossless_beyond_decoder(&bytes));
        }
    }
}
