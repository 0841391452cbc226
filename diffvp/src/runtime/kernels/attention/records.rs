//! How keys and values lie in the cache.
//!
//! The graph's cache is float32 `[1, heads, rows, head_dim]`. Each head's part of it holds a record after the other, one for a
//! position: head_dim codes of eight bits, and a float32 scale for each block of [`BLOCK`] of them. That takes 9/32 of the
//! floats that the numbers themselves would take, and so the cache has so many rows fewer.

/// Numbers that share a scale.
pub(super) const BLOCK: usize = 32;

/// Whether there is a kernel for heads of this size.
pub(in super::super) fn is_known(head_dim: usize) -> bool {
    head_dim.is_multiple_of(BLOCK) && matches!(head_dim / BLOCK, 1..=4 | 6 | 8)
}

/// Bytes of a position of a head.
pub(super) const fn record_bytes(head_dim: usize) -> usize {
    head_dim + head_dim / BLOCK * 4
}

/// Numbers of float32 that a position of a head takes in the cache.
pub(in crate::runtime) fn record_numbers(head_dim: usize) -> usize {
    record_bytes(head_dim) / 4
}

/// Rows of a cache that holds so many positions. A record is 9/8 bytes for each number, and a number of a row four.
pub(in crate::runtime) fn cache_rows(positions: usize) -> usize {
    (positions * 9).div_ceil(32)
}

/// Positions that a cache with so many rows holds.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no other processor has the kernel"))]
pub(super) fn positions(rows: usize) -> usize {
    rows * 32 / 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_hold_the_positions_asked_for_and_hardly_more() {
        for wanted in 1..2000 {
            let rows = cache_rows(wanted);
            assert!((wanted..wanted + 4).contains(&positions(rows)), "{wanted} positions: {rows} rows");
            for head_dim in [32, 64, 96, 128, 192, 256] {
                assert!(is_known(head_dim) && positions(rows) * record_bytes(head_dim) <= rows * head_dim * 4);
            }
        }
        assert!([0, 16, 48, 80, 160, 512].iter().all(|d| !is_known(*d)));
    }
}
