//! Sizes that a compressed frame announces of itself, read before a decoder may allocate by them.

/// Rows and columns that the code stream announces; `None` if no frame header is found.
///
/// Knows the start-of-frame segments of JPEG and JPEG-LS (ITU-T T.81 B.2.2, T.87 C.2.2) and the SIZ segment
/// of JPEG 2000 (T.800 A.5.1), whose image area is `Xsiz − XOsiz` by `Ysiz − YOsiz`.
pub(super) fn announced_size(code: &[u8]) -> Option<[u64; 2]> {
    // JPEG 2000 may be wrapped in the boxes of a JP2 file: its code stream starts with SOC and SIZ.
    let siz = code.windows(4).take(4096).position(|w| w == [0xff, 0x4f, 0xff, 0x51]);
    if let Some(at) = siz {
        let field = |n: usize| {
            let raw = code.get(at + 8 + 4 * n..at + 12 + 4 * n)?;
            Some(u32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]]) as u64)
        };
        let [x, y, x0, y0] = [field(0)?, field(1)?, field(2)?, field(3)?];
        return Some([y.checked_sub(y0)?, x.checked_sub(x0)?]);
    }
    let (_, size) = frame_header(code)?;
    let size = size.get(1..5)?;
    Some([u16::from_be_bytes([size[0], size[1]]) as u64, u16::from_be_bytes([size[2], size[3]]) as u64])
}

/// Kind and content of the start-of-frame segment of a JPEG or JPEG-LS code stream: precision, rows, columns.
fn frame_header(code: &[u8]) -> Option<(u8, &[u8])> {
    let mut at = code.windows(2).take(64).position(|w| w == [0xff, 0xd8])? + 2;
    loop {
        while *code.get(at)? == 0xff && *code.get(at + 1)? == 0xff {
            at += 1;
        }
        let [marker, kind] = [*code.get(at)?, *code.get(at + 1)?];
        if marker != 0xff {
            return None;
        }
        let length = u16::from_be_bytes([*code.get(at + 2)?, *code.get(at + 3)?]) as usize;
        // C4, C8 and CC are tables and extensions; F7 is the frame of JPEG-LS.
        if (matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc)) || kind == 0xf7 {
            return Some((kind, code.get(at + 4..)?));
        }
        at += 2 + length.max(2);
    }
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

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), jpeg: bool) {
            if jpeg && bytes.len() > 2 {
                bytes[..2].copy_from_slice(&[0xff, 0xd8]);
            }
            let _ = announced_size(&bytes);
        }
    }
}
