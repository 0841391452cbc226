//! The graphs of a model package, one module each, over small blocks that they share.

mod classifier;
mod decoder;
mod difference;
mod embedding;
mod encoder;
mod layers;
mod linear;
mod resampler;
mod resnet;

pub use classifier::classifier;
pub use decoder::{DecoderOptions, decoder};
pub use difference::difference;
pub use embedding::{EmbeddingStorage, embedding};
pub use encoder::encoder;
pub use linear::WeightKind;
