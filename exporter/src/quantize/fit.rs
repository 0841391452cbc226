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
    /// Needs no texts. Eight bits are fine enough for the extremes.
    LeastError,
}

/// Scale and zero point of a block of values.
pub(super) fn fit(values: &[f32], scheme: BlockScheme, rounding: Rounding) -> (f32, u8) {
    let extremes = extremes(values, scheme);
    match rounding {
        Rounding::LeastError if scheme.bits == 4 && extremes.0 != 0.0 => {
            if scheme.symmetric {
                (symmetric(values, scheme, extremes.0), extremes.1)
            } else {
                asymmetric(values, scheme, extremes)
            }
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

/// The scale of least error among those that map the extreme a little within or beyond the last code, on either side.
fn symmetric(values: &[f32], scheme: BlockScheme, start: f32) -> f32 {
    let zero = scheme.middle();
    let mut best = (error(values, scheme, start, zero), start);
    for sign in [1.0, -1.0] {
        for step in -6..=16 {
            let scale = sign * start * (1.0 - 0.025 * step as f32);
            consider(&mut best, values, scheme, scale, zero);
        }
    }
    best.1
}

/// Scale and zero point of least error among ranges that leave out a part at either end.
fn asymmetric(values: &[f32], scheme: BlockScheme, start: (f32, u8)) -> (f32, u8) {
    let [min, max] = span(values);
    let mut best = (error(values, scheme, start.0, start.1), start.0);
    let mut zero_of_best = start.1;
    for low in 0..6 {
        for high in 0..6 {
            let [low, high] = [min * (1.0 - 0.06 * low as f32), max * (1.0 - 0.06 * high as f32)];
            let scale = (high - low) / scheme.largest_code();
            if scale <= 0.0 {
                continue;
            }
            let zero = (-low / scale).round().clamp(0.0, scheme.largest_code()) as u8;
            if consider(&mut best, values, scheme, scale, zero) {
                zero_of_best = zero;
            }
        }
    }
    (best.1, zero_of_best)
}

/// Takes over the scale if its error is smaller, after fitting it to the codes that it gives (least squares).
fn consider(best: &mut (f64, f32), values: &[f32], scheme: BlockScheme, scale: f32, zero: u8) -> bool {
    let inverse = 1.0 / scale;
    let (mut along, mut square) = (0f64, 0f64);
    for &value in values {
        let code = f64::from(nearest(value, inverse, zero, scheme) - f32::from(zero));
        along += f64::from(value) * code;
        square += code * code;
    }
    if square == 0.0 {
        return false;
    }
    let fitted = (along / square) as f32;
    let found = error(values, scheme, fitted, zero);
    let better = fitted != 0.0 && found < best.0;
    if better {
        *best = (found, fitted);
    }
    better
}

/// The nearest code to a value.
pub(super) fn nearest(value: f32, inverse: f32, zero: u8, scheme: BlockScheme) -> f32 {
    ((value * inverse).round() + f32::from(zero)).clamp(0.0, scheme.largest_code())
}

fn error(values: &[f32], scheme: BlockScheme, scale: f32, zero: u8) -> f64 {
    let inverse = 1.0 / scale;
    let of = |&value: &f32| value - (nearest(value, inverse, zero, scheme) - f32::from(zero)) * scale;
    values.iter().map(|value| f64::from(of(value)).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{dequantize, quantize};
    use super::*;

    fn squares(weight: &[f32], scheme: BlockScheme, rounding: Rounding) -> f64 {
        let back = dequantize(&quantize(weight, 1, weight.len(), scheme, rounding));
        weight.iter().zip(&back).map(|(a, b)| f64::from(a - b).powi(2)).sum()
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
        for (block, symmetric, most) in [(32, true, 0.90), (128, true, 0.90), (32, false, 0.94), (128, false, 0.91)] {
            let scheme = BlockScheme { bits: 4, block, symmetric };
            let [least, extremes] = [Rounding::LeastError, Rounding::Extremes].map(|r| squares(&weight, scheme, r));
            let share = least / extremes;
            println!("block {block}, symmetric {symmetric}: {share:.3} of the squared error");
            assert!(share < most, "block {block}, symmetric {symmetric}: {share}");
        }
    }
}
