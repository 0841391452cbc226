//! Products against the same sums in float64, weight by weight.

use super::super::lanes::Instructions;
use super::super::session::Parts;
use super::layout::Layout;
use super::multiply::{Activations, products};
use super::packed::Packed;

/// Numbers from 0 to 2²⁴ − 1.
fn random(seed: u32) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    }
}

struct Case {
    layout: Layout,
    codes: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<u8>,
    x: Vec<f32>,
}

impl Case {
    fn new(layout: Layout, rows: usize) -> Case {
        let mut next = random(7);
        let blocks = layout.n * layout.blocks();
        let zeros = if layout.symmetric { 0 } else { layout.n * layout.zero_bytes() };
        Case {
            layout,
            codes: (0..blocks * layout.block_bytes()).map(|_| next() as u8).collect(),
            scales: (0..blocks).map(|_| next() as f32 / 1e8).collect(),
            zeros: (0..zeros).map(|_| next() as u8).collect(),
            x: (0..rows * layout.k).map(|_| next() as f32 / (1 << 23) as f32 - 1.0).collect(),
        }
    }

    fn weight(&self) -> Packed {
        Packed::new(self.layout, &self.codes, &self.scales, &self.zeros).expect("sizes fit")
    }

    /// Products of some rows by the kernel.
    fn found(&self, with: Instructions, weight: &Packed, x: &[f32]) -> Vec<f32> {
        let mut activations = Activations::default();
        let rounding = activations.rows(x, &self.layout);
        let rows = rounding.len();
        // SAFETY: there is one thread.
        (0..rows).for_each(|row| unsafe { rounding.round(with, row) });
        let mut y = vec![0f32; rows * self.layout.n];
        // SAFETY: there is one thread.
        unsafe { products(with, weight, &activations, 0..self.layout.tiles(), &Parts::new(&mut y)) };
        y
    }

    /// One product, of activations rounded as ONNX Runtime does.
    fn expected(&self, row: usize, n: usize) -> f64 {
        let l = &self.layout;
        let get = |bytes: &[u8], i: usize| match l.bits {
            8 => bytes[i],
            _ => bytes[i / 2] >> (4 * (i % 2)) & 15,
        };
        let x = &self.x[row * l.k..][..l.k];
        let of_block = |(b, x): (usize, &[f32])| {
            let scale = x.iter().fold(0f32, |a, v| a.max(v.abs())) / 127.0;
            let zero = match l.symmetric {
                true => l.middle(),
                false => get(&self.zeros[n * l.zero_bytes()..], b).into(),
            };
            let codes = &self.codes[(n * l.blocks() + b) * l.block_bytes()..];
            let value = |(i, v): (usize, &f32)| {
                (i32::from(get(codes, i)) - zero) as f64 * f64::from((v * (1.0 / scale)).round_ties_even())
            };
            x.iter().enumerate().map(value).sum::<f64>() * f64::from(scale) * f64::from(self.scales[n * l.blocks() + b])
        };
        x.chunks(l.block).enumerate().map(of_block).sum()
    }
}

fn layouts() -> impl Iterator<Item = Layout> {
    let sizes = [(1, 32), (16, 50), (23, 96), (40, 128), (33, 288), (5, 640)];
    [4, 8].into_iter().flat_map(move |bits| {
        [32, 128].into_iter().flat_map(move |block| {
            let both = [true, false].into_iter();
            both.flat_map(move |symmetric| sizes.map(|(n, k)| Layout { n, k, bits, block, symmetric }))
        })
    })
}

#[test]
fn products_are_those_of_the_stored_values() {
    for with in Instructions::tested() {
        for layout in layouts() {
            let case = Case::new(layout, 11);
            let found = case.found(with, &case.weight(), &case.x);
            let pairs = (0..11).flat_map(|row| (0..layout.n).map(move |n| (row, n)));
            let pairs: Vec<(f64, f64)> =
                pairs.map(|(row, n)| (case.expected(row, n), found[row * layout.n + n].into())).collect();
            let largest = pairs.iter().fold(0f64, |a, (e, _)| a.max(e.abs()));
            let error = pairs.iter().fold(0f64, |a, (e, f)| a.max((e - f).abs())) / largest;
            assert!(error < 1e-6, "{with:?} {layout:?}: {error:e}");
        }
    }
}

#[test]
fn a_row_has_the_same_product_alone_and_among_others_with_any_instructions() {
    for with in Instructions::tested() {
        for layout in layouts() {
            let case = Case::new(layout, 19);
            let weight = case.weight();
            let together = case.found(with, &weight, &case.x);
            for count in [1, 2, 3, 4, 7] {
                let x = &case.x[5 * layout.k..][..count * layout.k];
                for with in Instructions::tested() {
                    let found = case.found(with, &weight, x);
                    assert_eq!(found, together[5 * layout.n..][..count * layout.n], "{with:?} {layout:?}, {count}");
                }
            }
        }
    }
}

#[test]
fn the_largest_codes_and_activations_do_not_overflow() {
    for with in Instructions::tested() {
        for (bits, block) in [(4, 32), (4, 128), (8, 32), (8, 128)] {
            let layout = Layout { n: 17, k: 256, bits, block, symmetric: false };
            let mut case = Case::new(layout, 9);
            case.codes.fill(255);
            case.zeros.fill(0);
            for (i, x) in case.x.iter_mut().enumerate() {
                *x = if (i / layout.k).is_multiple_of(2) { 3.0 } else { -3.0 };
            }
            let found = case.found(with, &case.weight(), &case.x);
            for (i, found) in found.iter().enumerate() {
                let expected = case.expected(i / layout.n, i % layout.n);
                let error = (expected - f64::from(*found)).abs() / expected.abs();
                assert!(error < 1e-6, "{with:?} {layout:?}: {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn activations_of_zero_give_zero() {
    let case = Case::new(Layout { n: 20, k: 70, bits: 4, block: 32, symmetric: false }, 1);
    for with in Instructions::tested() {
        assert_eq!(case.found(with, &case.weight(), &[0.0; 70]), [0.0; 20]);
    }
}

#[test]
fn parts_of_other_sizes_are_refused() {
    for layout in layouts() {
        let case = Case::new(layout, 1);
        let pack = |codes, scales, zeros| Packed::new(layout, codes, scales, zeros).is_some();
        assert!(pack(&case.codes, &case.scales, &case.zeros));
        assert!(!pack(&case.codes[1..], &case.scales, &case.zeros));
        assert!(!pack(&case.codes, &case.scales[1..], &case.zeros));
        assert!(!pack(&case.codes, &case.scales, &[case.zeros.as_slice(), &[0]].concat()));
    }
    let huge = Layout { n: usize::MAX / 2, k: usize::MAX / 2, bits: 4, block: 32, symmetric: true };
    assert!(Packed::new(huge, &[], &[], &[]).is_none());
}
