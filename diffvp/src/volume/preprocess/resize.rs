//! Resizing of all three axes at once.

use rayon::prelude::*;

use super::field::Field;
use super::taps::Taps;
use crate::{Result, memory};

/// Resizes all three axes. No volume but the result is written: each row of it is a weighted sum of rows, which is
/// then resized along itself. Sums are taken in f64 and rounded to f32 once.
///
/// # Errors
/// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where there is no memory for the result.
pub(super) fn resize(field: &mut Field, taps: [Taps; 3]) -> Result<()> {
    let mut spacing_mm = field.spacing_mm();
    for (axis, taps) in taps.iter().enumerate() {
        field.grid.follow(axis, taps.factor, taps.shift);
        spacing_mm[axis] /= taps.factor;
    }
    field.set_spacing_mm(spacing_mm);
    if taps.iter().all(Taps::is_identity) {
        return Ok(());
    }
    let shape = [taps[0].output(), taps[1].output(), taps[2].output()];
    let mut values = memory::zeros(shape.iter().product())?;
    let width = taps[2].input;
    let source = &*field;
    values.par_chunks_mut(shape[1] * shape[2]).enumerate().for_each(|(slice, out)| {
        if source.is_stopped() {
            return;
        }
        let mut row = vec![0.0; width];
        let mut sums = vec![0.0; width];
        for (index, out) in out.chunks_mut(shape[2]).enumerate() {
            sum_rows(source, taps[0].window(slice), taps[1].window(index), &mut row, &mut sums);
            for (i, out) in out.iter_mut().enumerate() {
                let (start, weights) = taps[2].window(i);
                *out = match (weights, &sums[start..]) {
                    ([_], [only, ..]) => *only as f32,
                    ([a, b], [first, second, ..]) => (first * a + second * b) as f32,
                    (weights, sums) => sums.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() as f32,
                };
            }
        }
    });
    field.replace(values, shape);
    Ok(())
}

/// The weighted sum of the rows of a window of slices and a window of rows.
fn sum_rows(
    field: &Field,
    (first_slice, slice_weights): (usize, &[f64]),
    (first_row, row_weights): (usize, &[f64]),
    buffer: &mut [f32],
    sums: &mut [f64],
) {
    let mut begin = true;
    for (slice, slice_weight) in slice_weights.iter().enumerate() {
        for (row, row_weight) in row_weights.iter().enumerate() {
            let values = field.row(first_slice + slice, first_row + row, buffer);
            let weight = slice_weight * row_weight;
            if begin {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum = weight * *value as f64);
            } else {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * *value as f64);
            }
            begin = false;
        }
    }
}
