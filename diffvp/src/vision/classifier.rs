//! Volume → probabilities of the findings.

use std::path::Path;

use super::{VolumeTensor, finite_outputs};
use crate::Result;
use crate::package::manifest::VisionSizes;
use crate::runtime::{CancelToken, Graph, SessionOptions};

/// `classifier.onnx`: a 3D ResNet-18 of its own whose voxel logits are joined by Noisy-OR,
/// p = 1 − Π(1 − p_v).
#[derive(Debug)]
pub struct Classifier {
    graph: Graph,
}

impl Classifier {
    /// Loads the graph and checks its ports against the manifest's sizes.
    ///
    /// # Errors
    /// Those of [`Graph::open`].
    pub fn open(path: &Path, sizes: &VisionSizes, findings: usize, options: &SessionOptions) -> Result<Self> {
        let graph = Graph::open(path, options)?;
        let [c, s, h, w] = sizes.input.map(Some);
        graph.expect(&[("volume", &[None, c, s, h, w])], &[("probabilities", &[None, Some(findings)])])?;
        Ok(Classifier { graph })
    }

    /// Probability of each finding, in the manifest's order.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`], [`crate::Error::Inference`].
    pub fn classify(&self, volume: &VolumeTensor, cancel: &CancelToken) -> Result<Vec<f32>> {
        let outputs = self.graph.run_long("volume", &volume.tensor, cancel)?;
        let [probabilities] = finite_outputs(self.graph.name(), outputs)?;
        Ok(probabilities)
    }
}
