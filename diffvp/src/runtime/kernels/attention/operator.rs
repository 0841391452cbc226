//! `GroupQueryAttention` as an operator of ONNX Runtime.

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::PrimitiveTensorElementType;
use ort::value::{TensorElementType, TensorValueType, ValueRef};

use super::super::lanes::Instructions;
use super::super::session::{Parts, contained, in_parallel, size};
use super::attend::{MOST, Records, attend};
use super::records::is_known;
use crate::runtime::kv_cache::UNSEEN;

/// The operator: causal attention with rotary positions, for one text at a time, with the cache in place.
pub(in super::super) struct GroupQueryAttention {
    pub(in super::super) instructions: Instructions,
}

// The inputs of the operator, in their order.
const QKV: usize = 0;
const PAST: [usize; 2] = [3, 4];
const TOTAL: usize = 6;
const ROTARY: [usize; 2] = [7, 8];
const POSITIONS: usize = 9;
const BIAS: usize = 10;

impl Operator for GroupQueryAttention {
    type Kernel<'attr> = Attention;

    fn name(&self) -> &str {
        "GroupQueryAttention"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        use TensorElementType::{Float32, Int32, Int64};
        let (required, optional) = (OperatorInput::required, OperatorInput::optional);
        [
            required(Float32),
            optional(Float32),
            optional(Float32),
            optional(Float32),
            optional(Float32),
            required(Int32),
            required(Int32),
            optional(Float32),
            optional(Float32),
            optional(Int64),
            optional(Float32),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [(); 3].map(|()| OperatorOutput::required(TensorElementType::Float32))
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Attention> {
        contained(|| Attention::new(context, self.instructions))
    }
}

/// The attention of a layer.
pub(in super::super) struct Attention {
    heads: usize,
    /// Of keys and of values.
    stored_heads: usize,
    /// Of the products; 0 for one over the root of the size of a head.
    scale: f32,
    sight: Sight,
    instructions: Instructions,
}

/// Which positions the rows of a run see.
#[derive(Default)]
struct Sight {
    positions: Vec<u32>,
    /// Where the positions of each row end.
    ends: Vec<usize>,
}

impl Sight {
    /// For rows that are the last ones of so many positions: `bias [rows, total]` says what each does not see, without it each sees
    /// all before it.
    fn fill(&mut self, rows: usize, total: usize, bias: Option<&[f32]>) {
        self.positions.clear();
        self.ends.clear();
        for row in 0..rows {
            let before = total - rows + row + 1;
            let sees = |at: &u32| bias.is_none_or(|bias| bias[row * total + *at as usize] > UNSEEN / 2.0);
            self.positions.extend((0..before as u32).filter(sees));
            self.ends.push(self.positions.len());
        }
    }

    fn of(&self, row: usize) -> &[u32] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.positions[start..self.ends[row]]
    }
}

/// An error of what the graph or its caller gives.
fn wrong(detail: impl Into<String>) -> ort::Error {
    ort::Error::new(detail.into())
}

/// An input as it lies in memory; none where it is left out.
fn tensor<T: PrimitiveTensorElementType + std::fmt::Debug>(
    context: &ComputeContext,
    index: usize,
) -> ort::Result<Option<ValueRef<'_, TensorValueType<T>>>> {
    context.input(index)?.map(|value| value.downcast()).transpose()
}

impl Attention {
    fn new(context: &KernelContext<'_>, instructions: Instructions) -> ort::Result<Attention> {
        let (heads, stored_heads) = (size(context, "num_heads")?, size(context, "kv_num_heads")?);
        if !heads.is_multiple_of(stored_heads) {
            return Err(wrong(format!("{heads} heads do not share {stored_heads} of keys and values")));
        }
        let scale = context.get("scale").unwrap_or(0.0);
        Ok(Attention { heads, stored_heads, scale, sight: Sight::default(), instructions })
    }

    fn attend(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let needs = |what: &str| wrong(format!("attention without {what}"));
        let qkv = tensor::<f32>(context, QKV)?.ok_or_else(|| needs("queries"))?;
        let (shape, qkv) = qkv.try_extract_tensor::<f32>()?;
        let [rows, width] = match **shape {
            [1, rows, width] => [rows as usize, width as usize],
            _ => return Err(wrong(format!("queries, keys and values of {shape:?}: there is attention for one text"))),
        };
        let parts = self.heads + 2 * self.stored_heads;
        let head_dim = width / parts;
        if head_dim * parts != width || !is_known(head_dim) {
            return Err(wrong(format!("{width} numbers are not {parts} heads of a known size")));
        }
        let total = tensor::<i32>(context, TOTAL)?.ok_or_else(|| needs("a length"))?;
        let total = total.try_extract_tensor::<i32>()?.1.first().and_then(|&n| usize::try_from(n).ok()).unwrap_or(0);

        let (mut shared, mut capacity) = ([None, None], usize::MAX);
        for (i, records) in shared.iter_mut().enumerate() {
            let past = tensor::<f32>(context, PAST[i])?.ok_or_else(|| needs("a cache"))?;
            let shape = past.shape().to_vec();
            let room = match shape[..] {
                [1, heads, rows, size] if [heads, size] == [self.stored_heads as i64, head_dim as i64] => rows as usize,
                _ => return Err(wrong(format!("a cache of {shape:?} for {} heads of {head_dim}", self.stored_heads))),
            };
            let mut present = context.output(i + 1, shape)?.ok_or_else(|| needs("a place for its cache"))?;
            let start = present.try_extract_tensor_mut::<f32>()?.1.as_mut_ptr();
            if start.cast_const() != past.data_ptr().cast() {
                return Err(wrong("past and present are not the same cache"));
            }
            // SAFETY: the tensor has so many numbers, and lives at least as long as this run.
            let found = unsafe { Records::new(self.instructions, start, [self.stored_heads, room, head_dim]) };
            let found = found.ok_or_else(|| needs("memory for its cache"))?;
            capacity = capacity.min(found.positions());
            *records = Some(found);
        }
        let [Some(keys), Some(values)] = shared else { return Err(needs("a cache")) };
        if rows == 0 || rows > total || total > capacity {
            return Err(wrong(format!("{rows} rows up to position {total} of {capacity}")));
        }

        let [cos, sin] = ROTARY.map(|index| tensor::<f32>(context, index));
        let (cos, sin) = (cos?.ok_or_else(|| needs("rotation"))?, sin?.ok_or_else(|| needs("rotation"))?);
        let rotary = Rotary {
            cos: cos.try_extract_tensor::<f32>()?.1,
            sin: sin.try_extract_tensor::<f32>()?.1,
            half: head_dim / 2,
        };
        let told = tensor::<i64>(context, POSITIONS)?;
        let told = told.as_ref().map(|told| told.try_extract_tensor::<i64>()).transpose()?.map(|(_, told)| told);
        let position = |row: usize| match told {
            Some(told) => told.get(row).and_then(|&position| usize::try_from(position).ok()),
            None => Some(total - rows + row),
        };
        let positions: Option<Vec<usize>> = (0..rows).map(position).collect();
        let positions = positions.filter(|all| all.iter().all(|position| rotary.knows(*position)));
        let positions = positions.ok_or_else(|| wrong("a row has no position, or one behind the last"))?;

        let bias = tensor::<f32>(context, BIAS)?;
        let bias = bias.as_ref().map(|bias| bias.try_extract_tensor::<f32>()).transpose()?.map(|(_, bias)| bias);
        if bias.is_some_and(|bias| bias.len() != rows * total) {
            return Err(wrong(format!("the mask is not one of {rows} rows and {total} positions")));
        }
        self.sight.fill(rows, total, bias);

        let mut result = context.output(0, [1, rows, self.heads * head_dim])?.ok_or_else(|| needs("a result"))?;
        let (_, result) = result.try_extract_tensor_mut::<f32>()?;

        let of = |row: usize, head: usize| &qkv[row * width + head * head_dim..][..head_dim];
        // Rounding is little work, but a prompt has many rows.
        in_parallel(context, rows, rows.div_ceil(FEW_ROWS), |row| {
            let mut key = [0f32; MOST];
            for head in 0..self.stored_heads {
                rotary.rotate(of(row, self.heads + head), positions[row], 1.0, &mut key[..head_dim]);
                // SAFETY: no other row has this position.
                unsafe {
                    keys.write(head, total - rows + row, &key[..head_dim]);
                    values.write(head, total - rows + row, of(row, self.heads + self.stored_heads + head));
                }
            }
        })?;

        let scale = if self.scale == 0.0 { 1.0 / (head_dim as f32).sqrt() } else { self.scale };
        let group = self.heads / self.stored_heads;
        let results = Parts::new(result);
        // Queries of the same keys one after the other.
        let tasks = self.heads * rows;
        let work = self.sight.positions.len() * self.heads * head_dim;
        in_parallel(context, tasks, (work / WORTH_A_THREAD).clamp(1, tasks), |task| {
            let (head, row) = (task / rows, task % rows);
            let mut query = [0f32; MOST];
            rotary.rotate(of(row, head), positions[row], scale, &mut query[..head_dim]);
            // SAFETY: each task has a result of its own, and nobody writes records any more.
            unsafe {
                let result = results.part((row * self.heads + head) * head_dim, head_dim);
                attend(&query[..head_dim], [&keys, &values], head / group, self.sight.of(row), result);
            }
        })
    }
}

/// Rows whose keys and values one thread rounds sooner than it wakes another.
const FEW_ROWS: usize = 8;

/// Products of a query with keys that are worth waking a thread for.
const WORTH_A_THREAD: usize = 32 * 1024;

/// Cosines and sines `[positions, head_dim / 2]`.
struct Rotary<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
    half: usize,
}

impl Rotary<'_> {
    fn knows(&self, position: usize) -> bool {
        position
            .checked_add(1)
            .and_then(|n| n.checked_mul(self.half))
            .is_some_and(|n| n <= self.cos.len().min(self.sin.len()))
    }

    /// A query or key at a position, times a scale.
    fn rotate(&self, x: &[f32], position: usize, scale: f32, result: &mut [f32]) {
        let [cos, sin] = [self.cos, self.sin].map(|table| &table[position * self.half..][..self.half]);
        let (low, high) = result.split_at_mut(self.half);
        for i in 0..self.half {
            low[i] = (x[i] * cos[i] - x[self.half + i] * sin[i]) * scale;
            high[i] = (x[self.half + i] * cos[i] + x[i] * sin[i]) * scale;
        }
    }
}

impl Kernel for Attention {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        contained(|| self.attend(context))
    }
}
