//! `decoder.onnx`: embeddings and KV cache → logits and KV cache.

use serde::{Deserialize, Serialize};

use super::linear::{Stacked, Storage, WeightKind, matmul};
use crate::config::{LlamaConfig, ModelConfig};
use crate::error::{Error, Result};
use crate::onnx::graph::{float, int};
use crate::onnx::{DataType, Dim, Graph, MICROSOFT};
use crate::quantize::{BlockScheme, Rounding};
use crate::weights::Weights;

/// How the decoder is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderOptions {
    /// Storage of the matrices.
    pub weights: WeightKind,
    /// Storage of `lm_head`, where it is another.
    #[serde(default)]
    pub lm_head: Option<WeightKind>,
    /// How many layers at the beginning, and as many at the end, are stored in eight bits, where the rest has four.
    #[serde(default)]
    pub edge_layers: usize,
    /// How scales and zero points are chosen.
    #[serde(default)]
    pub rounding: Rounding,
    /// Arithmetic of `MatMulNBits`: 4 rounds activations to int8 (fast), 1 keeps them float32. CUDA knows no such
    /// choice and keeps them in the float type.
    pub accuracy_level: u8,
    /// Float type inside the decoder and of its KV cache.
    #[serde(default)]
    pub float: FloatType,
    /// Whether texts may branch: rows are told their positions and what they see, as sections that are written at once need. Where a
    /// package is written, its form of report decides.
    #[serde(default)]
    pub branches: bool,
}

/// Float type inside the decoder and of its KV cache; embeddings and logits are float32 in both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FloatType {
    /// float32: the faster one on processors.
    #[default]
    F32,
    /// float16: the one that `GroupQueryAttention` has a kernel for on CUDA.
    F16,
}

impl FloatType {
    fn data_type(self) -> DataType {
        match self {
            FloatType::F32 => DataType::Float,
            FloatType::F16 => DataType::Float16,
        }
    }
}

impl Default for DecoderOptions {
    /// The fastest form that changes the next token no more than llama.cpp's Q4_0 does (`docs/quantization.md`): four bits in blocks
    /// of 128 with scales of least error, and eight for `lm_head` and two layers at either end.
    fn default() -> Self {
        DecoderOptions { rounding: Rounding::LeastError, edge_layers: 2, ..DecoderOptions::int4(128).lm_head_int8() }
    }
}

impl DecoderOptions {
    /// Float matrices.
    pub fn f32() -> Self {
        DecoderOptions {
            weights: WeightKind::F32,
            lm_head: None,
            edge_layers: 0,
            rounding: Rounding::Extremes,
            accuracy_level: 4,
            float: FloatType::F32,
            branches: false,
        }
    }

    /// Four-bit symmetric matrices with the given block and int8 activations.
    pub fn int4(block: usize) -> Self {
        let scheme = BlockScheme { bits: 4, block, symmetric: true };
        DecoderOptions { weights: WeightKind::Blocks(scheme), ..DecoderOptions::f32() }
    }

    /// Eight-bit symmetric matrices with blocks of 128 and int8 activations.
    pub fn int8() -> Self {
        DecoderOptions { weights: WeightKind::Blocks(EIGHT_BITS), ..DecoderOptions::f32() }
    }

    /// Blocks with a zero point of their own.
    pub fn asymmetric(mut self) -> Self {
        if let WeightKind::Blocks(scheme) = &mut self.weights {
            scheme.symmetric = false;
        }
        self
    }

    /// `lm_head` in eight bits.
    pub fn lm_head_int8(self) -> Self {
        DecoderOptions { lm_head: Some(WeightKind::Blocks(EIGHT_BITS)), ..self }
    }

    /// Storage of the matrices of a layer.
    pub fn layer(&self, layer: usize, layers: usize) -> WeightKind {
        let edge = layer < self.edge_layers || layer + self.edge_layers >= layers;
        match self.weights {
            WeightKind::Blocks(BlockScheme { bits: 4, .. }) if edge => WeightKind::Blocks(EIGHT_BITS),
            weights => weights,
        }
    }

    /// Every storage that occurs among `layers` layers and `lm_head`.
    pub fn kinds(&self, layers: usize) -> Vec<WeightKind> {
        let mut kinds: Vec<WeightKind> = (0..layers).map(|layer| self.layer(layer, layers)).collect();
        kinds.push(self.lm_head.unwrap_or(self.weights));
        kinds.dedup();
        kinds
    }

    /// The same in float16.
    pub fn f16(self) -> Self {
        DecoderOptions { float: FloatType::F16, ..self }
    }

    /// # Errors
    /// [`Error::Config`] for a block size or an accuracy level that does not exist.
    pub fn validate(&self) -> Result<()> {
        if self.accuracy_level > 4 {
            return Err(Error::config("accuracy_level", format!("is {}, allowed is 0 to 4", self.accuracy_level)));
        }
        [Some(self.weights), self.lm_head].into_iter().flatten().try_for_each(|kind| match kind {
            WeightKind::F32 => Ok(()),
            WeightKind::Blocks(scheme) => scheme.validate(),
        })
    }
}

const EIGHT_BITS: BlockScheme = BlockScheme { bits: 8, block: 128, symmetric: true };

/// LLaMA (Touvron et al., arXiv 2307.09288) on embeddings, with rotary positions inside.
///
/// Inputs, for a batch b that adds t positions behind `past` ones:
/// - `inputs_embeds [b, t, d_llm]`
/// - `seqlens_k` int32 `[b]`: positions after this run, less one
/// - `total_sequence_length` int32 scalar: the largest of them, not less one
/// - `logits_from` int64 `[1]`: first row to give logits for, −1 for the last row only, 0 for all
/// - with [`DecoderOptions::branches`], `position_ids` int64 `[b, t]`, and `attention_bias` `[1, 1, t, total]`, added to the scores of
///   attention; without, positions follow each other, and every row sees all before it
/// - `past_key_values.{l}.key` and `.value` `[b, kv, past, head_dim]`; rows behind the valid ones are not read,
///   and the same buffer may be given as `present`
///
/// Outputs: `logits [b, rows, vocab]`, `present.{l}.key` and `.value` `[b, kv, total, head_dim]`.
///
/// `past` and `present` have [`DecoderOptions::float`] as their type, other floats are float32.
///
/// Queries and keys are rotated in halves, as Hugging Face stores LLaMA. Needs `model.*` and `lm_head.weight`.
///
/// # Errors
/// [`Error::Config`] from [`DecoderOptions::validate`].
pub fn decoder<'w>(config: &ModelConfig, weights: &'w dyn Weights, options: &DecoderOptions) -> Result<Graph<'w>> {
    options.validate()?;
    let c = &config.decoder;
    let float = options.float.data_type();
    let mut b = Builder { g: Graph::new("decoder"), c, weights, options, float, bias: None };
    let embeds =
        b.g.input("inputs_embeds", DataType::Float, &[Dim::Name("b"), Dim::Name("t"), Dim::Size(c.hidden_size)]);
    b.g.input("seqlens_k", DataType::Int32, &[Dim::Name("b")]);
    b.g.input("total_sequence_length", DataType::Int32, &[]);
    b.g.input("logits_from", DataType::Int64, &[Dim::Size(1)]);
    if options.branches {
        b.g.input("position_ids", DataType::Int64, &[Dim::Name("b"), Dim::Name("t")]);
        let shape = [Dim::Size(1), Dim::Size(1), Dim::Name("t"), Dim::Name("total")];
        let bias = b.g.input("attention_bias", DataType::Float, &shape);
        b.bias = Some(b.narrow("/decoder/attention_bias/Cast", bias));
    }
    b.rotary_tables();
    // The first norm sees the embeddings before they are narrowed: squares of small values vanish in float16.
    let normed = b.first_norm(&embeds);
    let mut normed = b.narrow("/decoder/normed/Cast", normed);
    let mut residual = b.narrow("/decoder/residual/Cast", embeds);
    for layer in 0..c.layers {
        (normed, residual) = b.layer(layer, &normed, &residual);
    }
    b.logits(&normed);
    for layer in 0..c.layers {
        for part in ["key", "value"] {
            b.g.output(&format!("present.{layer}.{part}"), float, &kv_shape(c, "total"));
        }
    }
    Ok(b.g)
}

fn kv_shape<'s>(c: &LlamaConfig, rows: &'s str) -> [Dim<'s>; 4] {
    [Dim::Name("b"), Dim::Size(c.key_value_heads), Dim::Name(rows), Dim::Size(c.head_dim)]
}

struct Builder<'c, 'w> {
    g: Graph<'w>,
    c: &'c LlamaConfig,
    weights: &'w dyn Weights,
    options: &'c DecoderOptions,
    float: DataType,
    /// `attention_bias` in the decoder's float type, where there is one.
    bias: Option<String>,
}

impl<'w> Builder<'_, 'w> {
    /// `cos_cache` and `sin_cache` `[context, head_dim / 2]` of the angles of all positions.
    fn rotary_tables(&mut self) {
        let (context, frequencies, float) = (self.c.context_length, self.c.rotary_frequencies(), self.float);
        let shape = [context, frequencies.len()];
        for (name, of) in [("cos_cache", f64::cos as fn(f64) -> f64), ("sin_cache", f64::sin)] {
            let frequencies = frequencies.clone();
            let table = move || {
                let row = |p: usize| frequencies.iter().map(move |f| of(p as f64 * f) as f32);
                Ok((0..context).flat_map(row).collect())
            };
            self.g.weight_of(float, name, &shape, table);
        }
    }

    fn norm_weight(&mut self, float: DataType, name: &str) -> String {
        let (h, weights, owned) = (self.c.hidden_size, self.weights, name.to_string());
        self.g.weight_of(float, name, &[h], move || weights.tensor(&owned, &[h]))
    }

    /// A float32 value in the decoder's float type.
    fn narrow(&mut self, path: &str, x: String) -> String {
        match self.float {
            DataType::Float => x,
            float => self.g.op("Cast", path, &[&x], vec![int("to", float as i64)]),
        }
    }

    /// Root-mean-square norm in standard operators, which ONNX Runtime fuses: its own operator for this has
    /// the standard domain without being in the standard, so that a file with it does not pass the checker.
    fn first_norm(&mut self, x: &str) -> String {
        let path = "/decoder/layers.0/input_layernorm";
        let weight = self.norm_weight(DataType::Float, "model.layers.0.input_layernorm.weight");
        let g = &mut self.g;
        let (two, epsilon, axis) =
            (g.scalar("two", 2.0), g.scalar("epsilon", self.c.rms_norm_eps), g.ints("axis.last", &[-1]));
        let y = g.op("Pow", &format!("{path}/Pow"), &[x, &two], vec![]);
        let y = g.op("ReduceMean", &format!("{path}/ReduceMean"), &[&y, &axis], vec![int("keepdims", 1)]);
        let y = g.op("Add", &format!("{path}/Add"), &[&y, &epsilon], vec![]);
        let y = g.op("Sqrt", &format!("{path}/Sqrt"), &[&y], vec![]);
        let y = g.op("Div", &format!("{path}/Div"), &[x, &y], vec![]);
        g.op("Mul", &format!("{path}/Mul"), &[&y, &weight], vec![])
    }

    /// `residual + update` and its norm, in one operator.
    fn add_and_norm(&mut self, path: &str, residual: &str, update: &str, norm: &str) -> (String, String) {
        let path = format!("{path}/SkipSimplifiedLayerNormalization");
        let (normed, sum) = (format!("{path}/output"), format!("{path}/sum"));
        let weight = self.norm_weight(self.float, norm);
        let attributes = vec![float("epsilon", self.c.rms_norm_eps)];
        let outputs = [normed.as_str(), "", "", &sum];
        self.g.op_named(
            MICROSOFT,
            "SkipSimplifiedLayerNormalization",
            &path,
            &[residual, update, &weight],
            &outputs,
            attributes,
        );
        for name in [&normed, &sum] {
            self.g.annotate(name, self.float, &[Dim::Name("b"), Dim::Name("t"), Dim::Size(self.c.hidden_size)]);
        }
        (normed, sum)
    }

    fn storage(&self, kind: WeightKind) -> Storage {
        let (rounding, accuracy_level) = (self.options.rounding, self.options.accuracy_level.into());
        Storage { kind, rounding, accuracy_level, float: self.float }
    }

    /// A product in a layer.
    fn matmul(&mut self, layer: usize, path: &str, x: &str, name: &str, stacked: Stacked) -> String {
        let n = stacked.parts.iter().map(|p| p.1).sum();
        let storage = self.storage(self.options.layer(layer, self.c.layers));
        let y = matmul(&mut self.g, path, x, self.weights, name, stacked, storage);
        if matches!(storage.kind, WeightKind::Blocks(_)) {
            self.g.annotate(&y, self.float, &[Dim::Name("b"), Dim::Name("t"), Dim::Size(n)]);
        }
        y
    }

    /// ```text
    /// normed → qkv_proj → GroupQueryAttention → o_proj ─┐
    /// residual ────────────────────────────────────────(+)─ norm → gate, up → silu(gate) · up → down_proj ─┐
    ///                                                   └────────────────────────────────────────────────(+)─ norm
    /// ```
    fn layer(&mut self, layer: usize, normed: &str, residual: &str) -> (String, String) {
        let (path, name) = (format!("/decoder/layers.{layer}"), format!("model.layers.{layer}"));
        let (h, f) = (self.c.hidden_size, self.c.intermediate_size);
        let read = self.attention(layer, normed);
        let o = Stacked::one(format!("{name}.self_attn.o_proj.weight"), h, self.c.query_size());
        let y = self.matmul(layer, &format!("{path}/attn/o_proj"), &read, &format!("{name}.self_attn.o_proj"), o);
        let (normed, residual) = self.add_and_norm(
            &format!("{path}/post_attention_layernorm"),
            residual,
            &y,
            &format!("{name}.post_attention_layernorm.weight"),
        );

        let mut project = |part: &str, x: &str, n: usize, k: usize| {
            let stacked = Stacked::one(format!("{name}.mlp.{part}_proj.weight"), n, k);
            self.matmul(layer, &format!("{path}/mlp/{part}_proj"), x, &format!("{name}.mlp.{part}_proj"), stacked)
        };
        let gate = project("gate", &normed, f, h);
        let up = project("up", &normed, f, h);
        let g = &mut self.g;
        let s = g.op("Sigmoid", &format!("{path}/mlp/Sigmoid"), &[&gate], vec![]);
        let s = g.op("Mul", &format!("{path}/mlp/silu/Mul"), &[&gate, &s], vec![]);
        let y = g.op("Mul", &format!("{path}/mlp/Mul"), &[&s, &up], vec![]);
        let down = Stacked::one(format!("{name}.mlp.down_proj.weight"), h, f);
        let y = self.matmul(layer, &format!("{path}/mlp/down_proj"), &y, &format!("{name}.mlp.down_proj"), down);
        let (next_path, next) = if layer + 1 == self.c.layers {
            ("/decoder/norm".to_string(), "model.norm.weight".to_string())
        } else {
            (
                format!("/decoder/layers.{}/input_layernorm", layer + 1),
                format!("model.layers.{}.input_layernorm.weight", layer + 1),
            )
        };
        self.add_and_norm(&next_path, &residual, &y, &next)
    }

    fn attention(&mut self, layer: usize, x: &str) -> String {
        let (path, name) = (format!("/decoder/layers.{layer}/attn"), format!("model.layers.{layer}.self_attn"));
        let (q, kv) = (self.c.query_size(), self.c.key_value_size());
        let parts = [("q", q), ("k", kv), ("v", kv)].map(|(p, n)| (format!("{name}.{p}_proj.weight"), n)).to_vec();
        let stacked = Stacked { parts, k: self.c.hidden_size };
        let qkv = self.matmul(layer, &format!("{path}/qkv_proj"), x, &format!("{name}.qkv_proj"), stacked);
        let past = ["key", "value"].map(|p| format!("past_key_values.{layer}.{p}"));
        let present = ["key", "value"].map(|p| format!("present.{layer}.{p}"));
        for name in &past {
            self.g.input(name, self.float, &kv_shape(self.c, "past"));
        }
        let attributes = vec![
            int("num_heads", self.c.attention_heads as i64),
            int("kv_num_heads", self.c.key_value_heads as i64),
            float("scale", 1.0 / (self.c.head_dim as f32).sqrt()),
            int("do_rotary", 1),
            int("rotary_interleaved", 0),
            int("local_window_size", -1),
        ];
        let node = format!("{path}/GroupQueryAttention");
        let output = format!("{node}/output");
        let bias = self.bias.clone();
        let mut inputs =
            vec![&qkv, "", "", &past[0], &past[1], "seqlens_k", "total_sequence_length", "cos_cache", "sin_cache"];
        if let Some(bias) = &bias {
            inputs.extend(["position_ids", bias]);
        }
        self.g.op_named(
            MICROSOFT,
            "GroupQueryAttention",
            &node,
            &inputs,
            &[&output, &present[0], &present[1]],
            attributes,
        );
        self.g.annotate(&output, self.float, &[Dim::Name("b"), Dim::Name("t"), Dim::Size(q)]);
        output
    }

    /// `logits` of the rows from `logits_from` on; the rest is cut off before the widest product.
    fn logits(&mut self, normed: &str) {
        let (h, vocab) = (self.c.hidden_size, self.c.vocab_size);
        let (end, axis) = (self.g.ints("end", &[i64::MAX]), self.g.ints("axis.rows", &[1]));
        let rows = self.g.op("Slice", "/decoder/rows/Slice", &[normed, "logits_from", &end, &axis], vec![]);
        let name = if self.c.tie_word_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" };
        let lm_head = Stacked::one(name, vocab, h);
        let storage = self.storage(self.options.lm_head.unwrap_or(self.options.weights));
        let (weights, float) = (self.weights, self.float);
        let y = matmul(&mut self.g, "/decoder/lm_head", &rows, weights, "lm_head", lm_head, storage);
        let dims = [Dim::Name("b"), Dim::Name("rows"), Dim::Size(vocab)];
        if float == DataType::Float {
            self.g.rename_last("logits");
        } else {
            self.g.annotate(&y, float, &dims);
            self.g.op_to("Cast", "/decoder/logits/Cast", &[&y], "logits", vec![int("to", DataType::Float as i64)]);
        }
        self.g.output("logits", DataType::Float, &dims);
    }
}
