//! Slices of a study → pixels in Hounsfield units, reading each file no more often than needed.

use std::borrow::Cow;
use std::collections::HashMap;

use super::file::FileHeader;
use super::input::Input;
use super::pixels::PixelFile;
use super::series::Slice;
use crate::{Error, Result};

/// Decodes slices; can be shared by threads.
pub(super) struct Decoder<'a> {
    inputs: &'a [Input<'a>],
    used: &'a [usize],
    headers: &'a [FileHeader],
    /// Files of many frames are read and taken apart once; files of one frame where they are decoded.
    shared: HashMap<usize, PixelFile<'a>>,
}

impl<'a> Decoder<'a> {
    /// `used` are the indices of the headers' inputs.
    pub(super) fn new(
        inputs: &'a [Input<'a>],
        used: &'a [usize],
        headers: &'a [FileHeader],
        slices: &[Slice],
    ) -> Result<Self> {
        let mut files: Vec<usize> = slices.iter().map(|s| s.file).filter(|f| headers[*f].planes.len() > 1).collect();
        files.sort_unstable();
        files.dedup();
        let open = |file: usize| Ok((file, PixelFile::new(read(&inputs[used[file]])?, &headers[file])?));
        let shared = files.into_iter().map(open).collect::<Result<_>>()?;
        Ok(Decoder { inputs, used, headers, shared })
    }

    /// Decodes a slice into `out`; returns how many pixels were padding or below the scale.
    pub(super) fn slice(&self, Slice { file, frame }: Slice, out: &mut [f32]) -> Result<usize> {
        let header = &self.headers[file];
        match self.shared.get(&file) {
            Some(pixels) => pixels.frame(header, frame, out),
            None => PixelFile::new(read(&self.inputs[self.used[file]])?, header)?.frame(header, frame, out),
        }
    }
}

fn read<'a>(input: &Input<'a>) -> Result<Cow<'a, [u8]>> {
    input.read().map_err(|e| Error::Corrupt { detail: format!("cannot be read: {}", e.kind()) })
}
