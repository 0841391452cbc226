//! Sizes of a weight, as `MatMulNBits` stores it and as the products read it.

/// Rows of a weight that one register holds, one in each lane.
pub(in super::super) const LANES: usize = 16;

/// A weight `[n, k]` in blocks, as `MatMulNBits` stores it: codes `[n, blocks, block · bits / 8]`, of four bits the even one in the
/// low half of a byte; scales `[n, blocks]`; zero points `[n, ⌈blocks · bits / 8⌉]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Layout {
    pub(in super::super) n: usize,
    pub(in super::super) k: usize,
    /// 4 or 8.
    pub(in super::super) bits: usize,
    /// 32 or 128.
    pub(in super::super) block: usize,
    /// Whether all zero points are in the middle, and none are stored.
    pub(in super::super) symmetric: bool,
}

impl Layout {
    /// Whether there is a kernel for such weights.
    pub(in super::super) fn is_known(&self) -> bool {
        matches!(self.bits, 4 | 8) && matches!(self.block, 32 | 128)
    }

    /// Blocks of a row; the last one may be partly empty.
    pub(in super::super) fn blocks(&self) -> usize {
        self.k.div_ceil(self.block)
    }

    /// Bytes of the codes of a block.
    pub(in super::super) fn block_bytes(&self) -> usize {
        self.block * self.bits / 8
    }

    /// Bytes of the zero points of a row.
    pub(in super::super) fn zero_bytes(&self) -> usize {
        (self.blocks() * self.bits).div_ceil(8)
    }

    /// The zero point where none is stored.
    pub(in super::super) fn middle(&self) -> i32 {
        1 << (self.bits - 1)
    }

    /// Groups of [`LANES`] rows; the last one may be partly empty.
    pub(in super::super) fn tiles(&self) -> usize {
        self.n.div_ceil(LANES)
    }
}
