//! From config, weights and texts to a model package on disk.

mod card;
pub mod lineage;
mod replace;
mod writer;

pub use writer::{ExportOptions, NormalReferences, PackageContents, write_package};
