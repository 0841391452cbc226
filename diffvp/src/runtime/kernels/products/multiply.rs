//! Products of activations of eight bits with packed weights: sixteen rows of a weight side by side, four of their codes at a time.
//!
//! A result is the sum over blocks, in their order, of an exact integer times both scales. So it does not depend on how
//! many rows of activations are multiplied at a time, nor on the instructions.

use std::arch::x86_64::{__m128i, _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128};
use std::ops::Range;

use super::super::lanes::{Instructions, Kernel, Lanes};
use super::super::session::Parts;
use super::layout::{LANES, Layout};
use super::packed::{Line, Packed};

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
    /// Where there is no such row.
    pub(super) unsafe fn round(&self, instructions: Instructions, row: usize) {
        let (layout, blocks) = (self.layout, self.layout.blocks());
        // SAFETY: the row is the caller's.
        let row = unsafe {
            Row {
                layout,
                x: &self.x[row * layout.k..][..layout.k],
                values: self.values.part(row * blocks * layout.block, blocks * layout.block),
                scales: self.scales.part(row * blocks, blocks),
                sums: self.sums.part(row * blocks, blocks),
            }
        };
        instructions.run(row);
    }
}

/// A row of activations and the place for what it is rounded to.
struct Row<'a> {
    layout: &'a Layout,
    x: &'a [f32],
    values: &'a mut [i8],
    scales: &'a mut [f32],
    sums: &'a mut [i32],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let layout = self.layout;
        let blocks = self.x.chunks(layout.block).zip(self.values.chunks_exact_mut(layout.block));
        for ((x, values), (scale, sum)) in blocks.zip(self.scales.iter_mut().zip(self.sums.iter_mut())) {
            // SAFETY: the caller has the instructions; slices have as many numbers as are read and written.
            unsafe {
                let largest = x.chunks(LANES).fold(V::splat(0.0), |a, x| V::max(a, V::abs(V::load_some(x))));
                *scale = V::largest(largest) / 127.0;
                let inverse = V::splat(if *scale == 0.0 { 0.0 } else { 1.0 / *scale });
                let mut total = V::integers(0);
                for (i, values) in values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                    let x = x.get(i * LANES..).unwrap_or(&[]);
                    let rounded = V::to_integers(V::mul(V::load_some(&x[..x.len().min(LANES)]), inverse));
                    total = V::add_integers(total, rounded);
                    let bytes = in_order(layout.bits, V::to_bytes(rounded));
                    _mm_storeu_si128(values.as_mut_ptr().cast(), bytes);
                }
                *sum = V::sum_integers(total);
            }
        }
    }
}

/// Activations in the order in which codes of so many bits meet them.
///
/// # Safety
/// Needs SSSE3.
#[inline(always)]
unsafe fn in_order(bits: usize, bytes: __m128i) -> __m128i {
    if bits == 8 {
        return bytes;
    }
    // SAFETY: the caller has the instructions.
    unsafe { _mm_shuffle_epi8(bytes, _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15)) }
}

/// Multiplies all rows with some tiles of the weight.
///
/// # Safety
/// No other thread may have the same tiles of these results at the same time.
///
/// # Panics
/// Where the sizes do not fit each other.
pub(super) unsafe fn products(
    instructions: Instructions,
    weight: &Packed,
    activations: &Activations,
    tiles: Range<usize>,
    results: &Parts<'_, f32>,
) {
    let layout = &weight.layout;
    let rows = results.len() / layout.n;
    let blocks = rows * layout.blocks();
    assert!(tiles.end <= layout.tiles() && weight.lines.len() == layout.tiles() * weight.tile_lines());
    assert!(activations.values.len() == blocks * layout.block && results.len() == rows * layout.n);
    assert!(activations.scales.len() == blocks && activations.sums.len() == blocks);
    let of = Product { weight, activations, rows, tiles, results };
    match (layout.bits, layout.block, layout.symmetric) {
        (4, 32, true) => instructions.run(Multiply::<4, 32, true>(of)),
        (4, 32, false) => instructions.run(Multiply::<4, 32, false>(of)),
        (4, 128, true) => instructions.run(Multiply::<4, 128, true>(of)),
        (4, 128, false) => instructions.run(Multiply::<4, 128, false>(of)),
        (8, 32, true) => instructions.run(Multiply::<8, 32, true>(of)),
        (8, 32, false) => instructions.run(Multiply::<8, 32, false>(of)),
        (8, 128, true) => instructions.run(Multiply::<8, 128, true>(of)),
        (8, 128, false) => instructions.run(Multiply::<8, 128, false>(of)),
        (bits, block, _) => panic!("no products of {bits} bits in blocks of {block}"),
    }
}

/// What is multiplied: sizes fit, and the tiles of the results are this thread's.
struct Product<'a> {
    weight: &'a Packed,
    activations: &'a Activations,
    rows: usize,
    tiles: Range<usize>,
    results: &'a Parts<'a, f32>,
}

/// A product with a weight of so many bits in such blocks, whose zero points are in the middle or stored.
struct Multiply<'a, const BITS: usize, const BLOCK: usize, const SYMMETRIC: bool>(Product<'a>);

impl<const BITS: usize, const BLOCK: usize, const SYMMETRIC: bool> Kernel for Multiply<'_, BITS, BLOCK, SYMMETRIC> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Product { rows, ref tiles, .. } = self.0;
        for tile in tiles.clone() {
            let mut row = 0;
            while row < rows {
                let count = (rows - row).min(V::ROWS);
                macro_rules! some {
                    ($count:literal) => {
                        // SAFETY: the caller has the instructions; row + count is not above rows.
                        unsafe { self.rows_of_tile::<V, $count>(row, tile) }
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
}

impl<const BITS: usize, const BLOCK: usize, const SYMMETRIC: bool> Multiply<'_, BITS, BLOCK, SYMMETRIC> {
    /// M rows of activations, from `row` on, times one tile.
    ///
    /// # Safety
    /// Needs the instructions; `row + M` must not be above the number of rows, and the tile must be one of this thread's.
    #[inline(always)]
    unsafe fn rows_of_tile<V: Lanes, const M: usize>(&self, row: usize, tile: usize) {
        let Product { weight, activations, results, .. } = self.0;
        let layout = &weight.layout;
        let blocks = layout.blocks();
        let code_lines = const { BLOCK * BITS / 8 / 4 };
        let mut line: *const Line = weight.lines[tile * weight.tile_lines()..].as_ptr();
        let values = activations.values[row * blocks * BLOCK..].as_ptr();
        let (scales, sums) = (&activations.scales[row * blocks..], &activations.sums[row * blocks..]);
        // SAFETY: a block has so many lines, each row so many values, and nobody else has this tile.
        unsafe {
            let mut totals = [V::splat(0.0); M];
            for block in 0..blocks {
                let dots = V::dots::<BITS, BLOCK, M>(line.cast(), values.add(block * BLOCK), blocks * BLOCK);
                let weight_scales = V::load(line.add(code_lines).cast());
                let zeros = if SYMMETRIC {
                    V::integers(layout.middle())
                } else {
                    V::load_integers(line.add(code_lines + 1).cast())
                };
                line = line.add(code_lines + if SYMMETRIC { 1 } else { 2 });
                for j in 0..M {
                    let above = V::mul_integers(zeros, V::integers(sums[j * blocks + block]));
                    let dot = V::to_floats(V::sub_integers(dots[j], above));
                    let scale = V::mul(weight_scales, V::splat(scales[j * blocks + block]));
                    totals[j] = V::mul_add(dot, scale, totals[j]);
                }
            }
            let count = LANES.min(layout.n - tile * LANES);
            for (j, total) in totals.into_iter().enumerate() {
                V::store_some(total, results.part((row + j) * layout.n + tile * LANES, count));
            }
        }
    }
}
