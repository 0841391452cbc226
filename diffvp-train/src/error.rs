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
    /// A training run that cannot start or go on.
    #[error("training: {detail}")]
    Training {
        /// What is wrong, and what to do.
        detail: String,
    },
    /// An error of libtorch.
    #[error("libtorch: {detail}")]
    Libtorch {
        /// Its message.
        detail: String,
    },
    /// A data set that cannot be used.
    #[error("data set: {path}: {detail}", path = path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
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
    /// A check that has found something.
    #[error("{path}: {problems} problems", path = path.display())]
    ProblemsFound {
        /// The data set.
        path: PathBuf,
        /// How many.
        problems: usize,
    },
    /// A scan of a data set that cannot be loaded.
    #[error("{path}: {source}", path = path.display())]
    Scan {
        /// The scan.
        path: PathBuf,
        /// Why.
        source: diffvp::Error,
    },
    /// A package needs at least one normal reference.
    #[error("no normal reference was named: --references takes scans, or a folder of scans")]
    NoReferences,
    /// A column that was asked for is not in the table.
    #[error("{path}: no column `{column}`; it has {found}", path = path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column that was asked for.
        column: String,
        /// The columns that are there.
        found: String,
    },
    /// WordNet's dictionary cannot be read.
    #[error("WordNet: {path}: {detail}", path = path.display())]
    WordNet {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Results that cannot be compared or aggregated.
    #[error("{0}")]
    Incomparable(String),
    /// A judge's answers that cannot be counted.
    #[error("{path}: {detail}", path = path.display())]
    JudgeAnswers {
        /// The file.
        path: PathBuf,
        /// Which answers, and what is wrong with each.
        detail: String,
    },
}

#[cfg(feature = "torch")]
impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Error::Libtorch { detail: error.to_string() }
    }
}

impl Error {
    pub(crate) fn training(detail: impl Into<String>) -> Self {
        Error::Training { detail: detail.into() }
    }

    /// A file of data that cannot be used.
    pub fn data(path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Error::Data { path: path.into(), detail: detail.into() }
    }

    /// The exit status of the command: that of [`diffvp::Error::code`] where the cause is one, else 40 to 44.
    pub fn code(&self) -> i32 {
        match self {
            Error::Diffvp(source) | Error::Reference { source, .. } | Error::Scan { source, .. } => source.code(),
            Error::Exporter(diffvp_exporter::Error::Diffvp(source)) => source.code(),
            Error::Data { .. } | Error::ProblemsFound { .. } | Error::Table { .. } | Error::MissingColumn { .. } => 41,
            Error::WordNet { .. } => 42,
            Error::Incomparable(_) => 43,
            Error::JudgeAnswers { .. } => 44,
            _ => 40,
        }
    }
}
