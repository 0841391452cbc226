//! The error type of the exporter.

use std::path::PathBuf;

/// What a fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between named weights and a model package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of the configuration that cannot be used.
    #[error("config field {field}: {detail}")]
    Config {
        /// The field, as a path such as `decoder.head_dim`.
        field: String,
        /// What was found and what is allowed.
        detail: String,
    },
    /// The configuration is not the JSON that is expected.
    #[error("config: {0}")]
    ConfigJson(#[source] serde_json::Error),
    /// A weight that the configuration needs is in no file.
    #[error("weight {name:?} is missing")]
    WeightMissing {
        /// The weight.
        name: String,
    },
    /// A weight has another shape than the configuration says.
    #[error("weight {name:?} has shape {found:?}, expected {expected:?}")]
    WeightShape {
        /// The weight.
        name: String,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A weight has an element type that is not read.
    #[error("weight {name:?} has element type {found}; f32, f16 and bf16 are read")]
    WeightType {
        /// The weight.
        name: String,
        /// The type in the file.
        found: String,
    },
    /// A weight holds NaN or infinity.
    #[error("weight {name:?} holds {value} at element {index}")]
    WeightNotFinite {
        /// The weight.
        name: String,
        /// Position in row-major order.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A file of weights that is damaged, or a set of files that does not fit together.
    #[error("{path}: {detail}", path = path.display())]
    WeightFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A checkpoint that cannot become a decoder.
    #[error("{path}: {detail}", path = path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What in it.
        detail: String,
    },
    /// A file could not be read.
    #[error("{path}: cannot read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file could not be written. Nothing is left where the result belongs.
    #[error("{path}: cannot write: {source}", path = path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The target exists and is not a model package, so that it is not replaced.
    #[error("{path}: exists and is not a diffvp package; it is left as it is", path = path.display())]
    NotAPackage {
        /// The folder.
        path: PathBuf,
    },
    /// The tokenizer cannot be trained, read or used with this configuration.
    #[error("tokenizer: {detail}")]
    Tokenizer {
        /// Why.
        detail: String,
    },
    /// What goes into the package contradicts itself or the configuration.
    #[error("package content {field}: {detail}")]
    Content {
        /// The part.
        field: String,
        /// What does not fit.
        detail: String,
    },
    /// An error of the `diffvp` library, such as one met while the bank is built.
    #[error(transparent)]
    Diffvp(#[from] diffvp::Error),
    /// A mistake of this crate.
    #[error("internal error, please report it: {detail}")]
    Internal {
        /// What was expected.
        detail: String,
    },
}

impl Error {
    pub(crate) fn config(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Error::Config { field: field.into(), detail: detail.into() }
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Error::Internal { detail: detail.into() }
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Read { path, source }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Write { path, source }
    }
}
