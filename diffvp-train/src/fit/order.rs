//! Which scans a step sees: random, and a function of seed and step alone, so that nothing need be stored.

use rand::RngExt;
use rand_pcg::Pcg64;

/// A generator for a purpose of a step.
pub(super) fn generator(seed: u64, step: u64, purpose: u64) -> Pcg64 {
    let state = (u128::from(seed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Pcg64::new(state, (u128::from(step) << 16) | u128::from(purpose & 0xffff))
}

const SHUFFLE: u64 = 0xffff;

/// The scans of a step: each epoch is a permutation, and a batch may span two of them.
pub(super) fn batch(seed: u64, step: u64, size: usize, samples: usize) -> Vec<usize> {
    let first = step * size as u64;
    let mut epoch = u64::MAX;
    let mut order = Vec::new();
    (first..first + size as u64)
        .map(|position| {
            if position / samples as u64 != epoch {
                epoch = position / samples as u64;
                order = permutation(&mut generator(seed, epoch, SHUFFLE), samples);
            }
            order[(position % samples as u64) as usize]
        })
        .collect()
}

fn permutation(generator: &mut Pcg64, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, generator.random_range(0..=i));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_scan_once_whatever_the_batch() {
        for size in [1, 3, 7] {
            let seen: Vec<usize> = (0..20).flat_map(|step| batch(5, step, size, 7)).collect();
            for epoch in seen.chunks_exact(7) {
                let mut epoch = epoch.to_vec();
                epoch.sort();
                assert_eq!(epoch, (0..7).collect::<Vec<_>>());
            }
            assert_eq!(
                seen[..14],
                (0..14).flat_map(|step| batch(5, step, 1, 7)).collect::<Vec<_>>()[..seen.len().min(14)]
            );
        }
        assert_ne!(batch(5, 0, 7, 7), batch(6, 0, 7, 7));
    }
}
