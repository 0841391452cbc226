//! Rounding of keys and values, and attention over them, in AVX-512.

use std::arch::x86_64::*;
use std::cell::Cell;
use std::marker::PhantomData;

use super::records::{BLOCK, is_known, record_bytes};

/// Largest size of a head that [`is_known`].
pub(super) const MOST: usize = 256;

/// Whether this processor has what the functions here need.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// Keys or values of all heads, in memory that threads share.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    start: *mut u8,
    heads: usize,
    /// Positions of a head, and bytes from one head to the next.
    positions: usize,
    stride: usize,
    head_dim: usize,
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
    pub(super) unsafe fn new(start: *mut f32, heads: usize, rows: usize, head_dim: usize) -> Option<Self> {
        let known = available() && is_known(head_dim) && !start.is_null();
        known.then(|| Records {
            start: start.cast(),
            heads,
            positions: super::records::positions(rows),
            stride: rows * head_dim * 4,
            head_dim,
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
        // SAFETY: `new` saw the features, and a record has so many bytes.
        unsafe { round(x, self.record(head, position)) }
    }
}

/// # Safety
/// Needs the features, and a record for x at `record`.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn round(x: &[f32], record: *mut u8) {
    let scales = record.wrapping_add(x.len()).cast::<f32>();
    for (block, x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
        // SAFETY: a block has two registers of numbers; record and scale are there.
        unsafe {
            let [low, high] = [0, 16].map(|at| _mm512_loadu_ps(x.as_ptr().add(at)));
            let largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
            let inverse = _mm512_set1_ps(if largest == 0.0 { 0.0 } else { 127.0 / largest });
            for (half, x) in [low, high].into_iter().enumerate() {
                // To the nearest, to the even one of two.
                let codes = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(x, inverse)));
                _mm_storeu_si128(record.add(block * BLOCK + half * 16).cast(), codes);
            }
            scales.add(block).write_unaligned(largest / 127.0);
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
pub(super) unsafe fn attend(
    query: &[f32],
    [keys, values]: [&Records<'_>; 2],
    head: usize,
    seen: &[u32],
    result: &mut [f32],
) {
    let head_dim = keys.head_dim;
    assert!(query.len() == head_dim && result.len() == head_dim && values.head_dim == head_dim);
    let last = seen.iter().max().map_or(0, |last| *last as usize);
    let (keys, values) = match seen {
        [] => return result.fill(0.0),
        _ => [keys, values]
            .map(|records| {
                records.record(head, last);
                records.record(head, 0).cast_const()
            })
            .into(),
    };
    let read = match head_dim / BLOCK {
        1 => read::<1>,
        2 => read::<2>,
        3 => read::<3>,
        4 => read::<4>,
        6 => read::<6>,
        8 => read::<8>,
        _ => panic!("no attention for heads of {head_dim}"),
    };
    // SAFETY: `Records::new` saw the features; all records up to the last one seen are there.
    unsafe { read(query, keys, values, seen, result) }
}

/// The numbers of a block's half.
///
/// # Safety
/// Needs the features, and sixteen codes at `codes`.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn numbers(codes: *const u8) -> __m512 {
    // SAFETY: so many codes are there.
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(unsafe { _mm_loadu_si128(codes.cast()) }))
}

thread_local! {
    /// Room for scores, so that none is asked for at each head of each row.
    static SCORES: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// [`attend`] for heads of so many blocks.
///
/// # Safety
/// Needs the features, records of keys and values up to the last one seen, and slices of a head's size.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn read<const BLOCKS: usize>(
    query: &[f32],
    keys: *const u8,
    values: *const u8,
    seen: &[u32],
    result: &mut [f32],
) {
    let (codes, bytes) = const { (BLOCKS * BLOCK, record_bytes(BLOCKS * BLOCK)) };
    // SAFETY: slices and records have so many numbers.
    unsafe {
        let mut q = [[_mm512_setzero_ps(); 2]; BLOCKS];
        for (block, q) in q.iter_mut().enumerate() {
            *q = [0, 16].map(|at| _mm512_loadu_ps(query.as_ptr().add(block * BLOCK + at)));
        }
        let mut scores = SCORES.take();
        // Whole registers; what is behind the last score weighs nothing.
        scores.clear();
        scores.resize(seen.len().next_multiple_of(16), f32::NEG_INFINITY);
        for (score, position) in scores.iter_mut().zip(seen) {
            let record = keys.add(*position as usize * bytes);
            let scales = record.add(codes).cast::<f32>();
            let mut sums = [_mm512_setzero_ps(); 2];
            for (block, q) in q.iter().enumerate() {
                let codes = record.add(block * BLOCK);
                let dot = _mm512_fmadd_ps(q[1], numbers(codes.add(16)), _mm512_mul_ps(q[0], numbers(codes)));
                let scale = _mm512_set1_ps(scales.add(block).read_unaligned());
                sums[block % 2] = _mm512_fmadd_ps(dot, scale, sums[block % 2]);
            }
            *score = _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
        }
        let total = softmax(&mut scores);
        let mut sums = [[_mm512_setzero_ps(); 2]; BLOCKS];
        for (score, position) in scores.iter().zip(seen) {
            let record = values.add(*position as usize * bytes);
            let scales = record.add(codes).cast::<f32>();
            for (block, sums) in sums.iter_mut().enumerate() {
                let weight = _mm512_set1_ps(score * scales.add(block).read_unaligned());
                for (half, sum) in sums.iter_mut().enumerate() {
                    *sum = _mm512_fmadd_ps(numbers(record.add(block * BLOCK + half * 16)), weight, *sum);
                }
            }
        }
        SCORES.set(scores);
        let share = _mm512_set1_ps(1.0 / total);
        for (block, sums) in sums.iter().enumerate() {
            for (half, sum) in sums.iter().enumerate() {
                let at = result.as_mut_ptr().add(block * BLOCK + half * 16);
                _mm512_storeu_ps(at, _mm512_mul_ps(*sum, share));
            }
        }
    }
}

/// Scores to weights that are not divided by their sum yet, which is returned.
#[target_feature(enable = "avx512f,avx512bw")]
fn softmax(scores: &mut [f32]) -> f32 {
    let (registers, _) = scores.as_chunks_mut::<16>();
    // SAFETY: a chunk is a register.
    let load = |chunk: &[f32; 16]| unsafe { _mm512_loadu_ps(chunk.as_ptr()) };
    let largest = registers.iter().fold(_mm512_set1_ps(f32::NEG_INFINITY), |a, chunk| _mm512_max_ps(a, load(chunk)));
    let largest = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    let mut total = _mm512_setzero_ps();
    for chunk in registers {
        let weights = exp(_mm512_sub_ps(load(chunk), largest));
        total = _mm512_add_ps(total, weights);
        // SAFETY: a chunk is a register.
        unsafe { _mm512_storeu_ps(chunk.as_mut_ptr(), weights) };
    }
    _mm512_reduce_add_ps(total)
}

/// eˣ for x ≤ 0, to 2 units in the last place: 2ⁿ · eʳ with |r| ≤ ln 2 / 2, and eʳ by its series.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn exp(x: __m512) -> __m512 {
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // So little is nothing beside 1. In this order what is not a number stays one.
    let x = _mm512_max_ps(_mm512_set1_ps(-87.0), x);
    let n = _mm512_roundscale_ps::<0>(_mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E)));
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2[0]), x);
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2[1]), r);
    let mut sum = _mm512_set1_ps(1.0 / 5040.0);
    for next in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(next));
    }
    _mm512_scalef_ps(sum, n)
}
