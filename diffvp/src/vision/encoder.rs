//! Volume → latent tokens.

use std::path::Path;

use super::{VolumeTensor, finite_outputs};
use crate::Result;
use crate::package::manifest::VisionSizes;
use crate::runtime::{CancelToken, Graph, SessionOptions};

/// `encoder.onnx`: 3D ResNet-18 and Perceiver resampler.
#[derive(Debug)]
pub struct Encoder {
    graph: Graph,
}

/// What the encoder makes of one volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// Latent tokens I, `[n, d]`.
    pub tokens: Vec<f32>,
    /// Attention A of each token over the feature grid, `[n, v]`.
    pub attention: Vec<f32>,
}

impl Encoder {
    /// Loads the graph and checks its ports against the manifest's sizes.
    ///
    /// # Errors
    /// Those of [`Graph::open`].
    pub fn open(path: &Path, sizes: &VisionSizes, options: &SessionOptions) -> Result<Self> {
        let graph = Graph::open(path, options)?;
        let [c, s, h, w] = sizes.input.map(Some);
        let v = sizes.feature_grid.iter().product();
        graph.expect(
            &[("volume", &[None, c, s, h, w])],
            &[
                ("tokens", &[None, Some(sizes.tokens), Some(sizes.token_dim)]),
                ("attention", &[None, Some(sizes.tokens), Some(v)]),
            ],
        )?;
        Ok(Encoder { graph })
    }

    /// Encodes one volume.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`], [`crate::Error::Inference`].
    pub fn encode(&self, volume: &VolumeTensor, cancel: &CancelToken) -> Result<Encoding> {
        let outputs = self.graph.run_long("volume", &volume.tensor, cancel)?;
        let [tokens, attention] = finite_outputs(self.graph.name(), outputs)?;
        Ok(Encoding { tokens, attention })
    }
}
