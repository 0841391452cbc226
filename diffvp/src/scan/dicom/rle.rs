//! RLE lossless (PS3.5, annex G).
//!
//! Own code because the decoder of the `dicom` crates allocates what the header announces and expands a whole
//! segment before it looks at the frame's size; here nothing is written beyond the frame.

/// Decodes one frame of `pixels` pixels with `bytes_per_pixel` bytes each into little-endian pixels.
///
/// `None` if the segments are damaged or do not fill the frame.
pub(super) fn decode(fragment: &[u8], pixels: usize, bytes_per_pixel: usize) -> Option<Vec<u8>> {
    let word = |n: usize| {
        let raw = fragment.get(4 * n..4 * n + 4)?;
        Some(u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]) as usize)
    };
    if word(0)? != bytes_per_pixel || bytes_per_pixel > 15 {
        return None;
    }
    let mut frame = vec![0; pixels * bytes_per_pixel];
    for segment in 0..bytes_per_pixel {
        let start = word(1 + segment)?;
        let end = if segment + 1 < bytes_per_pixel {
            word(2 + segment)?
        } else {
            fragment.len()
        };
        // The first segment holds the most significant bytes.
        let lane = bytes_per_pixel - 1 - segment;
        unpack(
            fragment.get(start..end)?,
            &mut frame[lane..],
            pixels,
            bytes_per_pixel,
        )?;
    }
    Some(frame)
}

/// PackBits: writes `count` bytes, `stride` apart.
fn unpack(packed: &[u8], out: &mut [u8], count: usize, stride: usize) -> Option<()> {
    let (mut at, mut written) = (0, 0);
    while written < count {
        let control = *packed.get(at)? as i8;
        at += 1;
        match control {
            0.. => {
                let run = packed.get(at..at + control as usize + 1)?;
                at += run.len();
                for byte in run.iter().take(count - written) {
                    out[written * stride] = *byte;
                    written += 1;
                }
            }
            i8::MIN => {}
            _ => {
                let byte = *packed.get(at)?;
                at += 1;
                for _ in 0..(1 - control as i32).min((count - written) as i32) {
                    out[written * stride] = byte;
                    written += 1;
                }
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packs every byte as a literal run.
    fn encode(pixels: &[u16]) -> Vec<u8> {
        let lane = |shift: u16| -> Vec<u8> {
            pixels
                .chunks(128)
                .flat_map(|run| {
                    std::iter::once(run.len() as u8 - 1)
                        .chain(run.iter().map(move |p| (p >> shift) as u8))
                })
                .collect()
        };
        let (high, low) = (lane(8), lane(0));
        let mut bytes = vec![0; 64];
        bytes[0] = 2;
        bytes[4] = 64;
        bytes[8..12].copy_from_slice(&(64 + high.len() as u32).to_le_bytes());
        bytes.extend(high);
        bytes.extend(low);
        bytes
    }

    #[test]
    fn runs_and_literals() {
        let mut out = [0; 8];
        unpack(&[0xfe, 0xaa, 0x80, 1, 1, 2, 0xfd, 9], &mut out, 8, 1).unwrap();
        assert_eq!(out, [0xaa, 0xaa, 0xaa, 1, 2, 9, 9, 9]);
        assert!(unpack(&[0xfe, 0xaa], &mut out, 8, 1).is_none());
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(pixels in prop::collection::vec(any::<u16>(), 1..400)) {
            let frame = decode(&encode(&pixels), pixels.len(), 2).unwrap();
            let back: Vec<u16> = frame.chunks(2).map(|p| u16::from_le_bytes([p[0], p[1]])).collect();
            prop_assert_eq!(back, pixels);
        }

        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, 50, 2);
            if bytes.len() > 12 {
                bytes[..4].copy_from_slice(&[2, 0, 0, 0]);
                let _ = decode(&bytes, 50, 2);
            }
        }
    }
}
