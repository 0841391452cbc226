//! Rounding that makes up for its own errors: GPTQ (Frantar et al., arXiv 2210.17323).

use rayon::prelude::*;

use super::{BlockScheme, BlockTensor, Rounding, fit, put};

/// Rows that share a pass over the factor, so that it is read from memory once for all of them.
const TILE: usize = 32;

/// Rounds a row-major weight `[n, k]` column by column; what a column loses, the columns behind it make up for as well as they can on
/// the inputs that `factor` stands for.
///
/// `factor [k, k]` is the upper triangle U with UᵀU = (X Xᵀ)⁻¹ of inputs X `[k, samples]` (with a damped diagonal). The scale of a
/// block is chosen when its first column is due, of the values as they are by then.
///
/// # Panics
/// Where `weight` has not n · k values, or `factor` not k · k.
pub fn quantize_compensated(
    weight: &[f32],
    n: usize,
    k: usize,
    scheme: BlockScheme,
    rounding: Rounding,
    factor: &[f32],
) -> BlockTensor {
    assert_eq!((weight.len(), factor.len()), (n * k, k * k), "a weight of {n} × {k} and its factor");
    let blocks = scheme.blocks(k);
    let (row_codes, row_zeros) = (blocks * scheme.block_bytes(), scheme.zero_bytes(k));
    let mut codes = vec![0u8; n * row_codes];
    let mut scales = vec![0f32; n * blocks];
    let mut zeros = vec![0u8; n * row_zeros];
    codes
        .par_chunks_mut(TILE * row_codes)
        .zip(scales.par_chunks_mut(TILE * blocks))
        .zip(zeros.par_chunks_mut(TILE * row_zeros))
        .zip(weight.par_chunks(TILE * k))
        .for_each(|(((codes, scales), zeros), weight)| {
            let mut values = weight.to_vec();
            let rows = values.len() / k;
            let mut errors = vec![0f32; rows * scheme.block];
            for block in 0..blocks {
                let columns = block * scheme.block..k.min((block + 1) * scheme.block);
                for row in 0..rows {
                    let values = &mut values[row * k..(row + 1) * k];
                    let errors = &mut errors[row * scheme.block..(row + 1) * scheme.block];
                    let (scale, zero) = fit::fit(&values[columns.clone()], scheme, rounding);
                    scales[row * blocks + block] = scale;
                    put(&mut zeros[row * row_zeros..], block, zero, scheme.bits);
                    let codes = &mut codes[row * row_codes..(row + 1) * row_codes];
                    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
                    for column in columns.clone() {
                        let code = fit::nearest(values[column], inverse, zero, scheme);
                        put(codes, column, code as u8, scheme.bits);
                        let of_factor = &factor[column * k..(column + 1) * k];
                        let error = (values[column] - (code - f32::from(zero)) * scale) / of_factor[column];
                        errors[column - columns.start] = error;
                        subtract(&mut values[column + 1..columns.end], error, &of_factor[column + 1..columns.end]);
                    }
                    for column in columns.end..block * scheme.block + scheme.block {
                        put(codes, column, zero, scheme.bits);
                    }
                }
                // The rest of the rows, a row of the factor for all of the tile.
                for column in columns.clone() {
                    let of_factor = &factor[column * k + columns.end..(column + 1) * k];
                    for row in 0..rows {
                        let error = errors[row * scheme.block + column - columns.start];
                        subtract(&mut values[row * k + columns.end..(row + 1) * k], error, of_factor);
                    }
                }
            }
        });
    let zero_points = (!scheme.symmetric).then_some(zeros);
    BlockTensor { scheme, n, k, codes, scales, zero_points }
}

fn subtract(values: &mut [f32], error: f32, factor: &[f32]) {
    values.iter_mut().zip(factor).for_each(|(value, of)| *value -= error * of);
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::super::{dequantize, quantize};
    use super::*;

    fn normal(count: usize, seed: u128) -> Vec<f32> {
        let mut random = rand_pcg::Pcg64::new(seed, 3);
        let mut one = || (0..12).map(|_| random.next_u32() as f32 / u32::MAX as f32).sum::<f32>() - 6.0;
        (0..count).map(|_| one()).collect()
    }

    /// Upper triangle U of H⁻¹ = UᵀU, by Gauss-Jordan and Cholesky in float64.
    fn factor(h: &[f64], k: usize) -> Vec<f32> {
        let mut a: Vec<Vec<f64>> = (0..k)
            .map(|i| {
                let unit = (0..k).map(|j| if i == j { 1.0 } else { 0.0 });
                h[i * k..(i + 1) * k].iter().copied().chain(unit).collect()
            })
            .collect();
        for i in 0..k {
            let pivot = a[i][i];
            a[i].iter_mut().for_each(|v| *v /= pivot);
            let row = a[i].clone();
            for (_, other) in a.iter_mut().enumerate().filter(|(j, _)| *j != i) {
                let by = other[i];
                other.iter_mut().zip(&row).for_each(|(v, r)| *v -= by * r);
            }
        }
        let inverse = |i: usize, j: usize| a[i][k + j];
        let mut lower = vec![vec![0f64; k]; k];
        for i in 0..k {
            for j in 0..=i {
                let sum: f64 = (0..j).map(|m| lower[i][m] * lower[j][m]).sum();
                lower[i][j] = if i == j { (inverse(i, i) - sum).sqrt() } else { (inverse(i, j) - sum) / lower[j][j] };
            }
        }
        (0..k * k).map(|at| lower[at % k][at / k] as f32).collect()
    }

    /// Inputs of correlated channels, their products `[k, k]`, and the squared error that a rounded weight leaves in their outputs.
    struct Inputs {
        k: usize,
        products: Vec<f64>,
    }

    impl Inputs {
        fn correlated(k: usize) -> Inputs {
            let (samples, common) = (4 * k, normal(4 * k * 8, 7));
            let own = normal(samples * k, 8);
            let mix = normal(8 * k, 9);
            let x = |s: usize, i: usize| -> f64 {
                let shared: f32 = (0..8).map(|c| common[s * 8 + c] * mix[c * k + i]).sum();
                f64::from(shared + 0.5 * own[s * k + i])
            };
            let mut products = vec![0f64; k * k];
            for s in 0..samples {
                let row: Vec<f64> = (0..k).map(|i| x(s, i)).collect();
                for i in 0..k {
                    (0..k).for_each(|j| products[i * k + j] += row[i] * row[j]);
                }
            }
            Inputs { k, products }
        }

        fn error(&self, weight: &[f32], rounded: &BlockTensor) -> f64 {
            let k = self.k;
            let lost: Vec<f64> = weight.iter().zip(dequantize(rounded)).map(|(a, b)| f64::from(a - b)).collect();
            lost.chunks(k)
                .map(|row| {
                    let along = |i: usize| (0..k).map(|j| self.products[i * k + j] * row[j]).sum::<f64>();
                    (0..k).map(|i| row[i] * along(i)).sum::<f64>()
                })
                .sum()
        }
    }

    #[test]
    fn errors_in_the_outputs_are_far_less() {
        let (n, k) = (40, 96);
        let (weight, inputs) = (normal(n * k, 1), Inputs::correlated(k));
        let factor = factor(&inputs.products, k);
        for (block, symmetric) in [(32, true), (32, false), (128, true), (128, false)] {
            let scheme = BlockScheme { bits: 4, block, symmetric };
            let nearest = quantize(&weight, n, k, scheme, Rounding::LeastError);
            let made_up = quantize_compensated(&weight, n, k, scheme, Rounding::LeastError, &factor);
            let share = inputs.error(&weight, &made_up) / inputs.error(&weight, &nearest);
            println!("block {block}, symmetric {symmetric}: {share:.3} of the error");
            assert!(share < 0.6, "block {block}, symmetric {symmetric}: {share}");
        }
    }

    /// Inputs whose channels have nothing to do with each other leave nothing to make up for.
    #[test]
    fn independent_channels_are_rounded_to_the_nearest() {
        let (n, k) = (37, 70);
        let weight = normal(n * k, 2);
        let factor: Vec<f32> = (0..k * k).map(|i| if i / k == i % k { 0.5 + (i % 7) as f32 } else { 0.0 }).collect();
        for symmetric in [true, false] {
            let scheme = BlockScheme { bits: 4, block: 32, symmetric };
            assert_eq!(
                quantize_compensated(&weight, n, k, scheme, Rounding::LeastError, &factor),
                quantize(&weight, n, k, scheme, Rounding::LeastError)
            );
        }
    }
}
