//! Keys and values of what a report has read and written, and which of it a row sees.

use ort::session::IoBinding;
use ort::value::DynTensor;

use crate::{Error, Result};

/// Keys and values of the positions that a report has used so far.
pub struct KvCache {
    pub(super) binding: IoBinding,
    // The binding refers to these buffers by address: they live as long as it does.
    buffers: Vec<DynTensor>,
    capacity: usize,
    /// Numbers of float32 that a position of a head takes, where it may lie anywhere.
    record: Option<usize>,
    /// Branch of each position that is used.
    used: Vec<usize>,
}

/// The branch that all others see.
pub(super) const TRUNK: usize = 0;

/// What is added to the score of a row that is not seen: its weight becomes 0, in float16 too.
pub(super) const UNSEEN: f32 = -30_000.0;

impl KvCache {
    pub(super) fn new(binding: IoBinding, buffers: Vec<DynTensor>, capacity: usize, record: Option<usize>) -> Self {
        KvCache { binding, buffers, capacity, record, used: Vec::with_capacity(capacity) }
    }

    /// Whether no position is used.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Positions used.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Positions left.
    pub fn room(&self) -> usize {
        self.capacity - self.used.len()
    }

    /// Forgets the positions from `length` on: what follows overwrites them.
    pub fn truncate(&mut self, length: usize) {
        self.used.truncate(length);
    }

    /// Whether positions can be forgotten that are not the last ones ([`KvCache::retain`]).
    pub fn forgets_any(&self) -> bool {
        self.record.is_some()
    }

    /// Forgets those of the positions from `first` on that are not `kept`; those behind them move up. A row reads the same
    /// wherever in the cache its text lies.
    ///
    /// # Errors
    /// [`Error::Internal`] where this cache forgets only the last positions ([`KvCache::forgets_any`]), or `kept` is not for
    /// the positions from `first` to the last.
    pub fn retain(&mut self, first: usize, kept: &[bool]) -> Result<()> {
        let wrong = |detail: String| Error::Internal { detail };
        if first.checked_add(kept.len()) != Some(self.len()) {
            return Err(wrong(format!("{} rows from {first} on are not the last of {}", kept.len(), self.len())));
        }
        let moves: Vec<(usize, usize)> = (first..)
            .zip((0..kept.len()).filter(|i| kept[*i]).map(|i| first + i))
            .filter(|(to, from)| to != from)
            .collect();
        if !moves.is_empty() {
            let record = self.record.ok_or_else(|| wrong("this cache forgets only the last positions".into()))?;
            for buffer in &mut self.buffers {
                let (shape, numbers) = buffer.try_extract_tensor_mut::<f32>().map_err(|e| wrong(e.to_string()))?;
                let heads = shape.get(1).and_then(|&heads| usize::try_from(heads).ok()).filter(|&heads| heads > 0);
                let of_head = numbers.len() / heads.ok_or_else(|| wrong("a cache without heads".into()))?;
                for head in numbers.chunks_exact_mut(of_head) {
                    moves
                        .iter()
                        .for_each(|(to, from)| head.copy_within(from * record..(from + 1) * record, to * record));
                }
            }
        }
        let (mut at, mut i) = (0, 0);
        self.used.retain(|_| {
            at += 1;
            if at <= first {
                return true;
            }
            i += 1;
            kept[i - 1]
        });
        Ok(())
    }

    pub(super) fn push(&mut self, branches: &[usize]) {
        self.used.extend_from_slice(branches);
    }

    /// How many of the rows that come next stand where ONNX Runtime puts those of a run: in an empty cache in line from position 0
    /// on, at least one; elsewhere all, at the positions that it is told.
    pub(super) fn in_line(&self, branches: &[usize]) -> usize {
        if !self.is_empty() {
            return branches.len();
        }
        let trunk = branches.iter().take_while(|branch| **branch == TRUNK).count();
        let behind = branches[trunk..].iter().take_while(|branch| **branch == branches[trunk]).count();
        trunk + behind
    }

    /// `position_ids [run]` and `attention_bias [run, positions]` of a run of the last `rows` that are used, the last of them repeated
    /// until it has `run` rows.
    pub(super) fn told(&self, rows: usize, run: usize) -> (Vec<i64>, Vec<f32>) {
        let last = self.used.last().copied().unwrap_or(TRUNK);
        let used: Vec<usize> = self.used.iter().copied().chain(std::iter::repeat_n(last, run - rows)).collect();
        let (mut positions, mut bias) = (Vec::with_capacity(run), Vec::with_capacity(run * used.len()));
        for row in used.len() - run..used.len() {
            let sees = |at: usize| used[at] == TRUNK || used[at] == used[row];
            positions.push((0..row).filter(|&at| sees(at)).count() as i64);
            bias.extend((0..used.len()).map(|at| if sees(at) { 0.0 } else { UNSEEN }));
        }
        (positions, bias)
    }
}
