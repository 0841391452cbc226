//! A NIfTI file, plain or inside gzip; the first byte says which volume is asked for.
#![no_main]

use std::io::Write;

use diffvp::{Scan, ScanOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, content)) = data.split_first() else { return };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    let mut options = ScanOptions::default();
    options.max_voxels = 1 << 24;
    options.volume = (*first < 8).then_some(usize::from(*first));
    options.spacing_mm = (*first & 128 != 0).then_some([1.0, 1.0, 3.0]);
    let _ = Scan::open_with(file.path(), &options);
});
