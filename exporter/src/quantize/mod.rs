//! Weights of four or eight bits in the layout of ONNX Runtime's `MatMulNBits`.
//!
//! Each row of a weight `[n, k]` is cut into blocks; a block has one float32 scale and, if asymmetric, one zero point of as
//! many bits: `value = (code − zero_point) · scale`, with zero point 8 or 128 where none is stored.

mod compensate;
mod fit;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use compensate::quantize_compensated;
pub use fit::Rounding;

/// How weights are cut and rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockScheme {
    /// Bits of a weight: 4 or 8.
    #[serde(default = "four")]
    pub bits: usize,
    /// Weights per scale: 32 or 128. Larger blocks are faster and coarser.
    pub block: usize,
    /// Whether the zero point is in the middle everywhere.
    pub symmetric: bool,
}

fn four() -> usize {
    4
}

impl BlockScheme {
    /// # Errors
    /// [`Error::Config`] for block sizes other than 32 and 128, and bits other than 4 and 8.
    pub fn validate(&self) -> Result<()> {
        if !matches!(self.bits, 4 | 8) {
            return Err(Error::config("quantize.bits", format!("is {}, allowed are 4 and 8", self.bits)));
        }
        match self.block {
            32 | 128 => Ok(()),
            other => Err(Error::config("quantize.block", format!("is {other}, allowed are 32 and 128"))),
        }
    }

    /// Blocks of a row of k weights; the last one may be partly empty.
    pub fn blocks(&self, k: usize) -> usize {
        k.div_ceil(self.block)
    }

    /// Bytes of the codes of one block.
    pub fn block_bytes(&self) -> usize {
        self.block * self.bits / 8
    }

    /// Bytes of the zero points of a row of k weights.
    pub fn zero_bytes(&self, k: usize) -> usize {
        (self.blocks(k) * self.bits).div_ceil(8)
    }

    /// The zero point of symmetric blocks.
    fn middle(&self) -> u8 {
        1 << (self.bits - 1)
    }

    fn largest_code(&self) -> f32 {
        ((1u32 << self.bits) - 1) as f32
    }
}

/// A quantised weight `[n, k]`.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockTensor {
    /// How it was made.
    pub scheme: BlockScheme,
    /// Rows.
    pub n: usize,
    /// Columns.
    pub k: usize,
    /// Codes `[n, blocks, block · bits / 8]`; of four bits two a byte, the even one in the low half.
    pub codes: Vec<u8>,
    /// Scales `[n, blocks]`.
    pub scales: Vec<f32>,
    /// Zero points `[n, ⌈blocks · bits / 8⌉]`, packed as the codes are; absent if symmetric.
    pub zero_points: Option<Vec<u8>>,
}

impl BlockTensor {
    /// Puts the rows of another tensor of the same scheme and width below.
    pub(crate) fn stack(&mut self, other: BlockTensor) {
        self.n += other.n;
        self.codes.extend(other.codes);
        self.scales.extend(other.scales);
        if let (Some(zeros), Some(more)) = (&mut self.zero_points, other.zero_points) {
            zeros.extend(more);
        }
    }
}

/// Rounds a row-major weight `[n, k]` to the nearest codes, rows in parallel.
///
/// By the extremes, symmetric: the value of largest magnitude becomes code 0 (that is −8 or −128 scales, with the sign in the
/// scale). Asymmetric: all codes span the block's values and zero.
///
/// # Panics
/// Where `weight` has not n · k values.
pub fn quantize(weight: &[f32], n: usize, k: usize, scheme: BlockScheme, rounding: Rounding) -> BlockTensor {
    assert_eq!(weight.len(), n * k, "a weight of {n} × {k}");
    let blocks = scheme.blocks(k);
    let (row_codes, row_zeros) = (blocks * scheme.block_bytes(), scheme.zero_bytes(k));
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
                let (scale, zero) = fit::fit(values, scheme, rounding);
                scales[b] = scale;
                put(zeros, b, zero, scheme.bits);
                let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
                for i in 0..scheme.block {
                    let code = values.get(i).map_or(zero, |value| fit::nearest(*value, inverse, zero, scheme) as u8);
                    put(codes, b * scheme.block + i, code, scheme.bits);
                }
            }
        });
    let zero_points = (!scheme.symmetric).then_some(zeros);
    BlockTensor { scheme, n, k, codes, scales, zero_points }
}

/// Stores the i-th code.
fn put(bytes: &mut [u8], i: usize, code: u8, bits: usize) {
    if bits == 8 {
        bytes[i] = code;
    } else {
        let shift = 4 * (i % 2);
        bytes[i / 2] = bytes[i / 2] & !(0xf << shift) | code << shift;
    }
}

/// The i-th code.
fn get(bytes: &[u8], i: usize, bits: usize) -> u8 {
    if bits == 8 { bytes[i] } else { bytes[i / 2] >> (4 * (i % 2)) & 0xf }
}

/// The values that the codes stand for, row-major `[n, k]`.
pub fn dequantize(tensor: &BlockTensor) -> Vec<f32> {
    let (scheme, blocks) = (tensor.scheme, tensor.scheme.blocks(tensor.k));
    let (row_codes, row_zeros) = (blocks * scheme.block_bytes(), scheme.zero_bytes(tensor.k));
    let mut values = Vec::with_capacity(tensor.n * tensor.k);
    for row in 0..tensor.n {
        for i in 0..tensor.k {
            let b = i / scheme.block;
            let zero = match &tensor.zero_points {
                Some(zeros) => get(&zeros[row * row_zeros..], b, scheme.bits),
                None => scheme.middle(),
            };
            let code = get(&tensor.codes[row * row_codes..], i, scheme.bits);
            values.push((f32::from(code) - f32::from(zero)) * tensor.scales[row * blocks + b]);
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
        for (bits, block, symmetric, offset, k) in [
            (4, 32, true, 0.0, 128),
            (4, 128, true, 0.0, 256),
            (4, 32, false, 0.7, 96),
            (4, 128, false, -0.7, 352),
            (4, 32, true, 0.3, 50),
            (8, 32, true, 0.0, 50),
            (8, 128, true, 0.3, 256),
            (8, 32, false, -0.7, 96),
        ] {
            let n = 5;
            let weight = noise(n * k, offset);
            let q = quantize(&weight, n, k, BlockScheme { bits, block, symmetric }, Rounding::Extremes);
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
        let q = quantize(&row, 1, 32, BlockScheme { bits: 4, block: 32, symmetric: true }, Rounding::Extremes);
        assert_eq!((q.scales[0], q.codes[0], q.codes[1], q.codes[15]), (1.0, 0xf0, 0x89, 0x58));
        assert_eq!(dequantize(&q), row);
        // 0 to 15: scale 1 and zero point 0; −15 to 0: zero point 15, in the high half of the byte.
        let row: Vec<f32> = (0..32).map(|i| (i % 16) as f32).chain((0..32).map(|i| -((i % 16) as f32))).collect();
        let q = quantize(&row, 1, 64, BlockScheme { bits: 4, block: 32, symmetric: false }, Rounding::Extremes);
        assert_eq!(q.zero_points, Some(vec![0xf0]));
        assert_eq!(dequantize(&q), row);
    }

    #[test]
    fn zeros_stay_zeros_and_block_sizes_are_checked() {
        for symmetric in [true, false] {
            let q = quantize(&[0.0; 64], 2, 32, BlockScheme { bits: 4, block: 32, symmetric }, Rounding::LeastError);
            assert_eq!(dequantize(&q), [0.0; 64]);
        }
        assert!(BlockScheme { bits: 4, block: 64, symmetric: true }.validate().is_err());
        assert!(BlockScheme { bits: 5, block: 32, symmetric: true }.validate().is_err());
    }
}
