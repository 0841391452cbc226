//! One or more DICOM files in memory: the input is cut at a marker.
#![no_main]

use diffvp::{Scan, ScanOptions};
use libfuzzer_sys::fuzz_target;

const CUT: &[u8] = b"-CUT-";

fuzz_target!(|data: &[u8]| {
    let mut files = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(CUT.len()).position(|window| window == CUT) {
        files.push(&rest[..at]);
        rest = &rest[at + CUT.len()..];
    }
    files.push(rest);
    let mut options = ScanOptions::default();
    options.max_voxels = 1 << 24;
    let _ = Scan::from_dicom_buffers(&files, &options);
});
