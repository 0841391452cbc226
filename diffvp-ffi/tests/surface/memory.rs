//! The caller's side of a call: arrays and strings to point to, and places for results.

use std::ffi::{CString, c_void};

use super::{Arg, Data, Text, dicom_files, voxels_i16};

/// What a place holds before a call.
pub const PATTERN: u64 = 0xa5a5_a5a5_a5a5_a5a5;

/// Words of a place for an array: the difference map of the demo's chest fits. Under Miri there are no reports.
const ARRAY_WORDS: usize = if cfg!(miri) { 16 } else { 1 << 16 };

/// Arrays and strings that make calls succeed.
pub struct Inputs {
    i16: Vec<i16>,
    f32: Vec<f32>,
    dims: [usize; 3],
    spacing: [f64; 3],
    direction: [f64; 9],
    origin: [f64; 3],
    files: Vec<Vec<u8>>,
    buffers: Vec<*const c_void>,
    sizes: Vec<usize>,
    scan: CString,
    package: CString,
    any: CString,
}

// SAFETY: the pointers are to memory of the same value, which never changes.
unsafe impl Send for Inputs {}
// SAFETY: as above.
unsafe impl Sync for Inputs {}

impl Inputs {
    pub fn new(scan: &str, package: &str) -> Self {
        let files = dicom_files();
        let text = |text: &str| CString::new(text).expect("no NUL");
        Inputs {
            i16: voxels_i16(),
            f32: voxels_i16().into_iter().map(f32::from).collect(),
            dims: [4; 3],
            spacing: [1.5, 1.5, 2.0],
            direction: [1., 0., 0., 0., 1., 0., 0., 0., 1.],
            origin: [1.0, 2.0, 3.0],
            buffers: files.iter().map(|file| file.as_ptr().cast()).collect(),
            sizes: files.iter().map(Vec::len).collect(),
            files,
            scan: text(scan),
            package: text(package),
            any: text("reference-001"),
        }
    }

    /// The word for an array.
    pub fn data(&self, data: Data) -> u64 {
        match data {
            Data::I16 => word(self.i16.as_ptr()),
            Data::F32 => word(self.f32.as_ptr()),
            Data::Dims => word(self.dims.as_ptr()),
            Data::Spacing => word(self.spacing.as_ptr()),
            Data::Direction => word(self.direction.as_ptr()),
            Data::Origin => word(self.origin.as_ptr()),
            Data::Buffers => word(self.buffers.as_ptr()),
            Data::Sizes => word(self.sizes.as_ptr()),
        }
    }

    /// The word for a string.
    pub fn text(&self, text: Text) -> u64 {
        match text {
            Text::ScanPath => word(self.scan.as_ptr()),
            Text::PackagePath => word(self.package.as_ptr()),
            Text::Any => word(self.any.as_ptr()),
        }
    }

    /// Bytes of all DICOM files.
    pub fn file_bytes(&self) -> usize {
        self.files.iter().map(Vec::len).sum()
    }
}

/// A pointer as a word.
pub fn word<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// Places for the results of one call.
pub struct Places(Vec<Vec<u64>>);

impl Places {
    pub fn new(args: &[Arg]) -> Self {
        let words = |arg: &Arg| match arg {
            Arg::OutArray | Arg::OutArrayOrNull => ARRAY_WORDS,
            Arg::Out | Arg::OutOrNull | Arg::Error => 2,
            _ => 0,
        };
        Places(args.iter().map(|arg| vec![PATTERN; words(arg)]).collect())
    }

    /// The word for the place of an argument.
    pub fn word(&mut self, index: usize) -> u64 {
        self.0[index].as_mut_ptr().expose_provenance() as u64
    }

    /// What was written first there.
    pub fn value(&self, index: usize) -> u64 {
        // SAFETY: the place lives, and was made with at least one word.
        unsafe { self.0[index].as_ptr().read_volatile() }
    }

    /// Whether nothing was written to the places that results go to.
    pub fn untouched(&self, args: &[Arg]) -> bool {
        let results = args.iter().zip(&self.0).filter(|(arg, _)| !matches!(arg, Arg::Error));
        results.flat_map(|(_, words)| words).all(|word| *word == PATTERN)
    }
}
