//! The parts of batches that a process computes, one after the other, with the tensors that they need.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use tch::{Device, Tensor};

use super::order;
use super::reading::Ahead;
use super::schedule::Schedule;
use super::trainer::Stage;
use crate::Result;

/// A part of a batch that is computed at a time.
pub(super) struct MicroBatch<'a> {
    /// Its scans.
    pub(super) scans: &'a [usize],
    /// Those of the whole batch, over all processes.
    pub(super) whole: &'a [usize],
    /// Where random numbers of this part come from; no other part of any step has the same.
    pub(super) seed: u64,
}

/// [`MicroBatch`], while it waits for its turn.
pub(super) struct Part {
    whole: Rc<Vec<usize>>,
    scans: Range<usize>,
    seed: u64,
}

impl Part {
    pub(super) fn micro_batch(&self) -> MicroBatch<'_> {
        MicroBatch { scans: &self.whole[self.scans.clone()], whole: &self.whole, seed: self.seed }
    }
}

/// All parts of a process from a step on.
pub(super) struct Parts {
    coming: Box<dyn Iterator<Item = Part>>,
    asked: VecDeque<Part>,
    ahead: Ahead,
}

impl Parts {
    /// Parts of the rank of a number of processes.
    pub(super) fn new(
        schedule: &Schedule,
        seed: u64,
        [rank, processes]: [usize; 2],
        steps: Range<u64>,
        samples: usize,
        device: Device,
    ) -> Self {
        let (batch, size) = (schedule.batch, schedule.micro_batch);
        let parts = batch / size;
        let coming = steps.flat_map(move |step| {
            let whole = Rc::new(order::batch(seed, step, batch, samples));
            // Each process takes neighbouring parts, so that sums are added in the same order by any number of them.
            let mine = (0..parts).filter(move |index| index * processes / parts == rank);
            mine.map(move |index| Part {
                whole: Rc::clone(&whole),
                scans: index * size..(index + 1) * size,
                seed: seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (step << 12) ^ index as u64,
            })
        });
        Parts { coming: Box::new(coming), asked: VecDeque::new(), ahead: Ahead::new(device) }
    }

    /// The next part and what the stage wants for it; none behind the last step.
    ///
    /// # Errors
    /// Those of the cache.
    pub(super) fn next(&mut self, stage: &dyn Stage) -> Result<Option<(Part, Vec<Tensor>)>> {
        while self.ahead.has_room()
            && let Some(part) = self.coming.next()
        {
            self.ahead.ask(stage.wanted(&part.micro_batch()));
            self.asked.push_back(part);
        }
        match self.asked.pop_front() {
            Some(part) => Ok(Some((part, self.ahead.take()?))),
            None => Ok(None),
        }
    }
}
