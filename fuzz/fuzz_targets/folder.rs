//! A folder of files: the input is cut at a marker, and the byte behind it says where each piece lies.
#![no_main]

use diffvp::{Scan, ScanOptions};
use libfuzzer_sys::fuzz_target;

const CUT: &[u8] = b"-CUT-";
const PLACES: [&str; 8] = ["", "a", "a/b", "DICOM/PA0", "x/y/z", "DICOMDIR", ".hidden", "scan.nii.gz"];

fuzz_target!(|data: &[u8]| {
    let root = tempfile::tempdir().unwrap();
    let mut rest = data;
    for index in 0..16 {
        let at = rest.windows(CUT.len()).position(|window| window == CUT);
        let (piece, next) = at.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + CUT.len()..])));
        let (place, content) = piece.split_first().map_or((0, piece), |(first, content)| (*first, content));
        let folder = root.path().join(PLACES[usize::from(place) % 5]);
        std::fs::create_dir_all(&folder).unwrap();
        let name = PLACES[usize::from(place / 8) % PLACES.len()].replace('/', "_");
        std::fs::write(folder.join(format!("{index:02}{name}")), content).unwrap();
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    let mut options = ScanOptions::default();
    options.max_voxels = 1 << 24;
    let _ = Scan::open_with(root.path(), &options);
});
