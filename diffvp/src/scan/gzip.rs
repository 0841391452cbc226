//! The content of gzip files: members one behind the other, and zeros that fill up the last block of a tape or disk.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Reads all members as one stream. Like `gzip`, it takes zeros behind the last member for padding.
pub(super) struct Members<R: BufRead> {
    /// Nothing once the stream has come to its end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    pub(super) fn new(stream: R) -> Self {
        Members { member: Some(GzDecoder::new(stream)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    /// # Errors
    /// `UnexpectedEof`, `InvalidInput` and `InvalidData` where the stream breaks off or is damaged, a checksum included.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { break };
            if begins_member(&mut rest)? {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Whether something other than zeros follows.
fn begins_member(stream: &mut impl BufRead) -> io::Result<bool> {
    let mut padded = false;
    loop {
        let bytes = stream.fill_buf()?;
        match bytes.iter().position(|byte| *byte != 0) {
            Some(0) if !padded => return Ok(true),
            Some(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "data behind zeros")),
            None if bytes.is_empty() => return Ok(false),
            None => padded = true,
        }
        let length = bytes.len();
        stream.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use proptest::prelude::*;

    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn content(file: &[u8], capacity: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Members::new(BufReader::with_capacity(capacity, file)).read_to_end(&mut out).map(|_| out)
    }

    proptest! {
        #[test]
        fn members_follow_each_other_and_zeros_end_them(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4),
            zeros in 0usize..600,
            capacity in 1usize..64,
        ) {
            let mut file: Vec<u8> = parts.iter().flat_map(|part| packed(part)).collect();
            file.resize(file.len() + zeros, 0);
            prop_assert_eq!(content(&file, capacity).unwrap(), parts.concat());
        }

        #[test]
        fn what_follows_must_be_a_member(at in 0usize..20, byte in 1u8..) {
            let mut file = packed(b"voxels");
            let end = file.len();
            file.resize(end + 20, 0);
            file[end + at] = byte;
            prop_assert!(content(&file, 64).is_err());
        }

        #[test]
        fn what_breaks_off_is_an_error(keep in 1usize..40) {
            let file = packed(b"many different voxels");
            prop_assert_eq!(content(&file[..keep.min(file.len())], 64).is_ok(), keep >= file.len());
        }
    }
}
