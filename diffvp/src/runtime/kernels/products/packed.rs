//! Weights in the order in which the products read them.

use rayon::prelude::*;

use super::layout::{LANES, Layout};

/// What one register holds, in a line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u32; LANES]);

/// A weight, packed tile by tile ([`LANES`] rows), and in a tile block by block: lines of codes, of which each lane is four
/// bytes of a row's codes as they are stored, then a line of scales (float32), then, where they are stored, a line of zero points
/// (int32). Memory is read from the first byte to the last.
pub(super) struct Packed {
    pub(super) layout: Layout,
    pub(super) lines: Vec<Line>,
}

impl Packed {
    /// Packs a weight; `None` where its parts do not have the sizes of the layout, or there is no memory for it.
    pub(super) fn new(layout: Layout, codes: &[u8], scales: &[f32], zeros: &[u8]) -> Option<Packed> {
        let (blocks, block_bytes) = (layout.blocks(), layout.block_bytes());
        let zero_bytes = if layout.symmetric { 0 } else { layout.zero_bytes() };
        let product = |a: usize, b: usize| a.checked_mul(b);
        let fit = product(layout.n, blocks)?.checked_mul(block_bytes)? == codes.len()
            && product(layout.n, blocks)? == scales.len()
            && product(layout.n, zero_bytes)? == zeros.len();
        if !fit || !layout.is_known() {
            return None;
        }
        let block_lines = block_lines(&layout);
        let count = product(layout.tiles(), blocks)?.checked_mul(block_lines)?;
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        lines.resize(count, Line([0; LANES]));
        let zero = |row: usize, block: usize| {
            let (bit, of_row) = (block * layout.bits, &zeros[row * zero_bytes..]);
            u32::from(of_row[bit / 8] >> (bit % 8)) & ((1 << layout.bits) - 1)
        };
        lines.par_chunks_mut(blocks * block_lines).enumerate().for_each(|(tile, lines)| {
            for (block, lines) in lines.chunks_exact_mut(block_lines).enumerate() {
                for lane in 0..LANES.min(layout.n - tile * LANES) {
                    let row = tile * LANES + lane;
                    let at = row * blocks + block;
                    let (four, _) = codes[at * block_bytes..][..block_bytes].as_chunks::<4>();
                    for (line, four) in lines.iter_mut().zip(four) {
                        line.0[lane] = u32::from_le_bytes(*four);
                    }
                    lines[four.len()].0[lane] = scales[at].to_bits();
                    if !layout.symmetric {
                        lines[four.len() + 1].0[lane] = zero(row, block);
                    }
                }
            }
        });
        Some(Packed { layout, lines })
    }

    /// Lines of one tile.
    pub(super) fn tile_lines(&self) -> usize {
        self.layout.blocks() * block_lines(&self.layout)
    }
}

/// Lines of a block of a tile.
pub(super) fn block_lines(layout: &Layout) -> usize {
    layout.block_bytes() / 4 + if layout.symmetric { 1 } else { 2 }
}
