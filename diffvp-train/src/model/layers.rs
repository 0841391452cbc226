//! Linear layer, layer norm and attention over named parameters.

use tch::Tensor;

use super::Parameters;
use crate::Result;

/// ε of every layer norm, PyTorch's default.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// `x Wᵀ + b`, `[…, in]` → `[…, out]`, in the number type of `x`.
pub(super) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// `{name}.weight` and, with `bias`, `{name}.bias`.
    pub(super) fn new(p: &Parameters, name: &str, bias: bool) -> Result<Self> {
        let bias = if bias { Some(p.get(&format!("{name}.bias"))?) } else { None };
        Ok(Linear { weight: p.get(&format!("{name}.weight"))?, bias })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let kind = x.kind();
        x.linear(&self.weight.to_kind(kind), self.bias.as_ref().map(|b| b.to_kind(kind)))
    }
}

/// Layer norm over the last axis.
pub(super) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    /// `{name}.weight` and `{name}.bias`.
    pub(super) fn new(p: &Parameters, name: &str) -> Result<Self> {
        Ok(LayerNorm { weight: p.get(&format!("{name}.weight"))?, bias: p.get(&format!("{name}.bias"))? })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), LAYER_NORM_EPSILON, true)
    }
}

/// `[b, t, heads · width]` → `[b, heads, t, width]`.
pub(super) fn split_heads(x: &Tensor, heads: i64) -> Tensor {
    let size = x.size();
    x.view([size[0], size[1], heads, size[2] / heads]).transpose(1, 2)
}

/// `[b, heads, t, width]` → `[b, t, heads · width]`.
pub(super) fn join_heads(x: &Tensor) -> Tensor {
    let size = x.size();
    x.transpose(1, 2).reshape([size[0], size[2], size[1] * size[3]])
}

/// `softmax(Q Kᵀ / √width) V` over `[b, heads, t, width]`, `causal`, or each row over those that it `sees`, or over all.
pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, sees: Option<&Tensor>, causal: bool) -> Tensor {
    Tensor::scaled_dot_product_attention(q, k, v, sees, 0.0, causal, None, false)
}

/// The weights of [`attention`] without mask, `[b, heads, q, k]`.
pub(super) fn attention_weights(q: &Tensor, k: &Tensor) -> Tensor {
    let width = q.size()[3] as f64;
    (q / width.sqrt()).matmul(&k.transpose(-2, -1)).softmax(-1, None)
}
