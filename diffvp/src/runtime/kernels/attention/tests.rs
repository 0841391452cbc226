//! Attention against the same sums in float64, over the records as they are.

use super::super::lanes::Instructions;
use super::attend::{Records, attend};
use super::records::{BLOCK, cache_rows, record_bytes};

const POSITIONS: usize = 75;

/// Numbers from −1 to 1, of which some are far larger, as keys have them.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|i| if i % 29 == 3 { 20.0 * next() } else { next() }).collect()
}

/// A cache of one head with keys and values at some positions.
struct Cache {
    with: Instructions,
    head_dim: usize,
    floats: [Vec<f32>; 2],
}

impl Cache {
    fn new(with: Instructions, head_dim: usize, places: impl Iterator<Item = usize>, stored: [&[f32]; 2]) -> Cache {
        let empty = || vec![0f32; cache_rows(POSITIONS) * head_dim];
        let mut cache = Cache { with, head_dim, floats: [empty(), empty()] };
        for (i, place) in places.enumerate() {
            for (records, stored) in cache.records().iter().zip(stored) {
                // SAFETY: there is one thread.
                unsafe { records.write(0, place, &stored[i * head_dim..][..head_dim]) };
            }
        }
        cache
    }

    fn records(&mut self) -> [Records<'_>; 2] {
        let (with, head_dim) = (self.with, self.head_dim);
        // SAFETY: the vectors have so many numbers.
        let records = |floats: &mut Vec<f32>| unsafe {
            let shape = [1, floats.len() / head_dim, head_dim];
            Records::new(with, floats.as_mut_ptr(), shape).expect("there is a kernel")
        };
        let [keys, values] = &mut self.floats;
        [records(keys), records(values)]
    }

    fn read(&mut self, query: &[f32], seen: &[u32]) -> Vec<f32> {
        let mut result = vec![f32::NAN; self.head_dim];
        let [keys, values] = self.records();
        // SAFETY: there is one thread.
        unsafe { attend(query, [&keys, &values], 0, seen, &mut result) };
        result
    }

    /// A stored key (0) or value (1).
    fn stored(&self, which: usize, position: usize) -> Vec<f64> {
        let bytes: Vec<u8> = self.floats[which].iter().flat_map(|f| f.to_le_bytes()).collect();
        let record = &bytes[position * record_bytes(self.head_dim)..][..record_bytes(self.head_dim)];
        let (codes, scales) = record.split_at(self.head_dim);
        let scale = |i: usize| f32::from_le_bytes(scales.as_chunks::<4>().0[i / BLOCK]);
        codes.iter().enumerate().map(|(i, code)| f64::from(*code as i8) * f64::from(scale(i))).collect()
    }
}

fn expected(cache: &Cache, query: &[f32], seen: &[u32]) -> Vec<f64> {
    let dot = |key: Vec<f64>| -> f64 { key.iter().zip(query).map(|(k, q)| k * f64::from(*q)).sum() };
    let scores: Vec<f64> = seen.iter().map(|at| dot(cache.stored(0, *at as usize))).collect();
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut result = vec![0.0; query.len()];
    for (weight, at) in weights.iter().zip(seen) {
        cache.stored(1, *at as usize).iter().zip(&mut result).for_each(|(v, sum)| *sum += weight / total * v);
    }
    result
}

#[test]
fn what_a_query_reads_is_the_softmax_over_what_it_sees() {
    for with in Instructions::tested() {
        for head_dim in [32, 64, 96, 128, 192, 256] {
            let stored = [numbers(1, POSITIONS * head_dim), numbers(2, POSITIONS * head_dim)];
            let query = numbers(3, head_dim).iter().map(|q| q / (head_dim as f32).sqrt()).collect::<Vec<_>>();
            let mut cache = Cache::new(with, head_dim, 0..POSITIONS, [&stored[0], &stored[1]]);
            for (which, stored) in stored.iter().enumerate() {
                for (position, x) in stored.chunks_exact(head_dim).enumerate() {
                    let found = cache.stored(which, position);
                    for (block, (x, found)) in x.chunks(BLOCK).zip(found.chunks(BLOCK)).enumerate() {
                        let step = x.iter().fold(0f32, |a, x| a.max(x.abs())) / 127.0;
                        let worst = x.iter().zip(found).map(|(x, y)| (f64::from(*x) - y).abs()).fold(0.0, f64::max);
                        assert!(worst <= f64::from(step) * 0.5001, "block {block} of {position}: {worst} of {step}");
                    }
                }
            }
            for seen in [vec![0], (0..16).collect(), (0..POSITIONS as u32).collect(), vec![0, 7, 8, 40, 74]] {
                let (found, wanted) = (cache.read(&query, &seen), expected(&cache, &query, &seen));
                for (found, wanted) in found.iter().zip(&wanted) {
                    let error = (f64::from(*found) - wanted).abs();
                    assert!(error < 2e-5, "{head_dim} of {} positions: {found}, expected {wanted}", seen.len());
                }
            }
        }
    }
}

#[test]
fn where_a_text_lies_in_the_cache_does_not_matter() {
    for with in Instructions::tested() {
        let (head_dim, count) = (64, 37);
        let stored = [numbers(4, count * head_dim), numbers(5, count * head_dim)];
        let query = numbers(6, head_dim);
        let parts = [&stored[0][..], &stored[1][..]];
        let in_line = Cache::new(with, head_dim, 0..count, parts).read(&query, &(0..count as u32).collect::<Vec<_>>());
        let places: Vec<usize> = (0..count).map(|i| if i < 10 { i } else { 2 * i - 3 }).collect();
        let seen: Vec<u32> = places.iter().map(|place| *place as u32).collect();
        let scattered = Cache::new(with, head_dim, places.into_iter(), parts).read(&query, &seen);
        assert_eq!(in_line, scattered);
    }
}

#[test]
fn what_is_not_a_number_stays_none_and_nothing_seen_is_nothing_read() {
    for with in Instructions::tested() {
        let (head_dim, mut query) = (32, numbers(7, 32));
        let stored = numbers(8, head_dim);
        let mut cache = Cache::new(with, head_dim, 0..1, [&stored, &stored]);
        assert_eq!(cache.read(&query, &[]), vec![0.0; head_dim]);
        query[5] = f32::NAN;
        assert!(cache.read(&query, &[0]).iter().all(|x| x.is_nan()));
    }
}
