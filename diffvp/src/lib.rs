//! Chest CT to radiology report: the DiffVP method on ONNX Runtime.

mod error;
mod prompt;
mod warning;

pub mod decode;
pub mod files;
pub mod package;
pub mod report;
pub mod runtime;
pub mod scan;
pub mod vision;
pub mod volume;

pub use error::{Error, Result};
pub use runtime::{CancelToken, Device};
pub use scan::{Scan, ScanOptions};
pub use volume::Volume;
pub use warning::{Warning, WarningCode};
