//! The decoder graph with its KV cache bound in place.
//!
//! Past and present of every layer are bound to the same buffer, so a step appends to the cache without
//! copying it (`GroupQueryAttention` calls this a shared past-present buffer). On a GPU the buffers lie in its memory;
//! only rows of embeddings go there and only logits come back.

use std::path::Path;
use std::sync::Arc;

use ort::memory::Allocator;
use ort::session::{RunOptions, Session};
use ort::value::{DynTensor, Outlet, Tensor, TensorElementType, ValueType};

use super::background::Running;
use super::graph::{check_ports, file_name, ports};
use super::kv_cache::{KvCache, TRUNK};
use super::pool::Slot;
use super::session::{Products, Purpose, SessionOptions, open_session};
use super::{CancelToken, Device, kernels};
use crate::package::manifest::DecoderSizes;
use crate::{Error, Result};

/// `decoder.onnx`, shared by all reports; each report has its own [`KvCache`].
pub struct Decoder {
    name: String,
    session: Slot<Session>,
    sizes: DecoderSizes,
    device: Device,
    /// Element type of the cache.
    float: TensorElementType,
    /// Whether rows are told their positions and what they see.
    branches: bool,
    products: Products,
}

/// Which rows of the logits a forward pass returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogitRows {
    /// Only the last: what decoding needs.
    Last,
    /// One for each position.
    All,
    /// Those of this position and the ones behind it: what checking a draft needs.
    From(usize),
}

impl Decoder {
    /// Loads the decoder and checks its ports against the manifest's sizes.
    ///
    /// # Errors
    /// Those of [`Graph::open`](super::Graph::open).
    pub fn open(path: &Path, sizes: &DecoderSizes, options: &SessionOptions) -> Result<Self> {
        let (session, products) = open_session(path, options, Purpose::Decoding)?;
        let name = file_name(path);
        let (inputs, outputs) = (ports(session.inputs()), ports(session.outputs()));
        let cache = [None, Some(sizes.key_value_heads), None, Some(sizes.head_dim)];
        let branches = inputs.iter().any(|port| port.name == "attention_bias");
        check_ports(
            &name,
            "input",
            &inputs,
            &[
                ("inputs_embeds", &[None, None, Some(sizes.hidden_size)]),
                ("seqlens_k", &[None]),
                ("total_sequence_length", &[]),
                ("logits_from", &[Some(1)]),
            ],
        )?;
        if branches {
            let told: [(&str, &[Option<usize>]); 2] =
                [("position_ids", &[None, None]), ("attention_bias", &[Some(1), Some(1), None, None])];
            check_ports(&name, "input", &inputs, &told)?;
        }
        check_ports(&name, "output", &outputs, &[("logits", &[None, None, Some(sizes.vocab_size)])])?;
        for layer in 0..sizes.layers {
            for part in ["key", "value"] {
                check_ports(&name, "input", &inputs, &[(&past_name(layer, part), &cache)])?;
                check_ports(&name, "output", &outputs, &[(&present_name(layer, part), &cache)])?;
            }
        }
        let expected = 4 + 2 * sizes.layers + if branches { 2 } else { 0 };
        if inputs.len() != expected {
            let detail = format!("it has {} inputs, and {} layers make {expected}", inputs.len(), sizes.layers);
            return Err(Error::PackageContent { file: name, detail });
        }
        let float = cache_type(&session).map_err(|detail| Error::PackageContent { file: name.clone(), detail })?;
        let (session, sizes) = (Slot::new(session), sizes.clone());
        Ok(Decoder { name, session, sizes, device: options.device, float, branches, products })
    }

    /// Sizes of the decoder.
    pub fn sizes(&self) -> &DecoderSizes {
        &self.sizes
    }

    /// Whose kernels multiply with four- and eight-bit weights: `diffvp (avx512_vnni)`, `diffvp (avx2)` or `onnxruntime`; `diffvp
    /// (avx2, int8 cache)` where they attend too, to keys and values of eight bits.
    pub fn kernels(&self) -> String {
        let cache = if self.products.attention { ", int8 cache" } else { "" };
        match self.products.operators {
            Some(operators) => format!("diffvp ({}{cache})", operators.instructions()),
            None => "onnxruntime".into(),
        }
    }

    /// Whether texts may branch ([`Decoder::forward_on`]).
    pub fn branches(&self) -> bool {
        self.branches
    }

    /// Whether a row has the same logits alone and among others, up to the rounding of float32: whether drafts can be checked.
    pub fn rows_agree(&self) -> bool {
        self.products.rows_agree
    }

    /// An empty cache for `capacity` positions.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for none, or for more than the decoder has; [`Error::Inference`].
    pub fn new_cache(&self, capacity: usize, cancel: &CancelToken) -> Result<KvCache> {
        let failed = |e| self.failed(e);
        if capacity == 0 || capacity > self.sizes.context_length {
            let detail = format!("{capacity} is not between 1 and {}", self.sizes.context_length);
            return Err(Error::InvalidOption { name: "capacity", detail });
        }
        let session = self.session.take(cancel)?;
        let mut binding = session.create_binding().map_err(failed)?;
        let mut buffers: Vec<DynTensor> = Vec::with_capacity(2 * self.sizes.layers);
        let rows = if self.products.attention { kernels::cache_rows(capacity) } else { capacity };
        let shape = [1, self.sizes.key_value_heads, rows, self.sizes.head_dim];
        // Fresh memory may hold NaN, and masked attention multiplies it by zero, which stays NaN. The runtime fills what
        // the processor can reach with zeros.
        let zeros = || DynTensor::new(&Allocator::default(), self.float, shape);
        let gpu = match self.device.memory()? {
            Some(memory) => Some((Allocator::new(&session, memory).map_err(failed)?, zeros().map_err(failed)?)),
            None => None,
        };
        for layer in 0..self.sizes.layers {
            for part in ["key", "value"] {
                let mut buffer = match &gpu {
                    None => zeros(),
                    Some((allocator, zeros)) => DynTensor::new(allocator, self.float, shape).and_then(|mut buffer| {
                        // From the first buffer on within the GPU, which is faster than over the bus.
                        buffers.first().unwrap_or(zeros).copy_into(&mut buffer)?;
                        Ok(buffer)
                    }),
                }
                .map_err(failed)?;
                binding.bind_input(past_name(layer, part), &buffer).map_err(failed)?;
                binding.bind_output(present_name(layer, part), &mut buffer).map_err(failed)?;
                buffers.push(buffer);
            }
        }
        let record = self.products.attention.then(|| kernels::record_numbers(self.sizes.head_dim));
        Ok(KvCache::new(binding, buffers, capacity, record))
    }

    /// Runs `rows` new positions, given as embeddings `[rows, d_llm]`, appends them to the cache, and returns
    /// the wanted logits `[wanted, vocab]`.
    ///
    /// # Errors
    /// [`Error::ContextFull`] where the cache has no room; the cache is unchanged by any error but
    /// [`Error::Inference`] and [`Error::Cancelled`], after which it must not be used.
    pub fn forward(
        &self,
        cache: &mut KvCache,
        embeddings: Vec<f32>,
        rows: LogitRows,
        cancel: &CancelToken,
    ) -> Result<Vec<f32>> {
        let count = embeddings.len() / self.sizes.hidden_size;
        self.forward_on(cache, embeddings, &vec![TRUNK; count], rows, cancel)
    }

    /// [`Decoder::forward`] with a branch for each row. A row on branch 0, the trunk, is seen by all rows behind it; one on another
    /// branch by those of its branch alone. The rows that a row sees are those before it in its text: their number is its position.
    ///
    /// # Errors
    /// Those of [`Decoder::forward`]; [`Error::Internal`] for branches of a decoder that does not know them
    /// ([`Decoder::branches`]).
    pub fn forward_on(
        &self,
        cache: &mut KvCache,
        mut embeddings: Vec<f32>,
        branches: &[usize],
        rows: LogitRows,
        cancel: &CancelToken,
    ) -> Result<Vec<f32>> {
        let failed = |e| self.failed(e);
        let count = branches.len();
        if count == 0 || embeddings.len() != count * self.sizes.hidden_size {
            let detail = format!("{} values are not {count} rows of embeddings", embeddings.len());
            return Err(Error::Internal { detail });
        }
        if !self.branches && branches.iter().any(|branch| *branch != TRUNK) {
            return Err(Error::Internal { detail: format!("{} knows no branches", self.name) });
        }
        let total = cache.len() + count;
        if count > cache.room() {
            return Err(Error::ContextFull { prompt: total, context: cache.len() + cache.room() });
        }
        let from = match rows {
            LogitRows::Last => count - 1,
            LogitRows::All => 0,
            LogitRows::From(row) if row < count => row,
            LogitRows::From(row) => {
                return Err(Error::Internal { detail: format!("logits from row {row} of {count}") });
            }
        };
        // ONNX Runtime counts the positions of a first run itself, whatever it is told.
        let line = cache.in_line(branches);
        if line < count {
            let rest = embeddings.split_off(line * self.sizes.hidden_size);
            let (first, second) = branches.split_at(line);
            let wanted = if from < line { LogitRows::From(from) } else { LogitRows::Last };
            let mut logits = self.forward_on(cache, embeddings, first, wanted, cancel)?;
            if from >= line {
                logits.clear();
            }
            logits.extend(self.forward_on(cache, rest, second, LogitRows::From(from.saturating_sub(line)), cancel)?);
            return Ok(logits);
        }
        // ONNX Runtime's attention sums a single row in another order than several: with company, every row is one of several.
        let theirs = self.products.operators.is_some() && !self.products.attention;
        let lonely = count == 1 && theirs && count < cache.room();
        let (run_rows, run_total) = if lonely { (2, total + 1) } else { (count, total) };
        if lonely {
            embeddings.extend_from_within(..);
        }
        cache.push(branches);
        let told = self.branches.then(|| cache.told(count, run_rows));
        // Contexts are a few thousand positions; the manifest's check keeps them far below 2³¹.
        let total_i32 = i32::try_from(run_total).map_err(|e| Error::Internal { detail: e.to_string() })?;
        let binding = &mut cache.binding;
        let embeds = Tensor::from_array(([1, run_rows, self.sizes.hidden_size], embeddings)).map_err(failed)?;
        binding.bind_input("inputs_embeds", &embeds).map_err(failed)?;
        if let Some((positions, bias)) = told {
            let positions = Tensor::from_array(([1, run_rows], positions)).map_err(failed)?;
            binding.bind_input("position_ids", &positions).map_err(failed)?;
            let bias = Tensor::from_array(([1, 1, run_rows, run_total], bias)).map_err(failed)?;
            binding.bind_input("attention_bias", &bias).map_err(failed)?;
        }
        let seqlens = Tensor::from_array(([1usize], vec![total_i32 - 1])).map_err(failed)?;
        binding.bind_input("seqlens_k", &seqlens).map_err(failed)?;
        let scalar: [usize; 0] = [];
        let length = Tensor::from_array((scalar, vec![total_i32])).map_err(failed)?;
        binding.bind_input("total_sequence_length", &length).map_err(failed)?;
        // Counted from the end, because the end is what does not change with the rows of a prompt.
        let first = Tensor::from_array(([1usize], vec![from as i64 - run_rows as i64])).map_err(failed)?;
        binding.bind_input("logits_from", &first).map_err(failed)?;
        let shape = [1, run_rows - from, self.sizes.vocab_size];
        let mut logits = Tensor::<f32>::new(&Allocator::default(), shape).map_err(failed)?;
        binding.bind_output("logits", &mut logits).map_err(failed)?;

        let run = Arc::new(RunOptions::new().map_err(failed)?);
        let mut session = self.session.take(cancel)?;
        let _running = Running::begin(cancel)?;
        cancel.watch(&run)?;
        session.run_binding_with_options(binding, &run).map_err(|error| match cancel.check() {
            Err(cancelled) => cancelled,
            Ok(()) => self.failed(error),
        })?;
        drop(session);
        let (_, values) = logits.try_extract_tensor::<f32>().map_err(failed)?;
        Ok(values[..(count - from) * self.sizes.vocab_size].to_vec())
    }

    fn failed(&self, error: ort::Error) -> Error {
        Error::Inference { graph: self.name.clone(), detail: error.to_string() }
    }
}

/// The one element type of all cache ports.
fn cache_type(session: &Session) -> std::result::Result<TensorElementType, String> {
    let element = |outlet: &Outlet| match outlet.dtype() {
        ValueType::Tensor { ty, .. } => Some(*ty),
        _ => None,
    };
    let is_cache = |o: &&Outlet| o.name().starts_with("past_key_values.") || o.name().starts_with("present.");
    let (inputs, outputs) = (session.inputs(), session.outputs());
    let mut types = inputs.iter().chain(outputs).filter(is_cache).map(element);
    match types.next().flatten() {
        Some(first @ (TensorElementType::Float32 | TensorElementType::Float16)) if types.all(|t| t == Some(first)) => {
            Ok(first)
        }
        _ => Err("the KV cache is neither float32 nor float16 throughout".into()),
    }
}

fn past_name(layer: usize, part: &str) -> String {
    format!("past_key_values.{layer}.{part}")
}

fn present_name(layer: usize, part: &str) -> String {
    format!("present.{layer}.{part}")
}
