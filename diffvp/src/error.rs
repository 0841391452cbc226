//! The one error type of the crate, and its stable numbers.

use std::path::PathBuf;

/// What a fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, with what was expected and what was found.
///
/// Messages never contain patient data: a file inside a study is named by its position in the sorted
/// listing, and only paths that the caller passed in are repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path does not exist.
    #[error("{path}: no such file or folder", path = path.display())]
    NotFound {
        /// The path as the caller gave it.
        path: PathBuf,
    },
    /// The operating system refused to read.
    #[error("{path}: cannot read: {source}", path = path.display())]
    Read {
        /// The path as the caller gave it.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A folder holds no file that could belong to a scan.
    #[error("{path}: {detail}", path = path.display())]
    EmptyStudy {
        /// The folder.
        path: PathBuf,
        /// What was found instead.
        detail: String,
    },
    /// The bytes are neither NIfTI nor DICOM.
    #[error("{path}: not a scan that can be read: {detail}", path = path.display())]
    UnknownFormat {
        /// The path as the caller gave it.
        path: PathBuf,
        /// What the content looks like.
        detail: String,
    },
    /// The format is known, but this form of it is not read.
    #[error("unsupported: {detail}")]
    Unsupported {
        /// What was found, and what to do.
        detail: String,
    },
    /// The file is of a known format but damaged: truncated, contradictory, impossible.
    #[error("damaged file: {detail}")]
    Corrupt {
        /// What was expected and what was found.
        detail: String,
    },
    /// A size beyond the configured limit, or beyond memory (a limit of 0); refused before memory is taken.
    #[error("{what} is {found}, over the limit of {limit}")]
    LimitExceeded {
        /// What was measured, with its unit.
        what: String,
        /// What was found.
        found: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The file holds something else than one three-dimensional volume.
    #[error("not one three-dimensional volume: {detail}")]
    NotAVolume {
        /// The dimensions found.
        detail: String,
    },
    /// Voxels that are not numbers.
    #[error("voxel values are not usable: {detail}")]
    InvalidVoxels {
        /// How many, of what kind.
        detail: String,
    },
    /// Positions, spacing or directions that do not make a volume.
    #[error("geometry: {detail}")]
    Geometry {
        /// What does not fit, with numbers.
        detail: String,
    },
    /// No series of the study can be reported.
    #[error("no usable series: {detail}")]
    NoUsableSeries {
        /// How many series were seen, and why each was refused.
        detail: String,
    },
    /// The scan is readable, but not what the model is for.
    #[error("out of scope: {detail}")]
    OutOfScope {
        /// Why.
        detail: String,
    },

    /// The package has no readable `manifest.json`, or one that breaks its schema.
    #[error("package manifest: {detail}")]
    Manifest {
        /// The field and what is wrong with it.
        detail: String,
    },
    /// The package was made for another version of the format.
    #[error(
        "package format version {found} cannot be read by this diffvp, which reads up to {supported}: update diffvp, or export the package again"
    )]
    PackageVersion {
        /// Version found.
        found: u32,
        /// Newest version this crate reads.
        supported: u32,
    },
    /// The package asks for a feature that this crate does not have.
    #[error("the package requires the feature {feature:?}, which this diffvp does not have: update diffvp")]
    PackageFeature {
        /// The feature's name.
        feature: String,
    },
    /// A file that the manifest lists is not there.
    #[error("package file {file:?} is missing")]
    PackageFileMissing {
        /// Name inside the package.
        file: String,
    },
    /// A file differs from what the manifest says.
    #[error("package file {file:?} is not the one that was packaged: {detail}")]
    PackageFileChanged {
        /// Name inside the package.
        file: String,
        /// Size or hash, expected and found.
        detail: String,
    },
    /// The reference bank was made with another encoder.
    #[error("the reference bank belongs to another encoder: {detail}")]
    BankMismatch {
        /// The two hashes, or the two shapes.
        detail: String,
    },
    /// A file of the package is whole but cannot be used: not ONNX, wrong inputs, wrong shapes.
    #[error("package file {file:?} cannot be used: {detail}")]
    PackageContent {
        /// Name inside the package.
        file: String,
        /// Why.
        detail: String,
    },

    /// No ONNX Runtime library was found.
    #[error("no ONNX Runtime library found; looked at:\n{}\nSet ORT_DYLIB_PATH to libonnxruntime, or run `cargo xtask runtime`.", searched.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n"))]
    RuntimeNotFound {
        /// Every place that was tried, with the reason it did not do.
        searched: Vec<String>,
    },
    /// The library is there but cannot be used.
    #[error("{path}: cannot be used as ONNX Runtime: {detail}", path = path.display())]
    RuntimeUnusable {
        /// The library.
        path: PathBuf,
        /// Why: not a library, too old, another one already loaded.
        detail: String,
    },
    /// The requested device cannot run the package. Nothing falls back to another device.
    #[error("device {device} is not available: {detail}")]
    DeviceUnavailable {
        /// The device asked for.
        device: String,
        /// What the runtime answered.
        detail: String,
    },
    /// ONNX Runtime failed while running a graph.
    #[error("running {graph}: {detail}")]
    Inference {
        /// The graph.
        graph: String,
        /// What the runtime answered.
        detail: String,
    },

    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// An option with a value that cannot be used.
    #[error("option {name}: {detail}")]
    InvalidOption {
        /// The option.
        name: &'static str,
        /// What was given and what is allowed.
        detail: String,
    },
    /// A result could not be written. Nothing is left where the result belongs.
    #[error("{path}: cannot write: {source}", path = path.display())]
    Write {
        /// Where the result was to go.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The prompt leaves no room for a report.
    #[error("the prompt takes {prompt} of the decoder's {context} positions, which leaves no room for a report")]
    ContextFull {
        /// Positions taken by the prompt.
        prompt: usize,
        /// Positions the decoder has.
        context: usize,
    },
    /// A mistake of this crate.
    #[error("internal error, please report it: {detail}")]
    Internal {
        /// What was expected.
        detail: String,
    },
}

impl Error {
    /// The stable number of this kind of error: the exit status of the command line and the status of
    /// the C interface. Numbers are only ever added.
    pub fn code(&self) -> i32 {
        match self {
            Error::NotFound { .. } => 10,
            Error::Read { .. } => 11,
            Error::EmptyStudy { .. } => 12,
            Error::UnknownFormat { .. } => 13,
            Error::Unsupported { .. } => 14,
            Error::Corrupt { .. } => 15,
            Error::LimitExceeded { .. } => 16,
            Error::NotAVolume { .. } => 17,
            Error::InvalidVoxels { .. } => 18,
            Error::Geometry { .. } => 19,
            Error::NoUsableSeries { .. } => 20,
            Error::OutOfScope { .. } => 21,
            Error::Manifest { .. } => 30,
            Error::PackageVersion { .. } => 31,
            Error::PackageFeature { .. } => 32,
            Error::PackageFileMissing { .. } => 33,
            Error::PackageFileChanged { .. } => 34,
            Error::BankMismatch { .. } => 35,
            Error::PackageContent { .. } => 36,
            Error::RuntimeNotFound { .. } => 50,
            Error::RuntimeUnusable { .. } => 51,
            Error::DeviceUnavailable { .. } => 52,
            Error::Inference { .. } => 53,
            Error::Cancelled => 70,
            Error::InvalidOption { .. } => 71,
            Error::Write { .. } => 72,
            Error::ContextFull { .. } => 73,
            Error::Internal { .. } => 99,
        }
    }

    /// The kind of error as one stable word, for logs and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Error::NotFound { .. } => "not_found",
            Error::Read { .. } => "read",
            Error::EmptyStudy { .. } => "empty_study",
            Error::UnknownFormat { .. } => "unknown_format",
            Error::Unsupported { .. } => "unsupported",
            Error::Corrupt { .. } => "corrupt",
            Error::LimitExceeded { .. } => "limit_exceeded",
            Error::NotAVolume { .. } => "not_a_volume",
            Error::InvalidVoxels { .. } => "invalid_voxels",
            Error::Geometry { .. } => "geometry",
            Error::NoUsableSeries { .. } => "no_usable_series",
            Error::OutOfScope { .. } => "out_of_scope",
            Error::Manifest { .. } => "manifest",
            Error::PackageVersion { .. } => "package_version",
            Error::PackageFeature { .. } => "package_feature",
            Error::PackageFileMissing { .. } => "package_file_missing",
            Error::PackageFileChanged { .. } => "package_file_changed",
            Error::BankMismatch { .. } => "bank_mismatch",
            Error::PackageContent { .. } => "package_content",
            Error::RuntimeNotFound { .. } => "runtime_not_found",
            Error::RuntimeUnusable { .. } => "runtime_unusable",
            Error::DeviceUnavailable { .. } => "device_unavailable",
            Error::Inference { .. } => "inference",
            Error::Cancelled => "cancelled",
            Error::InvalidOption { .. } => "invalid_option",
            Error::Write { .. } => "write",
            Error::ContextFull { .. } => "context_full",
            Error::Internal { .. } => "internal",
        }
    }
}
