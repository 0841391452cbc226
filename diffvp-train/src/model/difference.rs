//! Tokens of target and reference → the difference prompt (paper, equations 4 to 8).

use diffvp_exporter::ModelConfig;
use tch::{Kind, Tensor};

use super::Parameters;
use super::layers::{LayerNorm, Linear, attention, join_heads, split_heads};
use crate::Result;

/// Difference operators and projector: `difference.onnx`.
pub struct Difference {
    global: Option<Global>,
    local: bool,
    own_reference: bool,
    pixel_level: bool,
    projector: Option<Projector>,
    visual: Linear,
    epsilon: f64,
    prefix_tokens: i64,
}

/// What [`Difference::forward`] gives.
pub struct Contrast {
    /// Δ_prompt `[b, p, d_llm]`; p is 0 without a difference.
    pub prefix: Tensor,
    /// I·W `[b, n, d_llm]`.
    pub visual: Tensor,
    /// S `[b, n]`.
    pub importance: Tensor,
    /// w `[b, n]`.
    pub weights: Tensor,
    /// The differences in use, `[b, d]` each: Δ_global, Δ_local.
    pub parts: Vec<Tensor>,
}

struct Global {
    query: Tensor,
    position: Option<Tensor>,
    in_proj_weight: Tensor,
    in_proj_bias: Tensor,
    out_proj: Linear,
    linear1: Linear,
    linear2: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
    heads: i64,
}

struct Projector {
    fc1: Linear,
    fc2: Vec<Linear>,
}

impl Difference {
    /// From the parameters `difference.*` and `visual_proj.weight`.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters, config: &ModelConfig) -> Result<Self> {
        let diff = &config.difference;
        let name = "difference.projector";
        let projector = || -> Result<Projector> {
            let fc2 = match diff.projector_rank {
                None => vec![Linear::new(p, &format!("{name}.fc2"), true)?],
                Some(_) => vec![
                    Linear::new(p, &format!("{name}.fc2_down"), false)?,
                    Linear::new(p, &format!("{name}.fc2_up"), true)?,
                ],
            };
            Ok(Projector { fc1: Linear::new(p, &format!("{name}.fc1"), true)?, fc2 })
        };
        Ok(Difference {
            global: diff.global.then(|| Global::new(p, config)).transpose()?,
            local: diff.local,
            own_reference: diff.own_reference,
            pixel_level: diff.pixel_level,
            projector: (diff.prefix_tokens > 0).then(projector).transpose()?,
            visual: Linear::new(p, "visual_proj", false)?,
            epsilon: diff.epsilon.into(),
            prefix_tokens: diff.prefix_tokens as i64,
        })
    }

    /// `tokens` I and `reference` Iʳ `[b, n, d]`; `[I ; I_d]` `[b, n, 2 d]` where the comparison is at pixel level, and then
    /// Iʳ is what differs from I by I_d.
    pub fn forward(&self, tokens: &Tensor, reference: &Tensor) -> Contrast {
        let (tokens, reference, delta) = if self.pixel_level {
            let d = tokens.size()[2] / 2;
            let (own, delta) = (tokens.narrow(2, 0, d), tokens.narrow(2, d, d));
            let reference = &own - &delta;
            (own, reference, delta)
        } else {
            let reference = if self.own_reference { tokens } else { reference };
            (tokens.shallow_clone(), reference.shallow_clone(), tokens - reference)
        };
        let importance = delta.square().sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
        let sum = importance.sum_dim_intlist([-1i64].as_slice(), true, Kind::Float) + self.epsilon;
        let weights = &importance / sum;
        let visual = self.visual.forward(&tokens);
        let mut parts = Vec::new();
        if let Some(global) = &self.global {
            parts.push(global.forward(&tokens, &reference));
        }
        if self.local {
            parts.push(weights.unsqueeze(1).matmul(&delta).squeeze_dim(1));
        }
        let prefix = match &self.projector {
            Some(projector) => {
                let size = visual.size();
                projector.forward(&Tensor::cat(&parts, -1)).view([size[0], self.prefix_tokens, size[2]])
            }
            None => visual.narrow(1, 0, 0),
        };
        Contrast { prefix, visual, importance, weights, parts }
    }
}

impl Global {
    fn new(p: &Parameters, config: &ModelConfig) -> Result<Self> {
        let t = "difference.transformer";
        let positions = config.difference.positions;
        Ok(Global {
            query: p.get("difference.query")?,
            position: positions.then(|| p.get("difference.position")).transpose()?,
            in_proj_weight: p.get(&format!("{t}.self_attn.in_proj_weight"))?,
            in_proj_bias: p.get(&format!("{t}.self_attn.in_proj_bias"))?,
            out_proj: Linear::new(p, &format!("{t}.self_attn.out_proj"), true)?,
            linear1: Linear::new(p, &format!("{t}.linear1"), true)?,
            linear2: Linear::new(p, &format!("{t}.linear2"), true)?,
            norm1: LayerNorm::new(p, &format!("{t}.norm1"))?,
            norm2: LayerNorm::new(p, &format!("{t}.norm2"))?,
            heads: config.difference.heads as i64,
        })
    }

    /// Δ_global `[b, d]`. Only the state at δ is read, so only δ asks; all of [δ ; I ; Iʳ] answer.
    fn forward(&self, tokens: &Tensor, reference: &Tensor) -> Tensor {
        let (b, d) = (tokens.size()[0], tokens.size()[2]);
        let query = self.query.view([1, 1, d]).expand([b, -1, -1], false);
        let mut x = Tensor::cat(&[&query, tokens, reference], 1);
        if let Some(position) = &self.position {
            // Not `+=`, which changes the tensor in place and takes its gradient away.
            x = &x + position;
        }
        let normed = self.norm1.forward(&x);
        let third = |i: i64, x: &Tensor| {
            let (w, b) = (self.in_proj_weight.narrow(0, i * d, d), self.in_proj_bias.narrow(0, i * d, d));
            split_heads(&x.linear(&w, Some(b)), self.heads)
        };
        let (q, k, v) = (third(0, &normed.narrow(1, 0, 1)), third(1, &normed), third(2, &normed));
        let x = x.narrow(1, 0, 1) + self.out_proj.forward(&join_heads(&attention(&q, &k, &v, None, false)));
        let y = self.linear2.forward(&self.linear1.forward(&self.norm2.forward(&x)).gelu("none"));
        (x + y).squeeze_dim(1)
    }
}

impl Projector {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.fc2.iter().fold(self.fc1.forward(x).gelu("none"), |x, layer| layer.forward(&x))
    }
}
