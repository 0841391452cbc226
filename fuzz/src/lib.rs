//! What the fuzz targets share: the limits that each input is held to, and mutations that keep a DICOM file whole.

pub mod dicom;
pub mod heap;
mod mutate;

pub use mutate::mutate;

use diffvp::{Result, Scan, ScanOptions};

/// Between the files of an input.
pub const CUT: &[u8] = b"-CUT-";

/// The pieces of an input.
pub fn pieces(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some(at) = rest.windows(CUT.len()).position(|window| window == CUT) {
        pieces.push(&rest[..at]);
        rest = &rest[at + CUT.len()..];
    }
    pieces.push(rest);
    pieces
}

/// Options with a limit that keeps an input's time and memory small.
pub fn options() -> ScanOptions {
    let mut options = ScanOptions::default();
    options.max_voxels = 1 << 24;
    options
}

/// To be called once, before the first input.
///
/// The library contains panics of its decoders. libFuzzer's hook would end the process at them; without it only a panic
/// that leaves the library does.
pub fn prepare() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let own = panic.location().is_some_and(|place| place.file().contains("diffvp"));
        if own || std::env::var_os("DIFFVP_FUZZ_PANICS").is_some() {
            told(panic);
        }
    }));
}

/// Opens a scan and holds it to its promises: memory, and a volume that is one.
pub fn check(open: impl FnOnce(&ScanOptions) -> Result<Scan>, options: &ScanOptions) {
    heap::start();
    let opened = open(options);
    // Of what is refused, the volume may have been as large as the options allow.
    let voxels = opened.as_ref().map_or(options.max_voxels as usize, |scan| scan.volume().voxels_hu().len());
    heap::check(voxels * size_of::<f32>());
    match opened {
        Ok(scan) => {
            let volume = scan.volume();
            assert_eq!(volume.dims().iter().product::<usize>(), volume.voxels_hu().len());
            assert!(volume.voxels_hu().iter().all(|hu| hu.is_finite()), "a voxel is not a number");
            assert!(volume.spacing_mm().iter().all(|mm| mm.is_finite() && *mm > 0.0), "a spacing is not one");
        }
        Err(diffvp::Error::Internal { detail }) => panic!("{detail}"),
        Err(error) => drop(error.to_string()),
    }
}
