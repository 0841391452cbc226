//! Scan tokens against reference tokens.

use std::path::Path;

use super::finite_outputs;
use crate::Result;
use crate::package::manifest::VisionSizes;
use crate::runtime::{CancelToken, Graph, SessionOptions, Tensor};

/// `difference.onnx`: Δ_global, Δ_local, projector and I·W.
#[derive(Debug)]
pub struct Difference {
    graph: Graph,
    tokens: usize,
    token_dim: usize,
}

/// What the comparison gives the decoder, and the reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// Δ_prompt, `[p, d_llm]` (equation 8).
    pub prefix: Vec<f32>,
    /// I·W, `[n, d_llm]`.
    pub visual: Vec<f32>,
    /// Sᵢ = ‖Iᵢ − Iᵢʳ‖², `[n]`.
    pub importance: Vec<f32>,
    /// wᵢ = Sᵢ / (Σⱼ Sⱼ + ε), `[n]` (equation 6).
    pub weights: Vec<f32>,
}

impl Difference {
    /// Loads the graph and checks its ports against the manifest's sizes.
    ///
    /// # Errors
    /// Those of [`Graph::open`].
    pub fn open(path: &Path, sizes: &VisionSizes, hidden_size: usize, options: &SessionOptions) -> Result<Self> {
        let graph = Graph::open(path, options)?;
        let (n, d, p) = (Some(sizes.tokens), Some(sizes.token_dim), Some(sizes.prefix_tokens));
        let width = Some(hidden_size);
        graph.expect(
            &[("tokens", &[None, n, d]), ("reference", &[None, n, d])],
            &[
                ("prefix", &[None, p, width]),
                ("visual", &[None, n, width]),
                ("importance", &[None, n]),
                ("weights", &[None, n]),
            ],
        )?;
        Ok(Difference { graph, tokens: sizes.tokens, token_dim: sizes.token_dim })
    }

    /// Compares scan tokens I with reference tokens Iʳ, both `[n, d]`.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`], [`crate::Error::Inference`], [`crate::Error::Internal`] for wrong sizes.
    pub fn contrast(&self, tokens: &[f32], reference: &[f32], cancel: &CancelToken) -> Result<Contrast> {
        let shape = [1, self.tokens, self.token_dim];
        let tokens = Tensor::f32(&shape, tokens.to_vec())?;
        let reference = Tensor::f32(&shape, reference.to_vec())?;
        let outputs = self.graph.run(&[("tokens", &tokens), ("reference", &reference)], cancel)?;
        let [prefix, visual, importance, weights] = finite_outputs(self.graph.name(), outputs)?;
        Ok(Contrast { prefix, visual, importance, weights })
    }
}
