//! A prepared volume in the form that graphs take.

use std::sync::Arc;

use crate::package::manifest::VisionSizes;
use crate::runtime::Tensor;
use crate::volume::{GridMap, ModelInput};
use crate::{Error, Result};

/// A prepared volume `[1, channels, slices, rows, columns]`, shared by encoder and classifier.
#[derive(Debug, Clone)]
pub struct VolumeTensor {
    pub(super) tensor: Arc<Tensor>,
    grid: GridMap,
}

impl VolumeTensor {
    /// Takes over a prepared volume.
    ///
    /// # Errors
    /// [`Error::Manifest`] where the preprocessing does not end in the size that the graphs take.
    pub fn new(input: ModelInput, sizes: &VisionSizes) -> Result<Self> {
        if input.shape != sizes.input {
            return Err(Error::Manifest {
                detail: format!("preprocessing ends in {:?}, and vision.input is {:?}", input.shape, sizes.input),
            });
        }
        let [c, s, h, w] = input.shape;
        let tensor = Arc::new(Tensor::f32(&[1, c, s, h, w], input.values)?);
        Ok(VolumeTensor { tensor, grid: input.grid })
    }

    /// The voxels `[channels, slices, rows, columns]`.
    pub(crate) fn values(&self) -> &[f32] {
        // Made from float32 above.
        self.tensor.as_f32().unwrap_or_default()
    }

    /// Where each voxel of the scan lies in the input.
    pub fn grid(&self) -> &GridMap {
        &self.grid
    }
}
