//! From config, weights and texts to a model package on disk.

mod card;
pub mod lineage;
mod phrases;
mod replace;
mod writer;

pub use phrases::add_phrases;
pub use writer::{ExportOptions, NormalReferences, PackageContents, write_package};
