//! Chest CT to radiology report: the DiffVP method on ONNX Runtime.

mod engine;
mod error;
mod options;
mod prompt;
mod reporter;
mod warning;

pub mod decode;
pub mod files;
pub mod package;
pub mod report;
pub mod runtime;
pub mod scan;
pub mod vision;
pub mod volume;

pub use decode::{Sampling, StopReason};
pub use error::{Error, Result};
pub use options::{Event, Flow, ReportOptions, Stage};
pub use report::Report;
pub use reporter::{Reporter, ReporterBuilder};
pub use runtime::{CancelToken, Device};
pub use scan::{Scan, ScanOptions};
pub use vision::ReferencePolicy;
pub use volume::Volume;
pub use warning::{Warning, WarningCode};
