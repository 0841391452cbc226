//! LLaMA (Touvron et al., arXiv 2307.09288) on embeddings, for training: no KV cache.

use diffvp_exporter::config::LlamaConfig;
use tch::{Kind, Tensor};

use super::llama_layer::{Branches, LlamaLayer, Rotary, rms_norm};
use super::{LoraConfig, Parameters};
use crate::Result;

/// Embedding and decoder: `embedding.onnx` and `decoder.onnx`. Works in the number type of its parameters.
pub struct Llama {
    table: Tensor,
    layers: Vec<LlamaLayer>,
    norm: Tensor,
    head: Tensor,
    rotary: Rotary,
    epsilon: f32,
}

/// Where the text loss is taken.
pub struct TextLoss {
    /// Rows of `[b · t]` that predict a token of the report.
    pub rows: Tensor,
    /// The tokens they should predict, `[rows]`.
    pub targets: Tensor,
}

impl Llama {
    /// From the parameters `model.*` and `lm_head.weight`, and the adapter's.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters, config: &LlamaConfig, lora: Option<&LoraConfig>) -> Result<Self> {
        let table = p.get("model.embed_tokens.weight")?;
        let head = if config.tie_word_embeddings { table.shallow_clone() } else { p.get("lm_head.weight")? };
        Ok(Llama {
            layers: (0..config.layers).map(|i| LlamaLayer::new(p, config, i, lora)).collect::<Result<_>>()?,
            norm: p.get("model.norm.weight")?,
            head,
            rotary: Rotary::new(config, p.device()),
            table,
            epsilon: config.rms_norm_eps,
        })
    }

    /// Token ids `[b, t]` → embeddings `[b, t, d_llm]`.
    pub fn embed(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.table, ids, -1, false, false)
    }

    /// Embeddings `[b, t, d_llm]` → states `[b, t, d_llm]` before the last norm. Without `branches` they stand at positions 0 to
    /// t − 1, and each sees those before it. With a `seed` the adapters drop inputs out.
    pub fn states(&self, embeddings: &Tensor, branches: Option<&Branches>, seed: Option<i64>) -> Tensor {
        let x = embeddings.to_kind(self.table.kind());
        let angles = self.rotary.angles(x.size()[1], branches, x.kind());
        let sees = branches.map(|b| &b.sees);
        (0..self.layers.len()).fold(x, |x, i| self.layer(i, &x, &angles, sees, seed))
    }

    /// Logits `[rows, vocab]` in float32 of states `[rows, d_llm]`.
    pub fn logits(&self, states: &Tensor) -> Tensor {
        let normed = rms_norm(states, &self.norm, self.epsilon);
        normed.linear::<Tensor>(&self.head, None).to_kind(Kind::Float)
    }

    /// Sum of the negative log-likelihood over the rows of `loss`, of states `[b, t, d_llm]`.
    pub fn loss(&self, states: &Tensor, loss: &TextLoss) -> Tensor {
        let rows = states.flatten(0, 1).index_select(0, &loss.rows);
        self.logits(&rows).cross_entropy_loss::<Tensor>(&loss.targets, None, tch::Reduction::Sum, -100, 0.0)
    }

    /// Adds the gradients of `scale · loss(states(embeddings))` to those of the decoder's parameters, but keeps only
    /// the inputs of the layers and computes each layer again when its gradient is due: memory of one layer in place of
    /// all. Returns the unscaled loss, and the gradient of the embeddings, which are left for the caller to go on with.
    pub fn backward_recomputing(
        &self,
        embeddings: &Tensor,
        branches: Option<&Branches>,
        loss: &TextLoss,
        seed: Option<i64>,
        scale: f64,
    ) -> (Tensor, Tensor) {
        let angles = self.rotary.angles(embeddings.size()[1], branches, self.table.kind());
        let sees = branches.map(|b| &b.sees);
        let mut inputs = Vec::with_capacity(self.layers.len());
        let mut x = embeddings.detach().to_kind(self.table.kind());
        tch::no_grad(|| {
            for i in 0..self.layers.len() {
                inputs.push(x.shallow_clone());
                x = self.layer(i, &x, &angles, sees, seed);
            }
        });
        let last = x.detach().set_requires_grad(true);
        let value = self.loss(&last, loss);
        (&value * scale).backward();
        let mut gradient = last.grad().detach();
        for (i, input) in inputs.iter().enumerate().rev() {
            let input = input.detach().set_requires_grad(true);
            (self.layer(i, &input, &angles, sees, seed) * &gradient).sum(Kind::Float).backward();
            gradient = input.grad().detach();
        }
        (value.detach(), gradient.to_kind(embeddings.kind()))
    }

    fn layer(
        &self,
        index: usize,
        x: &Tensor,
        angles: &[Tensor; 2],
        sees: Option<&Tensor>,
        seed: Option<i64>,
    ) -> Tensor {
        if let Some(seed) = seed {
            // The same numbers when the layer is computed again.
            tch::manual_seed(seed.wrapping_mul(1009).wrapping_add(index as i64));
        }
        self.layers[index].forward(x, angles, sees, seed.is_some()).output
    }
}
