//! LLaMA (Touvron et al., arXiv 2307.09288) on embeddings, for training: no KV cache.

use diffvp_exporter::config::LlamaConfig;
use tch::{Kind, Tensor};

use super::layers::{attention, join_heads, split_heads};
use super::{Adapter, LoraConfig, Parameters};
use crate::Result;

/// Embedding and decoder: `embedding.onnx` and `decoder.onnx`. Works in the number type of its parameters.
pub struct Llama {
    table: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    head: Tensor,
    /// `[context, head_dim]`: angles of the rotary embedding, both halves alike.
    cos: Tensor,
    sin: Tensor,
    config: LlamaConfig,
}

struct Layer {
    input_norm: Tensor,
    post_norm: Tensor,
    q: Projection,
    k: Projection,
    v: Projection,
    o: Projection,
    gate: Projection,
    up: Projection,
    down: Projection,
}

struct Projection {
    weight: Tensor,
    adapter: Option<Adapter>,
}

/// Where the text loss is taken.
pub struct TextLoss {
    /// Rows of `[b · t]` that predict a token of the report.
    pub rows: Tensor,
    /// The tokens they should predict, `[rows]`.
    pub targets: Tensor,
}

/// Where rows stand and what they see, if not in line and all before them.
pub struct Branches {
    /// Positions `[b, t]`, int64.
    pub positions: Tensor,
    /// Whether a row sees another, `[b, 1, t, t]`.
    pub sees: Tensor,
}

impl Llama {
    /// From the parameters `model.*` and `lm_head.weight`, and the adapter's.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters, config: &LlamaConfig, lora: Option<&LoraConfig>) -> Result<Self> {
        let layer = |i: usize| -> Result<Layer> {
            let name = format!("model.layers.{i}");
            let projection = |part: &str| -> Result<Projection> {
                let module = format!("{name}.{part}_proj");
                let weight = p.get(&format!("{module}.weight"))?;
                Ok(Projection { weight, adapter: Adapter::of(p, &module, lora)? })
            };
            Ok(Layer {
                input_norm: p.get(&format!("{name}.input_layernorm.weight"))?,
                post_norm: p.get(&format!("{name}.post_attention_layernorm.weight"))?,
                q: projection("self_attn.q")?,
                k: projection("self_attn.k")?,
                v: projection("self_attn.v")?,
                o: projection("self_attn.o")?,
                gate: projection("mlp.gate")?,
                up: projection("mlp.up")?,
                down: projection("mlp.down")?,
            })
        };
        let table = p.get("model.embed_tokens.weight")?;
        let head = if config.tie_word_embeddings { table.shallow_clone() } else { p.get("lm_head.weight")? };
        // In f64, as the exporter makes its tables.
        let frequencies = Tensor::from_slice(&config.rotary_frequencies()).to_device(p.device());
        let angles = Tensor::arange(config.context_length as i64, (Kind::Double, p.device())).outer(&frequencies);
        let angles = Tensor::cat(&[&angles, &angles], -1);
        Ok(Llama {
            layers: (0..config.layers).map(layer).collect::<Result<_>>()?,
            norm: p.get("model.norm.weight")?,
            head,
            cos: angles.cos().to_kind(Kind::Float),
            sin: angles.sin().to_kind(Kind::Float),
            table,
            config: config.clone(),
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
        let angles = self.angles(x.size()[1], branches);
        let sees = branches.map(|b| &b.sees);
        (0..self.layers.len()).fold(x, |x, i| self.layer(i, &x, &angles, sees, seed))
    }

    /// Logits `[rows, vocab]` in float32 of states `[rows, d_llm]`.
    pub fn logits(&self, states: &Tensor) -> Tensor {
        let normed = rms_norm(states, &self.norm, self.config.rms_norm_eps);
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
        let angles = self.angles(embeddings.size()[1], branches);
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
        let (layer, c, train) = (&self.layers[index], &self.config, seed.is_some());
        let y = rms_norm(x, &layer.input_norm, c.rms_norm_eps);
        let (heads, groups) = (c.attention_heads as i64, c.key_value_heads as i64);
        let q = rotate(&split_heads(&layer.q.forward(&y, train), heads), angles);
        let k = rotate(&split_heads(&layer.k.forward(&y, train), groups), angles);
        let v = split_heads(&layer.v.forward(&y, train), groups);
        let (k, v) = (self.repeat(&k), self.repeat(&v));
        let x = x + layer.o.forward(&join_heads(&attention(&q, &k, &v, sees, sees.is_none())), train);
        let y = rms_norm(&x, &layer.post_norm, c.rms_norm_eps);
        let gated = layer.gate.forward(&y, train).silu() * layer.up.forward(&y, train);
        x + layer.down.forward(&gated, train)
    }

    /// Each key-value head for the query heads that share it: `[b, kv, t, width]` → `[b, heads, t, width]`.
    fn repeat(&self, x: &Tensor) -> Tensor {
        let shared = (self.config.attention_heads / self.config.key_value_heads) as i64;
        if shared == 1 {
            return x.shallow_clone();
        }
        let size = x.size();
        x.unsqueeze(2).expand([-1, -1, shared, -1, -1], false).reshape([size[0], size[1] * shared, size[2], size[3]])
    }

    /// Cosines and sines of the angles of `rows` rows, to be multiplied with `[b, heads, rows, head_dim]`.
    fn angles(&self, rows: i64, branches: Option<&Branches>) -> [Tensor; 2] {
        [&self.cos, &self.sin].map(|table| {
            let angles = match branches {
                None => table.narrow(0, 0, rows),
                Some(branches) => Tensor::embedding(table, &branches.positions, -1, false, false).unsqueeze(1),
            };
            angles.to_kind(self.table.kind())
        })
    }
}

/// Rotary position embedding in halves, as Hugging Face stores LLaMA.
fn rotate(x: &Tensor, [cos, sin]: &[Tensor; 2]) -> Tensor {
    let halves = x.chunk(2, -1);
    x * cos + Tensor::cat(&[-&halves[1], halves[0].shallow_clone()], -1) * sin
}

impl Projection {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let y = x.linear::<Tensor>(&self.weight, None);
        match &self.adapter {
            Some(adapter) => y + adapter.forward(x, train),
            None => y,
        }
    }
}

/// `x / √(mean(x²) + ε) · w`, in float32.
fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f32) -> Tensor {
    let wide = x.to_kind(Kind::Float);
    let mean = wide.square().mean_dim([-1i64].as_slice(), true, Kind::Float);
    (wide * (mean + f64::from(epsilon)).rsqrt()).to_kind(x.kind()) * weight
}
