//! Products in AVX-512 with VNNI: sixteen rows of a weight in the lanes of a register, four of their codes at a time.
//!
//! A result is the sum over blocks, in their order, of an exact integer times both scales. So it does not depend on how
//! many rows of activations are multiplied at a time.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::session::Parts;
use super::layout::{LANES, Layout};
use super::packed::{Line, Packed};

/// Whether this processor has what the functions here need.
pub(in super::super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
}

/// Rows `[rows, k]` of activations as eight-bit integers with one scale a block, rounded as ONNX Runtime does at
/// `accuracy_level` 4.
#[derive(Default)]
pub(super) struct Activations {
    /// `[rows, blocks · block]`, zero behind k. Beside four-bit codes, eight values lie in the order 0, 2, 4, 6, 1, 3, 5, 7, as the low
    /// and the high halves of four bytes of codes meet them.
    values: Vec<i8>,
    /// `[rows, blocks]`.
    scales: Vec<f32>,
    /// `[rows, blocks]`: sums of the values.
    sums: Vec<i32>,
}

impl Activations {
    /// The rows of x, to be rounded one by one, and the place for it.
    pub(super) fn rows<'a>(&'a mut self, x: &'a [f32], layout: &'a Layout) -> Rows<'a> {
        let (rows, blocks) = (x.len() / layout.k, layout.blocks());
        self.values.resize(rows * blocks * layout.block, 0);
        self.scales.resize(rows * blocks, 0.0);
        self.sums.resize(rows * blocks, 0);
        let (values, scales) = (Parts::new(&mut self.values), Parts::new(&mut self.scales));
        Rows { x, layout, values, scales, sums: Parts::new(&mut self.sums) }
    }
}

/// Rows of activations, shared among threads.
pub(super) struct Rows<'a> {
    x: &'a [f32],
    layout: &'a Layout,
    values: Parts<'a, i8>,
    scales: Parts<'a, f32>,
    sums: Parts<'a, i32>,
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        self.x.len() / self.layout.k
    }

    /// Rounds a row.
    ///
    /// # Safety
    /// No other thread may round the same row.
    ///
    /// # Panics
    /// Where [`available`] is false, or there is no such row.
    pub(super) unsafe fn round(&self, row: usize) {
        let (layout, blocks) = (self.layout, self.layout.blocks());
        // SAFETY: the row is the caller's.
        let mut row = unsafe {
            Row {
                x: &self.x[row * layout.k..][..layout.k],
                values: self.values.part(row * blocks * layout.block, blocks * layout.block),
                scales: self.scales.part(row * blocks, blocks),
                sums: self.sums.part(row * blocks, blocks),
            }
        };
        row.round(layout);
    }
}

/// A row of activations and the place for what it is rounded to.
struct Row<'a> {
    x: &'a [f32],
    values: &'a mut [i8],
    scales: &'a mut [f32],
    sums: &'a mut [i32],
}

impl Row<'_> {
    /// # Panics
    /// Where [`available`] is false.
    fn round(&mut self, layout: &Layout) {
        assert!(available(), "this processor has no AVX-512 VNNI");
        // SAFETY: the features are there.
        unsafe { self.round_with_vnni(layout) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn round_with_vnni(&mut self, layout: &Layout) {
        let order = match layout.bits {
            4 => _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15),
            _ => _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        };
        let blocks = self.x.chunks(layout.block).zip(self.values.chunks_exact_mut(layout.block));
        for ((x, values), (scale, sum)) in blocks.zip(self.scales.iter_mut().zip(self.sums.iter_mut())) {
            let largest = x.chunks(LANES).fold(_mm512_setzero_ps(), |a, x| _mm512_max_ps(a, _mm512_abs_ps(load(x))));
            *scale = _mm512_reduce_max_ps(largest) / 127.0;
            let inverse = _mm512_set1_ps(if *scale == 0.0 { 0.0 } else { 1.0 / *scale });
            let mut total = _mm512_setzero_si512();
            for (i, values) in values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let x = x.get(i * LANES..).unwrap_or(&[]);
                // To the nearest, to the even one of two.
                let rounded = _mm512_cvtps_epi32(_mm512_mul_ps(load(&x[..x.len().min(LANES)]), inverse));
                total = _mm512_add_epi32(total, rounded);
                let bytes = _mm_shuffle_epi8(_mm512_cvtepi32_epi8(rounded), order);
                // SAFETY: there is place for so many bytes.
                unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), bytes) };
            }
            *sum = _mm512_reduce_add_epi32(total);
        }
    }
}

/// At most [`LANES`] values, and zeros behind them.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn load(x: &[f32]) -> __m512 {
    debug_assert!(x.len() <= LANES);
    let mask = ((1u32 << x.len()) - 1) as u16;
    // SAFETY: the mask ends where the values do.
    unsafe { _mm512_maskz_loadu_ps(mask, x.as_ptr()) }
}

/// Rows of activations that are multiplied at a time.
const ROWS: usize = 8;

/// Multiplies all rows with some tiles of the weight.
///
/// # Safety
/// No other thread may have the same tiles of these results at the same time.
///
/// # Panics
/// Where [`available`] is false, or the sizes do not fit each other.
pub(super) unsafe fn products(weight: &Packed, activations: &Activations, tiles: Range<usize>, results: &Parts<'_, f32>) {
    let layout = &weight.layout;
    assert!(available(), "this processor has no AVX-512 VNNI");
    let rows = results.len() / layout.n;
    let blocks = rows * layout.blocks();
    assert!(tiles.end <= layout.tiles() && weight.lines.len() == layout.tiles() * weight.tile_lines());
    assert!(activations.values.len() == blocks * layout.block && results.len() == rows * layout.n);
    assert!(activations.scales.len() == blocks && activations.sums.len() == blocks);
    let multiply = match (layout.bits, layout.block, layout.symmetric) {
        (4, 32, true) => multiply::<4, 32, true>,
        (4, 32, false) => multiply::<4, 32, false>,
        (4, 128, true) => multiply::<4, 128, true>,
        (4, 128, false) => multiply::<4, 128, false>,
        (8, 32, true) => multiply::<8, 32, true>,
        (8, 32, false) => multiply::<8, 32, false>,
        (8, 128, true) => multiply::<8, 128, true>,
        (8, 128, false) => multiply::<8, 128, false>,
        (bits, block, _) => panic!("no products of {bits} bits in blocks of {block}"),
    };
    // SAFETY: the features are there, the sizes fit, and the tiles are this thread's.
    unsafe { multiply(weight, activations, rows, tiles, results) }
}

/// How many lines ahead codes are fetched. The processor does it too, but not soon enough where several rows are multiplied; each
/// line is read once, so that it need not push activations out of the nearer caches.
const AHEAD: usize = 64;

/// # Safety
/// Needs the features, and what [`products`] checks and asks for.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn multiply<const BITS: usize, const BLOCK: usize, const SYMMETRIC: bool>(
    weight: &Packed,
    activations: &Activations,
    rows: usize,
    tiles: Range<usize>,
    results: &Parts<'_, f32>,
) {
    for tile in tiles {
        let mut row = 0;
        while row < rows {
            let count = (rows - row).min(ROWS);
            macro_rules! some {
                ($count:literal) => {
                    // SAFETY: as above; row + count is not above rows.
                    unsafe { rows_of_tile::<BITS, BLOCK, SYMMETRIC, $count>(weight, activations, row, tile, results) }
                };
            }
            match count {
                1 => some!(1),
                2 => some!(2),
                3 => some!(3),
                4 => some!(4),
                5 => some!(5),
                6 => some!(6),
                7 => some!(7),
                _ => some!(8),
            }
            row += count;
        }
    }
}

/// M rows of activations, from `row` on, times one tile.
///
/// # Safety
/// Needs the features, and what [`products`] checks and asks for.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn rows_of_tile<const BITS: usize, const BLOCK: usize, const SYMMETRIC: bool, const M: usize>(
    weight: &Packed,
    activations: &Activations,
    row: usize,
    tile: usize,
    results: &Parts<'_, f32>,
) {
    let layout = &weight.layout;
    let blocks = layout.blocks();
    let code_lines = const { BLOCK * BITS / 8 / 4 };
    let mut line: *const Line = weight.lines[tile * weight.tile_lines()..].as_ptr();
    let values = activations.values[row * blocks * BLOCK..].as_ptr();
    let (scales, sums) = (&activations.scales[row * blocks..], &activations.sums[row * blocks..]);
    let low = _mm512_set1_epi8(0xf);
    let mut totals = [_mm512_setzero_ps(); M];
    for block in 0..blocks {
        // Few rows would wait for their own sums: they have two, which are added in the end.
        let mut dots = [[_mm512_setzero_si512(); M]; 2];
        // SAFETY: a block has so many lines, and each row so many values.
        let weight_scales = unsafe {
            for i in 0..code_lines {
                // Past the end nothing is fetched, and nothing fails.
                _mm_prefetch::<_MM_HINT_NTA>(line.wrapping_add(i + AHEAD).cast());
                let codes = _mm512_load_si512(line.add(i).cast());
                let mut meet = |half: usize, part: __m512i, at: usize| {
                    for (j, dot) in dots[if M < 4 { half } else { 0 }].iter_mut().enumerate() {
                        let four = values.add(j * blocks * BLOCK + block * BLOCK + at).cast::<i32>().read_unaligned();
                        *dot = _mm512_dpbusd_epi32(*dot, part, _mm512_set1_epi32(four));
                    }
                };
                if BITS == 4 {
                    meet(0, _mm512_and_si512(codes, low), 8 * i);
                    meet(1, _mm512_and_si512(_mm512_srli_epi16::<4>(codes), low), 8 * i + 4);
                } else {
                    meet(i % 2, codes, 4 * i);
                }
            }
            let scales = _mm512_load_ps(line.add(code_lines).cast());
            let zeros = if SYMMETRIC {
                _mm512_set1_epi32(layout.middle())
            } else {
                _mm512_load_si512(line.add(code_lines + 1).cast())
            };
            for j in 0..M {
                let above = _mm512_mullo_epi32(zeros, _mm512_set1_epi32(sums[j * blocks + block]));
                dots[0][j] = _mm512_sub_epi32(_mm512_add_epi32(dots[0][j], dots[1][j]), above);
            }
            line = line.add(code_lines + if SYMMETRIC { 1 } else { 2 });
            scales
        };
        for j in 0..M {
            let scale = _mm512_mul_ps(weight_scales, _mm512_set1_ps(scales[j * blocks + block]));
            totals[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[0][j]), scale, totals[j]);
        }
    }
    let count = LANES.min(layout.n - tile * LANES);
    for (j, total) in totals.iter().enumerate() {
        // SAFETY: nobody else has this tile, and the mask ends where it does.
        unsafe {
            let results = results.part((row + j) * layout.n + tile * LANES, count);
            _mm512_mask_storeu_ps(results.as_mut_ptr(), u16::MAX >> (LANES - count), *total);
        }
    }
}
