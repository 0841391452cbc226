//! A folder of files: the input is cut at a marker, and the first byte of each piece says where it lies.
#![no_main]

use diffvp::Scan;
use diffvp_fuzz::{check, dicom::deflate, mutate, options, pieces, prepare};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const FOLDERS: [&str; 5] = ["", "a", "a/b", "DICOM/PA0", "1/2/3/4/5/6/7/8/9"];
const NAMES: [&str; 8] = ["", "a", "IM0.dcm", "x.nii", "DICOMDIR", "dicomdir", ".hidden", "scan.nii.gz"];

fuzz_target!(init: prepare(), |data: &[u8]| {
    let root = tempfile::tempdir().unwrap();
    let mut opened = root.path().to_path_buf();
    for (index, piece) in pieces(data).into_iter().take(16).enumerate() {
        let (place, content) = piece.split_first().map_or((0, piece), |(first, content)| (usize::from(*first), content));
        let folder = root.path().join(FOLDERS[place % 5]);
        std::fs::create_dir_all(&folder).unwrap();
        // Indexes and hidden files have no other name than theirs.
        let name = NAMES[place / 8 % NAMES.len()];
        let number = if (4..7).contains(&(place / 8 % NAMES.len())) { String::new() } else { format!("{index:02}") };
        let path = folder.join(number + name);
        std::fs::write(&path, deflate(content)).unwrap();
        // At times the file is opened by its name: an index then stands for the folder.
        if index == 0 && place >= 192 {
            opened = path;
        }
    }
    check(|options| Scan::open_with(&opened, options), &options());
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate(data, size, max_size, seed, 1) });
