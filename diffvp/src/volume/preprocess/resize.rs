//! Resizing, one axis after the other.

use rayon::prelude::*;

use super::field::Field;
use super::taps::Taps;

/// Resizes all three axes; the one that shrinks most goes first, so that later passes have less to read.
///
/// Sums are taken in f64 and each pass is rounded to f32 once.
pub(super) fn resize(field: &mut Field, taps: [Taps; 3]) {
    let ratio = |a: &usize| taps[*a].output() as f64 / taps[*a].input as f64;
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let mut spacing_mm = field.spacing_mm();
    for axis in order {
        let taps = &taps[axis];
        field.grid.follow(axis, taps.factor, taps.shift);
        spacing_mm[axis] /= taps.factor;
        if taps.is_identity() {
            continue;
        }
        let mut shape = field.shape();
        shape[axis] = taps.output();
        let values = if axis == 2 { columns(field, taps, shape) } else { rows(field, taps, shape, axis) };
        field.replace(values, shape);
    }
    field.set_spacing_mm(spacing_mm);
}

/// Resizes along slices or rows: each row of the result is a weighted sum of rows.
fn rows(field: &Field, taps: &Taps, shape: [usize; 3], axis: usize) -> Vec<f32> {
    let mut values = vec![0.0; shape.iter().product()];
    values.par_chunks_mut(shape[1] * shape[2]).enumerate().for_each(|(slice, out)| {
        if field.is_stopped() {
            return;
        }
        let mut buffer = vec![0.0; shape[2]];
        let mut sums = vec![0.0; shape[2]];
        for (row, out) in out.chunks_mut(shape[2]).enumerate() {
            let (start, weights) = taps.window(if axis == 0 { slice } else { row });
            let source = |k: usize, buffer: &mut [f32], use_row: &mut dyn FnMut(&[f32])| {
                let (slice, row) = if axis == 0 { (start + k, row) } else { (slice, start + k) };
                use_row(field.row(slice, row, buffer));
            };
            if let [_] = weights {
                source(0, &mut buffer, &mut |values| out.copy_from_slice(values));
                continue;
            }
            sums.fill(0.0f64);
            for (k, weight) in weights.iter().enumerate() {
                source(k, &mut buffer, &mut |values| {
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum += weight * *value as f64;
                    }
                });
            }
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = *sum as f32;
            }
        }
    });
    values
}

/// Resizes along columns: each value of the result is a weighted sum inside a row.
fn columns(field: &Field, taps: &Taps, shape: [usize; 3]) -> Vec<f32> {
    let mut values = vec![0.0; shape.iter().product()];
    values.par_chunks_mut(shape[1] * shape[2]).enumerate().for_each(|(slice, out)| {
        if field.is_stopped() {
            return;
        }
        let mut buffer = vec![0.0; taps.input];
        for (row, out) in out.chunks_mut(shape[2]).enumerate() {
            let source = field.row(slice, row, &mut buffer);
            for (i, out) in out.iter_mut().enumerate() {
                let (start, weights) = taps.window(i);
                let window = &source[start..start + weights.len()];
                *out = window.iter().zip(weights).map(|(v, w)| *v as f64 * w).sum::<f64>() as f32;
            }
        }
    });
    values
}
