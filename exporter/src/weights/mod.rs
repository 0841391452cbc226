//! Named weights: what a config needs, where they are read from, and how they are written.

mod files;
pub mod random;
mod rounded;
mod save;
mod spec;

pub use files::SafetensorsWeights;
pub use random::RandomWeights;
pub use rounded::{RoundedWeights, load_rounded, save_rounded};
pub use save::save_safetensors;
pub use spec::{Init, REFERENCE_VOLUME, TensorSpec, llama_specs, tensor_specs};

use crate::error::Result;
use crate::quantize::{BlockScheme, BlockTensor};

/// A source of named float32 tensors.
///
/// Exporting reads each tensor when it is written and drops it again, so a source of many gigabytes
/// need not be in memory. Merging an adapter is a source that wraps another.
pub trait Weights: Sync {
    /// The tensor `name` in row-major order, every value finite.
    ///
    /// # Errors
    /// `WeightMissing`, `WeightShape` (expected and found), `WeightType`, `WeightNotFinite`.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;

    /// The matrix `name` as it was rounded beforehand, where it was; without, export rounds it by itself.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) where it was rounded to another scheme or shape.
    fn blocks(&self, _name: &str, _shape: [usize; 2], _scheme: BlockScheme) -> Result<Option<BlockTensor>> {
        Ok(None)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::collections::HashMap;

    use super::*;
    use crate::error::Error;

    /// Weights held in memory.
    #[derive(Default)]
    pub(crate) struct MemoryWeights(pub(crate) HashMap<String, Vec<f32>>);

    impl Weights for MemoryWeights {
        fn tensor(&self, name: &str, _: &[usize]) -> Result<Vec<f32>> {
            self.0.get(name).cloned().ok_or_else(|| Error::WeightMissing { name: name.to_string() })
        }
    }
}
