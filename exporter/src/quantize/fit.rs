//! Scale and zero point of a block.

use serde::{Deserialize, Serialize};

use super::BlockScheme;

/// How scale and zero point of a block are chosen. Codes are the nearest ones in both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// So that all values lie in the range of the codes, as ONNX Runtime's own tool and llama.cpp's Q4_0 do.
    #[default]
    Extremes,
    /// So that the sum of squared errors is least, over narrower ranges too: cutting off an extreme can serve the others.
    /// In symmetric blocks a value counts by `value² + mean square`: they have no zero point to make room for an
    /// extreme, and without the weight large values, which carry most of a product, are cut off too far. Needs no texts.
    /// Eight bits are fine enough for the extremes.
    LeastError,
}

/// Scale and zero point of a block of values.
pub(super) fn fit(values: &[f32], scheme: BlockScheme, rounding: Rounding) -> (f32, u8) {
    let extremes = extremes(values, scheme);
    match rounding {
        Rounding::LeastError if scheme.bits == 4 && extremes.0 != 0.0 => {
            let block = Block::new(values, scheme);
            if scheme.symmetric { block.symmetric(extremes) } else { block.asymmetric(extremes) }
        }
        _ => extremes,
    }
}

fn extremes(values: &[f32], scheme: BlockScheme) -> (f32, u8) {
    let [min, max] = span(values);
    if scheme.symmetric {
        let extreme = if max > -min { max } else { min };
        return (-extreme / f32::from(scheme.middle()), scheme.middle());
    }
    let largest = scheme.largest_code();
    let scale = (max - min) / largest;
    if scale == 0.0 { (0.0, 0) } else { (scale, (-min / scale).round().clamp(0.0, largest) as u8) }
}

/// Least and largest value, zero among them.
fn span(values: &[f32]) -> [f32; 2] {
    [values.iter().fold(0f32, |a, &v| a.min(v)), values.iter().fold(0f32, |a, &v| a.max(v))]
}

/// Values of a block, and what each counts.
struct Block<'v> {
    values: &'v [f32],
    weights: Vec<f32>,
    scheme: BlockScheme,
}

/// Scale and zero point with their error.
#[derive(Clone, Copy)]
struct Fit {
    error: f64,
    scale: f32,
    zero: u8,
}

impl<'v> Block<'v> {
    fn new(values: &'v [f32], scheme: BlockScheme) -> Self {
        let mean = values.iter().map(|v| v * v).sum::<f32>() / values.len().max(1) as f32;
        let weight = |v: &f32| if scheme.symmetric { v * v + mean } else { 1.0 };
        Block { values, weights: values.iter().map(weight).collect(), scheme }
    }

    /// The best of the scales that map the extreme a little within or beyond the last code, on either side.
    fn symmetric(&self, (start, zero): (f32, u8)) -> (f32, u8) {
        let mut best = self.judged(start, zero);
        for sign in [1.0, -1.0] {
            for step in -6..=16 {
                best = self.better(best, sign * start * (1.0 - 0.025 * step as f32), zero);
            }
        }
        (best.scale, best.zero)
    }

    /// The best of the ranges that leave out a part at either end.
    fn asymmetric(&self, (start, zero): (f32, u8)) -> (f32, u8) {
        let ([min, max], largest) = (span(self.values), self.scheme.largest_code());
        let mut best = self.judged(start, zero);
        for low in 0..6 {
            for high in 0..6 {
                let [low, high] = [min * (1.0 - 0.06 * low as f32), max * (1.0 - 0.06 * high as f32)];
                let scale = (high - low) / largest;
                if scale > 0.0 {
                    best = self.better(best, scale, (-low / scale).round().clamp(0.0, largest) as u8);
                }
            }
        }
        (best.scale, best.zero)
    }

    /// The better of `best` and the scale that fits the codes of `scale` (least squares).
    fn better(&self, best: Fit, scale: f32, zero: u8) -> Fit {
        let inverse = 1.0 / scale;
        let (mut along, mut square) = (0f64, 0f64);
        for (&value, &weight) in self.values.iter().zip(&self.weights) {
            let code = f64::from(nearest(value, inverse, zero, self.scheme) - f32::from(zero));
            along += f64::from(weight) * f64::from(value) * code;
            square += f64::from(weight) * code * code;
        }
        let fitted = (along / square) as f32;
        if !fitted.is_finite() || fitted == 0.0 {
            return best;
        }
        let found = self.judged(fitted, zero);
        if found.error < best.error { found } else { best }
    }

    fn judged(&self, scale: f32, zero: u8) -> Fit {
        let inverse = 1.0 / scale;
        let of = |(&value, &weight): (&f32, &f32)| {
            let back = (nearest(value, inverse, zero, self.scheme) - f32::from(zero)) * scale;
            f64::from(weight) * f64::from(value - back).powi(2)
        };
        Fit { error: self.values.iter().zip(&self.weights).map(of).sum(), scale, zero }
    }
}

/// The nearest code to a value.
pub(super) fn nearest(value: f32, inverse: f32, zero: u8, scheme: BlockScheme) -> f32 {
    ((value * inverse).round() + f32::from(zero)).clamp(0.0, scheme.largest_code())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{dequantize, quantize};
    use super::*;

    /// The weighted error of all blocks.
    fn squares(weight: &[f32], scheme: BlockScheme, rounding: Rounding) -> f64 {
        let back = dequantize(&quantize(weight, 1, weight.len(), scheme, rounding));
        let block = |(values, back): (&[f32], &[f32])| -> f64 {
            let weights = Block::new(values, scheme).weights;
            let of = |((a, b), w): ((&f32, &f32), f32)| f64::from(w) * f64::from(a - b).powi(2);
            values.iter().zip(back).zip(weights).map(of).sum()
        };
        weight.chunks(scheme.block).zip(back.chunks(scheme.block)).map(block).sum()
    }

    proptest! {
        #[test]
        fn the_least_error_is_no_larger(
            weight in prop::collection::vec(prop_oneof![9 => -1f32..1.0, 1 => -6f32..6.0], 1..200),
            symmetric in any::<bool>(),
            wide in any::<bool>(),
        ) {
            let scheme = BlockScheme { bits: 4, block: if wide { 128 } else { 32 }, symmetric };
            let [least, extremes] = [Rounding::LeastError, Rounding::Extremes].map(|r| squares(&weight, scheme, r));
            prop_assert!(least <= extremes * 1.0001 + 1e-12, "{least} {extremes}");
        }
    }

    #[test]
    fn normal_weights_lose_less() {
        use rand::Rng;
        let mut random = rand_pcg::Pcg64::new(5, 6);
        let mut normal = || (0..12).map(|_| random.next_u32() as f32 / u32::MAX as f32).sum::<f32>() - 6.0;
        let weight: Vec<f32> = (0..128 * 64).map(|_| normal()).collect();
        for (block, symmetric, most) in [(32, true, 0.88), (128, true, 0.94), (32, false, 0.94), (128, false, 0.91)] {
            let scheme = BlockScheme { bits: 4, block, symmetric };
            let [least, extremes] = [Rounding::LeastError, Rounding::Extremes].map(|r| squares(&weight, scheme, r));
            let share = least / extremes;
            println!("block {block}, symmetric {symmetric}: {share:.3} of the squared error");
            assert!(share < most, "block {block}, symmetric {symmetric}: {share}");
        }
    }
}
