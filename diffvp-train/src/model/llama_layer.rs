//! A layer of LLaMA, and the rotary positions of its rows.

use diffvp_exporter::config::LlamaConfig;
use tch::{Device, Kind, Tensor};

use super::layers::{attention, join_heads, split_heads};
use super::{Adapter, LoraConfig, Parameters};
use crate::Result;

/// Attention and MLP with their norms.
pub struct LlamaLayer {
    input_norm: Tensor,
    post_norm: Tensor,
    q: Projection,
    k: Projection,
    v: Projection,
    o: Projection,
    gate: Projection,
    up: Projection,
    down: Projection,
    config: LlamaConfig,
}

struct Projection {
    weight: Tensor,
    adapter: Option<Adapter>,
}

/// What a layer gives, and what its matrices were multiplied with, `[b, t, …]`.
pub struct LayerOutput {
    /// States behind the layer.
    pub output: Tensor,
    /// Input of `q_proj`, `k_proj` and `v_proj`.
    pub attention_input: Tensor,
    /// Input of `o_proj`.
    pub attended: Tensor,
    /// Input of `gate_proj` and `up_proj`.
    pub mlp_input: Tensor,
    /// Input of `down_proj`.
    pub gated: Tensor,
}

/// Where rows stand and what they see, if not in line and all before them.
pub struct Branches {
    /// Positions `[b, t]`, int64.
    pub positions: Tensor,
    /// Whether a row sees another, `[b, 1, t, t]`.
    pub sees: Tensor,
}

impl LlamaLayer {
    /// From the parameters `model.layers.{index}.*`, and the adapter's.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters, config: &LlamaConfig, index: usize, lora: Option<&LoraConfig>) -> Result<Self> {
        let name = format!("model.layers.{index}");
        let projection = |part: &str| -> Result<Projection> {
            let module = format!("{name}.{part}_proj");
            let weight = p.get(&format!("{module}.weight"))?;
            Ok(Projection { weight, adapter: Adapter::of(p, &module, lora)? })
        };
        Ok(LlamaLayer {
            input_norm: p.get(&format!("{name}.input_layernorm.weight"))?,
            post_norm: p.get(&format!("{name}.post_attention_layernorm.weight"))?,
            q: projection("self_attn.q")?,
            k: projection("self_attn.k")?,
            v: projection("self_attn.v")?,
            o: projection("self_attn.o")?,
            gate: projection("mlp.gate")?,
            up: projection("mlp.up")?,
            down: projection("mlp.down")?,
            config: config.clone(),
        })
    }

    /// States `[b, t, d_llm]` through the layer; each row sees those before it, or those that it `sees`. With `train` the adapters drop
    /// inputs out.
    pub fn forward(&self, x: &Tensor, angles: &[Tensor; 2], sees: Option<&Tensor>, train: bool) -> LayerOutput {
        let c = &self.config;
        let attention_input = rms_norm(x, &self.input_norm, c.rms_norm_eps);
        let (heads, groups) = (c.attention_heads as i64, c.key_value_heads as i64);
        let q = rotate(&split_heads(&self.q.forward(&attention_input, train), heads), angles);
        let k = rotate(&split_heads(&self.k.forward(&attention_input, train), groups), angles);
        let v = split_heads(&self.v.forward(&attention_input, train), groups);
        let (k, v) = (self.repeat(&k), self.repeat(&v));
        let attended = join_heads(&attention(&q, &k, &v, sees, sees.is_none()));
        let x = x + self.o.forward(&attended, train);
        let mlp_input = rms_norm(&x, &self.post_norm, c.rms_norm_eps);
        let gated = self.gate.forward(&mlp_input, train).silu() * self.up.forward(&mlp_input, train);
        let output = x + self.down.forward(&gated, train);
        LayerOutput { output, attention_input, attended, mlp_input, gated }
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

/// Cosines and sines of the angles of all positions, `[context, head_dim]`, both halves alike.
pub struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// In f64, as the exporter makes its tables.
    pub fn new(config: &LlamaConfig, device: Device) -> Self {
        let frequencies = Tensor::from_slice(&config.rotary_frequencies()).to_device(device);
        let angles = Tensor::arange(config.context_length as i64, (Kind::Double, device)).outer(&frequencies);
        let angles = Tensor::cat(&[&angles, &angles], -1);
        Rotary { cos: angles.cos().to_kind(Kind::Float), sin: angles.sin().to_kind(Kind::Float) }
    }

    /// Those of `rows` rows, to be multiplied with `[b, heads, rows, head_dim]`.
    pub fn angles(&self, rows: i64, branches: Option<&Branches>, kind: Kind) -> [Tensor; 2] {
        [&self.cos, &self.sin].map(|table| {
            let angles = match branches {
                None => table.narrow(0, 0, rows),
                Some(branches) => Tensor::embedding(table, &branches.positions, -1, false, false).unsqueeze(1),
            };
            angles.to_kind(kind)
        })
    }
}

/// Rotary position embedding in halves, as Hugging Face stores LLaMA.
fn rotate(x: &Tensor, [cos, sin]: &[Tensor; 2]) -> Tensor {
    let halves = x.chunk(2, -1);
    x * cos + Tensor::cat(&[-&halves[1], halves[0].shallow_clone()], -1) * sin
}

/// `x / √(mean(x²) + ε) · w`, in float32.
pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f32) -> Tensor {
    let wide = x.to_kind(Kind::Float);
    let mean = wide.square().mean_dim([-1i64].as_slice(), true, Kind::Float);
    (wide * (mean + f64::from(epsilon)).rsqrt()).to_kind(x.kind()) * weight
}
