//! The error type of this package.

use std::path::PathBuf;

/// What a fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between data and a model package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From reading scans or packages, or from running graphs.
    #[error(transparent)]
    Diffvp(#[from] diffvp::Error),
    /// From weights, graphs or writing packages.
    #[error(transparent)]
    Exporter(#[from] diffvp_exporter::Error),
    /// A run folder that cannot be used.
    #[error("run folder: {path}: {detail}", path = path.display())]
    RunFolder {
        /// The folder or the file in it.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A normal reference that cannot be encoded.
    #[error("normal reference {path}: {source}", path = path.display())]
    Reference {
        /// The scan.
        path: PathBuf,
        /// Why.
        source: diffvp::Error,
    },
    /// A table of reports or labels that cannot be used.
    #[error("{path}: {detail}", path = path.display())]
    Table {
        /// The CSV file.
        path: PathBuf,
        /// What is wrong, and where: rows are counted from the header, which is row 1.
        detail: String,
    },
    /// A text classifier that cannot be used.
    #[error("labeller {path}: {detail}", path = path.display())]
    Labeller {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A package needs at least one normal reference.
    #[error("no normal reference was named: --references takes scans, or a folder of scans")]
    NoReferences,
}

impl Error {
    /// The exit status of the command: that of [`diffvp::Error::code`] where the cause is one, else 40.
    pub fn code(&self) -> i32 {
        match self {
            Error::Diffvp(source) | Error::Reference { source, .. } => source.code(),
            Error::Exporter(diffvp_exporter::Error::Diffvp(source)) => source.code(),
            _ => 40,
        }
    }
}
