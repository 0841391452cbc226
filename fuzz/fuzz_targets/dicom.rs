//! One or more DICOM files in memory: the input is cut at a marker.
#![no_main]

use diffvp::Scan;
use diffvp_fuzz::{check, dicom::deflate, mutate, options, pieces, prepare};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(init: prepare(), |data: &[u8]| {
    let files: Vec<Vec<u8>> = pieces(data).into_iter().map(deflate).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    check(|options| Scan::from_dicom_buffers(&files, options), &options());
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate(data, size, max_size, seed, 0) });
