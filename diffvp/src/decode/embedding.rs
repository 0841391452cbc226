//! Token ids → rows that the decoder takes.

use std::path::Path;

use crate::runtime::{CancelToken, Graph, SessionOptions, Tensor};
use crate::{Error, Result};

/// `embedding.onnx`.
pub struct Embedding {
    graph: Graph,
}

impl Embedding {
    /// Loads the graph and checks its ports against the manifest's sizes.
    ///
    /// # Errors
    /// Those of [`Graph::open`].
    pub fn open(path: &Path, hidden_size: usize, options: &SessionOptions) -> Result<Self> {
        let graph = Graph::open(path, options)?;
        graph.expect(&[("token_ids", &[None, None])], &[("embeddings", &[None, None, Some(hidden_size)])])?;
        Ok(Embedding { graph })
    }

    /// Embeddings `[ids.len(), d_llm]`.
    ///
    /// # Errors
    /// [`Error::Inference`], also for ids outside the vocabulary; [`Error::Cancelled`].
    pub fn embed(&self, ids: &[u32], cancel: &CancelToken) -> Result<Vec<f32>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let tensor = Tensor::i64(&[1, ids.len()], ids.iter().map(|&id| i64::from(id)).collect())?;
        let outputs = self.graph.run(&[("token_ids", &tensor)], cancel)?;
        outputs
            .into_iter()
            .next()
            .and_then(Tensor::into_f32)
            .ok_or_else(|| Error::Inference { graph: "embedding".into(), detail: "no float output".into() })
    }
}
