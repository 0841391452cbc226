//! Rounding of keys and values, and attention over them.

use std::arch::x86_64::_mm_storeu_si128;
use std::cell::Cell;
use std::marker::PhantomData;

use super::super::lanes::{Instructions, Kernel, LANES, Lanes};
use super::records::{BLOCK, is_known, record_bytes};

/// Largest size of a head that [`is_known`].
pub(super) const MOST: usize = 256;

/// Keys or values of all heads, in memory that threads share.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    start: *mut u8,
    heads: usize,
    /// Positions of a head, and bytes from one head to the next.
    positions: usize,
    stride: usize,
    head_dim: usize,
    instructions: Instructions,
    _bytes: PhantomData<&'a mut [u8]>,
}

// SAFETY: those who write and read are told which records are theirs.
unsafe impl Sync for Records<'_> {}
// SAFETY: as above.
unsafe impl Send for Records<'_> {}

impl Records<'_> {
    /// The records in `[heads, rows, head_dim]` numbers of float32; `None` where no kernel knows such heads.
    ///
    /// # Safety
    /// So much memory must be there, and initialised, as long as the result is used.
    pub(super) unsafe fn new(
        instructions: Instructions,
        start: *mut f32,
        [heads, rows, head_dim]: [usize; 3],
    ) -> Option<Self> {
        (is_known(head_dim) && !start.is_null()).then(|| Records {
            start: start.cast(),
            heads,
            positions: super::records::positions(rows),
            stride: rows * head_dim * 4,
            head_dim,
            instructions,
            _bytes: PhantomData,
        })
    }

    /// Positions that a head has room for.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    /// The record of a position.
    ///
    /// # Panics
    /// Where there is none.
    fn record(&self, head: usize, position: usize) -> *mut u8 {
        assert!(head < self.heads && position < self.positions, "record {position} of head {head}");
        self.start.wrapping_add(head * self.stride + position * record_bytes(self.head_dim))
    }

    /// Rounds a key or value to a record.
    ///
    /// # Safety
    /// Nobody else may write or read this record at the same time.
    ///
    /// # Panics
    /// Where there is no such record, or the numbers are not those of a head.
    pub(super) unsafe fn write(&self, head: usize, position: usize, x: &[f32]) {
        assert!(x.len() == self.head_dim);
        self.instructions.run(Round { x, record: self.record(head, position) });
    }
}

/// Rounds numbers to a record, which is the caller's, and has place for them.
struct Round<'a> {
    x: &'a [f32],
    record: *mut u8,
}

impl Kernel for Round<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let scales = self.record.wrapping_add(self.x.len()).cast::<f32>();
        for (block, x) in self.x.as_chunks::<BLOCK>().0.iter().enumerate() {
            // SAFETY: the caller has the instructions; a block is two times so many lanes; record and scale are there.
            unsafe {
                let halves = [V::load(x.as_ptr()), V::load(x.as_ptr().add(LANES))];
                let largest = V::largest(V::max(V::abs(halves[0]), V::abs(halves[1])));
                let inverse = V::splat(if largest == 0.0 { 0.0 } else { 127.0 / largest });
                for (half, x) in halves.into_iter().enumerate() {
                    let codes = V::to_bytes(V::to_integers(V::mul(x, inverse)));
                    _mm_storeu_si128(self.record.add(block * BLOCK + half * LANES).cast(), codes);
                }
                scales.add(block).write_unaligned(largest / 127.0);
            }
        }
    }
}

/// What a query reads: values weighted by the softmax of its products with keys, over the positions that it sees, in their order.
/// The query is scaled already.
///
/// # Safety
/// Nobody may write the records of the head at the same time.
///
/// # Panics
/// Where a position has no record, or query and result are not of a head's size.
pub(super) unsafe fn attend(query: &[f32], records: [&Records<'_>; 2], head: usize, seen: &[u32], result: &mut [f32]) {
    let head_dim = records[0].head_dim;
    assert!(query.len() == head_dim && result.len() == head_dim && records[1].head_dim == head_dim);
    let Some(last) = seen.iter().max() else { return result.fill(0.0) };
    let [keys, values] = records.map(|records| {
        // All up to the last one seen are there.
        records.record(head, *last as usize);
        records.record(head, 0).cast_const()
    });
    let of = Attend { query, keys, values, seen, result };
    let instructions = records[0].instructions;
    match head_dim / BLOCK {
        1 => instructions.run(Read::<1>(of)),
        2 => instructions.run(Read::<2>(of)),
        3 => instructions.run(Read::<3>(of)),
        4 => instructions.run(Read::<4>(of)),
        6 => instructions.run(Read::<6>(of)),
        8 => instructions.run(Read::<8>(of)),
        _ => panic!("no attention for heads of {head_dim}"),
    }
}

thread_local! {
    /// Room for scores, so that none is asked for at each head of each row.
    static SCORES: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Query and result have a head's size, and all records up to the last one seen are there.
struct Attend<'a> {
    query: &'a [f32],
    keys: *const u8,
    values: *const u8,
    seen: &'a [u32],
    result: &'a mut [f32],
}

/// [`attend`] for heads of so many blocks.
struct Read<'a, const BLOCKS: usize>(Attend<'a>);

impl<const BLOCKS: usize> Kernel for Read<'_, BLOCKS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Attend { query, keys, values, seen, result } = self.0;
        let (codes, bytes) = const { (BLOCKS * BLOCK, record_bytes(BLOCKS * BLOCK)) };
        // SAFETY: the caller has the instructions; slices and records have so many numbers.
        unsafe {
            let mut q = [[V::splat(0.0); BLOCKS]; 2];
            for (half, q) in q.iter_mut().enumerate() {
                for (block, q) in q.iter_mut().enumerate() {
                    *q = V::load(query.as_ptr().add(block * BLOCK + half * LANES));
                }
            }
            let mut scores = SCORES.take();
            // Whole registers; what is behind the last score weighs nothing.
            scores.clear();
            scores.resize(seen.len().next_multiple_of(LANES), f32::NEG_INFINITY);
            for (score, position) in scores.iter_mut().zip(seen) {
                let record = keys.add(*position as usize * bytes);
                let scales = record.add(codes).cast::<f32>();
                let mut sums = [V::splat(0.0); 2];
                for block in 0..BLOCKS {
                    let codes = record.add(block * BLOCK);
                    let low = V::mul(q[0][block], V::load_bytes(codes));
                    let dot = V::mul_add(q[1][block], V::load_bytes(codes.add(LANES)), low);
                    let scale = V::splat(scales.add(block).read_unaligned());
                    sums[block % 2] = V::mul_add(dot, scale, sums[block % 2]);
                }
                *score = V::sum(V::add(sums[0], sums[1]));
            }
            let total = softmax::<V>(&mut scores);
            let mut sums = [[V::splat(0.0); 2]; BLOCKS];
            for (score, position) in scores.iter().zip(seen) {
                let record = values.add(*position as usize * bytes);
                let scales = record.add(codes).cast::<f32>();
                for (block, sums) in sums.iter_mut().enumerate() {
                    let weight = V::splat(score * scales.add(block).read_unaligned());
                    for (half, sum) in sums.iter_mut().enumerate() {
                        *sum = V::mul_add(V::load_bytes(record.add(block * BLOCK + half * LANES)), weight, *sum);
                    }
                }
            }
            SCORES.set(scores);
            let share = V::splat(1.0 / total);
            for (block, sums) in sums.into_iter().enumerate() {
                for (half, sum) in sums.into_iter().enumerate() {
                    V::store(V::mul(sum, share), result.as_mut_ptr().add(block * BLOCK + half * LANES));
                }
            }
        }
    }
}

/// Scores to weights that are not divided by their sum yet, which is returned.
///
/// # Safety
/// Needs the instructions.
#[inline(always)]
unsafe fn softmax<V: Lanes>(scores: &mut [f32]) -> f32 {
    let (registers, _) = scores.as_chunks_mut::<LANES>();
    // SAFETY: the caller has the instructions, and a chunk is a register.
    unsafe {
        let lowest = V::splat(f32::NEG_INFINITY);
        let largest = registers.iter().fold(lowest, |a, chunk| V::max(a, V::load(chunk.as_ptr())));
        let largest = V::splat(V::largest(largest));
        let mut total = V::splat(0.0);
        for chunk in registers {
            let weights = exp::<V>(V::sub(V::load(chunk.as_ptr()), largest));
            total = V::add(total, weights);
            V::store(weights, chunk.as_mut_ptr());
        }
        V::sum(total)
    }
}

/// eˣ for x ≤ 0, to 2 units in the last place: 2ⁿ · eʳ with |r| ≤ ln 2 / 2, and eʳ by its series.
///
/// # Safety
/// Needs the instructions.
#[inline(always)]
unsafe fn exp<V: Lanes>(x: V::Floats) -> V::Floats {
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // SAFETY: the caller has the instructions.
    unsafe {
        // So little is nothing beside 1. In this order what is not a number stays one.
        let x = V::max(V::splat(-87.0), x);
        let n = V::round(V::mul(x, V::splat(std::f32::consts::LOG2_E)));
        let r = V::mul_sub_from(n, V::splat(LN_2[0]), x);
        let r = V::mul_sub_from(n, V::splat(LN_2[1]), r);
        let mut sum = V::splat(1.0 / 5040.0);
        for next in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            sum = V::mul_add(sum, r, V::splat(next));
        }
        V::scale_by_power(sum, n)
    }
}
