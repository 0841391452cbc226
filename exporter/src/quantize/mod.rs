//! Four-bit weights in the layout of ONNX Runtime's `MatMulNBits`.
//!
//! Each row of a weight `[n, k]` is cut into blocks; a block has one float32 scale and, if asymmetric, one
//! four-bit zero point: `value = (code − zero_point) · scale`, with zero point 8 where none is stored.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How weights are cut and rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Int4Scheme {
    /// Weights per scale: 32 or 128. Larger blocks are faster and coarser.
    pub block: usize,
    /// Whether the zero point is 8 everywhere.
    pub symmetric: bool,
}

impl Int4Scheme {
    /// # Errors
    /// [`Error::Config`] for a block size other than 32 and 128.
    pub fn validate(&self) -> Result<()> {
        match self.block {
            32 | 128 => Ok(()),
            other => Err(Error::config("int4.block", format!("is {other}, allowed are 32 and 128"))),
        }
    }

    /// Blocks of a row of k weights; the last one may be partly empty.
    pub fn blocks(&self, k: usize) -> usize {
        k.div_ceil(self.block)
    }
}

/// A quantised weight `[n, k]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Int4Tensor {
    /// How it was made.
    pub scheme: Int4Scheme,
    /// Rows.
    pub n: usize,
    /// Columns.
    pub k: usize,
    /// Codes `[n, blocks, block / 2]`, two a byte, the even one in the low half.
    pub codes: Vec<u8>,
    /// Scales `[n, blocks]`.
    pub scales: Vec<f32>,
    /// Zero points `[n, ⌈blocks / 2⌉]`, two a byte, the even one in the low half; absent if symmetric.
    pub zero_points: Option<Vec<u8>>,
}

/// Rounds a row-major weight `[n, k]` to the nearest codes, rows in parallel.
///
/// Symmetric: the value of largest magnitude becomes code 0 (that is −8 scales, with the sign in the
/// scale), as ONNX Runtime's own tool does. Asymmetric: 16 codes span the block's values and zero.
///
/// # Panics
/// Where `weight` has not n · k values.
pub fn quantize(weight: &[f32], n: usize, k: usize, scheme: Int4Scheme) -> Int4Tensor {
    assert_eq!(weight.len(), n * k, "a weight of {n} × {k}");
    let blocks = scheme.blocks(k);
    let row_codes = blocks * scheme.block / 2;
    let row_zeros = blocks.div_ceil(2);
    let mut codes = vec![0u8; n * row_codes];
    let mut scales = vec![0f32; n * blocks];
    let mut zeros = vec![0u8; n * row_zeros];
    codes
        .par_chunks_mut(row_codes)
        .zip(scales.par_chunks_mut(blocks))
        .zip(zeros.par_chunks_mut(row_zeros))
        .zip(weight.par_chunks(k))
        .for_each(|(((codes, scales), zeros), row)| {
            for (b, values) in row.chunks(scheme.block).enumerate() {
                let (scale, zero) = range(values, scheme.symmetric);
                scales[b] = scale;
                zeros[b / 2] |= zero << (4 * (b % 2));
                let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
                let out = &mut codes[b * scheme.block / 2..][..scheme.block / 2];
                out.fill(zero << 4 | zero);
                for (i, value) in values.iter().enumerate() {
                    let code = ((value * inverse).round() + zero as f32).clamp(0.0, 15.0) as u8;
                    let shift = 4 * (i % 2);
                    out[i / 2] = out[i / 2] & !(0xf << shift) | code << shift;
                }
            }
        });
    let zero_points = (!scheme.symmetric).then_some(zeros);
    Int4Tensor { scheme, n, k, codes, scales, zero_points }
}

/// Scale and zero point of a block.
fn range(values: &[f32], symmetric: bool) -> (f32, u8) {
    let min = values.iter().fold(0f32, |a, &v| a.min(v));
    let max = values.iter().fold(0f32, |a, &v| a.max(v));
    if symmetric {
        let extreme = if max > -min { max } else { min };
        return (extreme / -8.0, 8);
    }
    let scale = (max - min) / 15.0;
    if scale == 0.0 { (0.0, 0) } else { (scale, (-min / scale).round().clamp(0.0, 15.0) as u8) }
}

/// The values that the codes stand for, row-major `[n, k]`.
pub fn dequantize(tensor: &Int4Tensor) -> Vec<f32> {
    let (block, blocks) = (tensor.scheme.block, tensor.scheme.blocks(tensor.k));
    let nibble = |bytes: &[u8], i: usize| bytes[i / 2] >> (4 * (i % 2)) & 0xf;
    let mut values = Vec::with_capacity(tensor.n * tensor.k);
    for row in 0..tensor.n {
        let codes = &tensor.codes[row * blocks * block / 2..][..blocks * block / 2];
        for i in 0..tensor.k {
            let b = i / block;
            let zero = match &tensor.zero_points {
                Some(zeros) => nibble(&zeros[row * blocks.div_ceil(2)..], b),
                None => 8,
            };
            values.push((nibble(codes, i) as f32 - zero as f32) * tensor.scales[row * blocks + b]);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    fn noise(n: usize, offset: f32) -> Vec<f32> {
        let mut rng = rand_pcg::Pcg64::new(1, 2);
        (0..n).map(|_| rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0 + offset).collect()
    }

    /// A symmetric scheme has no code for +8 scales, so that the end opposite to the extreme may be one
    /// whole scale off; everything else is within half of one, plus rounding of the zero point.
    #[test]
    fn errors_stay_within_a_scale() {
        for (block, symmetric, offset, k) in [
            (32, true, 0.0, 128),
            (128, true, 0.0, 256),
            (32, false, 0.7, 96),
            (128, false, -0.7, 352),
            (32, true, 0.3, 50),
        ] {
            let n = 5;
            let weight = noise(n * k, offset);
            let q = quantize(&weight, n, k, Int4Scheme { block, symmetric });
            let back = dequantize(&q);
            let blocks = k.div_ceil(block);
            let mut squares = 0.0;
            for (i, (a, b)) in weight.iter().zip(&back).enumerate() {
                let scale = q.scales[i / k * blocks + i % k / block].abs();
                assert!((a - b).abs() <= scale * 1.0001, "{a} became {b} with scale {scale}");
                squares += ((a - b) / scale).powi(2);
            }
            let rms = (squares / weight.len() as f32).sqrt();
            assert!(rms < 0.35, "rounding alone gives 0.29 scales, found {rms}");
        }
    }

    #[test]
    fn codes_are_packed_low_half_first() {
        // Extreme −8: scale 1, so that value v is code v + 8.
        let mut row = vec![0f32; 32];
        (row[0], row[1], row[2], row[31]) = (-8.0, 7.0, 1.0, -3.0);
        let q = quantize(&row, 1, 32, Int4Scheme { block: 32, symmetric: true });
        assert_eq!((q.scales[0], q.codes[0], q.codes[1], q.codes[15]), (1.0, 0xf0, 0x89, 0x58));
        assert_eq!(dequantize(&q), row);
        // 0 to 15: scale 1 and zero point 0; −15 to 0: zero point 15, in the high half of the byte.
        let row: Vec<f32> = (0..32).map(|i| (i % 16) as f32).chain((0..32).map(|i| -((i % 16) as f32))).collect();
        let q = quantize(&row, 1, 64, Int4Scheme { block: 32, symmetric: false });
        assert_eq!(q.zero_points, Some(vec![0xf0]));
        assert_eq!(dequantize(&q), row);
    }

    #[test]
    fn zeros_stay_zeros_and_block_sizes_are_checked() {
        for symmetric in [true, false] {
            let q = quantize(&[0.0; 64], 2, 32, Int4Scheme { block: 32, symmetric });
            assert_eq!(dequantize(&q), [0.0; 64]);
        }
        assert!(Int4Scheme { block: 64, symmetric: true }.validate().is_err());
    }
}
