//! A NIfTI file. The first byte says which volume is asked for, whether a spacing is given, and whether the file is packed:
//! packed bytes cannot be mutated to any purpose.
#![no_main]

use std::io::Write;

use diffvp::Scan;
use diffvp_fuzz::{check, options, prepare};
use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: prepare(), |data: &[u8]| {
    let Some((first, content)) = data.split_first() else { return };
    // A folder of its own: an input that is an index stands for the folder that it lies in.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut file = std::fs::File::create(&path).unwrap();
    if *first & 64 != 0 {
        let mut packed = GzEncoder::new(&mut file, Compression::fast());
        packed.write_all(content).unwrap();
        packed.finish().unwrap();
    } else {
        file.write_all(content).unwrap();
    }
    let mut options = options();
    options.volume = (*first & 63 < 8).then_some(usize::from(*first & 63));
    options.spacing_mm = (*first & 128 != 0).then_some([1.0, 1.0, 3.0]);
    check(|options| Scan::open_with(&path, options), &options);
});
