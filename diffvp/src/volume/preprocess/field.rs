//! A volume on its way to the model: a strided view of voxels and changes of value that are still due.

use std::borrow::Cow;

use rayon::prelude::*;

use super::grid::GridMap;
use crate::volume::Volume;
use crate::{Result, memory};

/// A change of every value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    Clip { min: f32, max: f32 },
    Scale { shift: f32, divisor: f32 },
}

impl Change {
    fn apply(self, row: &mut [f32]) {
        match self {
            Change::Clip { min, max } => row.iter_mut().for_each(|v| *v = v.clamp(min, max)),
            Change::Scale { shift, divisor } => row.iter_mut().for_each(|v| *v = (*v + shift) / divisor),
        }
    }
}

/// Axes are `[slices, rows, columns]` throughout.
pub(super) struct Field<'a> {
    data: Cow<'a, [f32]>,
    /// Index of voxel (0, 0, 0) in `data`.
    start: isize,
    shape: [usize; 3],
    strides: [isize; 3],
    changes: Vec<Change>,
    spacing_mm: [f64; 3],
    direction: [[f64; 3]; 3],
    pub grid: GridMap,
    /// Whether the caller does not want the result any more: what is left then is skipped.
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Field<'a> {
    pub(super) fn new(volume: &'a Volume, stop: &'a (dyn Fn() -> bool + Sync)) -> Self {
        let [x, y, z] = volume.dims();
        let [sx, sy, sz] = volume.spacing_mm();
        Field {
            data: Cow::Borrowed(volume.voxels_hu()),
            start: 0,
            shape: [z, y, x],
            strides: [(x * y) as isize, x as isize, 1],
            changes: Vec::new(),
            spacing_mm: [sz, sy, sx],
            direction: volume.direction(),
            grid: GridMap::identity(),
            stop,
        }
    }

    /// Whether the work is to end; looked at before each slice.
    pub(super) fn is_stopped(&self) -> bool {
        (self.stop)()
    }

    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub(super) fn spacing_mm(&self) -> [f64; 3] {
        self.spacing_mm
    }

    pub(super) fn set_spacing_mm(&mut self, spacing_mm: [f64; 3]) {
        self.spacing_mm = spacing_mm;
    }

    pub(super) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// One row of columns, with the changes that are due. `buffer` has the length of a row.
    pub(super) fn row<'b>(&'b self, slice: usize, row: usize, buffer: &'b mut [f32]) -> &'b [f32] {
        let first = self.start + slice as isize * self.strides[0] + row as isize * self.strides[1];
        let (count, stride) = (self.shape[2], self.strides[2]);
        if stride == 1 {
            let stored = &self.data[first as usize..first as usize + count];
            if self.changes.is_empty() {
                return stored;
            }
            buffer.copy_from_slice(stored);
        } else if stride == -1 {
            let stored = &self.data[first as usize + 1 - count..=first as usize];
            buffer.iter_mut().zip(stored.iter().rev()).for_each(|(value, stored)| *value = *stored);
        } else {
            for (i, value) in buffer.iter_mut().enumerate() {
                *value = self.data[(first + i as isize * stride) as usize];
            }
        }
        self.changes.iter().for_each(|change| change.apply(buffer));
        buffer
    }

    /// Folds every row, slices in parallel; the pieces are joined in order, so that results do not depend
    /// on the number of threads.
    fn fold<T: Send>(&self, fold: impl Fn(usize, usize, &[f32], &mut T) + Sync, zero: impl Fn() -> T + Sync) -> Vec<T> {
        (0..self.shape[0])
            .into_par_iter()
            .map(|slice| {
                let mut buffer = vec![0.0; self.shape[2]];
                let mut sum = zero();
                let rows = if self.is_stopped() { 0 } else { self.shape[1] };
                for row in 0..rows {
                    fold(slice, row, self.row(slice, row, &mut buffer), &mut sum);
                }
                sum
            })
            .collect()
    }

    /// Lowest and highest value.
    pub(super) fn range(&self) -> (f32, f32) {
        let slices = self.fold(
            |_, _, row, range: &mut (f32, f32)| {
                for v in row {
                    *range = (range.0.min(*v), range.1.max(*v));
                }
            },
            || (f32::INFINITY, f32::NEG_INFINITY),
        );
        slices.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), s| (lo.min(s.0), hi.max(s.1)))
    }

    /// Mean and population standard deviation of the values above a bound; (0, 0) without any.
    pub(super) fn moments(&self, above: f32) -> (f64, f64) {
        let sums = self.fold(
            |_, _, row, (count, sum): &mut (u64, f64)| {
                for v in row.iter().filter(|v| **v > above) {
                    *count += 1;
                    *sum += *v as f64;
                }
            },
            || (0, 0.0),
        );
        let (count, sum) = sums.iter().fold((0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        if count == 0 {
            return (0.0, 0.0);
        }
        let mean = sum / count as f64;
        let squares = self.fold(
            |_, _, row, squares: &mut f64| {
                *squares += row.iter().filter(|v| **v > above).map(|v| (*v as f64 - mean).powi(2)).sum::<f64>();
            },
            || 0.0,
        );
        (mean, (squares.iter().sum::<f64>() / count as f64).sqrt())
    }

    /// Box `[start, end)` of the values above a bound.
    pub(super) fn foreground(&self, above: f32) -> Option<[[usize; 3]; 2]> {
        let empty = || [[usize::MAX; 3], [0; 3]];
        let grow = |bounds: &mut [[usize; 3]; 2], low: [usize; 3], end: [usize; 3]| {
            for a in 0..3 {
                bounds[0][a] = bounds[0][a].min(low[a]);
                bounds[1][a] = bounds[1][a].max(end[a]);
            }
        };
        let slices = self.fold(
            |slice, row, values, bounds: &mut [[usize; 3]; 2]| {
                let Some(first) = values.iter().position(|v| *v > above) else {
                    return;
                };
                let last = values.iter().rposition(|v| *v > above).unwrap_or(first);
                grow(bounds, [slice, row, first], [slice + 1, row + 1, last + 1]);
            },
            empty,
        );
        let mut bounds = empty();
        slices.iter().for_each(|[low, end]| grow(&mut bounds, *low, *end));
        (bounds[1][0] > 0).then_some(bounds)
    }

    /// Permutes and flips the axes so that columns, rows and slices run towards the sides given by `signs`:
    /// the signs of the LPS axes x, y, z.
    pub(super) fn orient(&mut self, signs: [f64; 3]) {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        // Grid axis 0 is x, which is model axis 2.
        let closeness = |order: &[usize; 3]| (0..3).map(|lps| self.direction[lps][order[lps]].abs()).sum::<f64>();
        let best = ORDERS.iter().fold(&ORDERS[0], |a, b| if closeness(b) > closeness(a) + 1e-9 { b } else { a });
        let old = (self.shape, self.strides, self.spacing_mm, self.grid.clone(), self.direction);
        for (lps, &axis) in best.iter().enumerate() {
            let (new, from) = (2 - lps, 2 - axis);
            self.shape[new] = old.0[from];
            self.strides[new] = old.1[from];
            self.spacing_mm[new] = old.2[from];
            self.grid.source_axis[new] = old.3.source_axis[from];
            self.grid.scale[new] = old.3.scale[from];
            self.grid.offset[new] = old.3.offset[from];
            let flip = old.4[lps][axis] * signs[lps] < 0.0;
            for row in 0..3 {
                self.direction[row][lps] = old.4[row][axis] * if flip { -1.0 } else { 1.0 };
            }
            if flip {
                let last = self.shape[new] - 1;
                self.start += last as isize * self.strides[new];
                self.strides[new] = -self.strides[new];
                self.grid.follow(new, -1.0, last as f64);
            }
        }
    }

    /// Keeps `size` voxels from `start` on.
    pub(super) fn crop(&mut self, start: [usize; 3], size: [usize; 3]) {
        for a in 0..3 {
            self.start += start[a] as isize * self.strides[a];
            self.shape[a] = size[a];
            self.grid.follow(a, 1.0, -(start[a] as f64));
        }
    }

    /// Crops or pads around the centre; an odd voxel is left over, or added, at the end.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where there is no memory for the result.
    pub(super) fn center(&mut self, size: [usize; 3], pad_value: f32) -> Result<()> {
        let kept: [usize; 3] = std::array::from_fn(|a| self.shape[a].min(size[a]));
        let start: [usize; 3] = std::array::from_fn(|a| (self.shape[a] - kept[a]) / 2);
        self.crop(start, kept);
        if kept == size {
            return Ok(());
        }
        let before: [usize; 3] = std::array::from_fn(|a| (size[a] - kept[a]) / 2);
        let mut padded = Vec::new();
        memory::grow(&mut padded, size.iter().product())?;
        padded.resize(size.iter().product(), pad_value);
        padded.par_chunks_mut(size[1] * size[2]).skip(before[0]).take(kept[0]).enumerate().for_each(|(slice, out)| {
            if self.is_stopped() {
                return;
            }
            let mut buffer = vec![0.0; kept[2]];
            for (row, out) in out.chunks_mut(size[2]).skip(before[1]).take(kept[1]).enumerate() {
                out[before[2]..before[2] + kept[2]].copy_from_slice(self.row(slice, row, &mut buffer));
            }
        });
        self.replace(padded, size);
        for (a, shift) in before.into_iter().enumerate() {
            self.grid.follow(a, 1.0, shift as f64);
        }
        Ok(())
    }

    /// Takes new values, to which all changes have been applied.
    pub(super) fn replace(&mut self, values: Vec<f32>, shape: [usize; 3]) {
        self.data = Cow::Owned(values);
        self.start = 0;
        self.shape = shape;
        self.strides = [(shape[1] * shape[2]) as isize, shape[2] as isize, 1];
        self.changes.clear();
    }

    /// The values, columns fastest.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where there is no memory for them.
    pub(super) fn into_values(mut self) -> Result<Vec<f32>> {
        let [_, rows, columns] = self.shape;
        let plain = self.start == 0 && self.strides == [(rows * columns) as isize, columns as isize, 1];
        let count = self.len();
        if plain
            && let Cow::Owned(values) = &mut self.data
            && values.len() == count
        {
            let changes = &self.changes;
            values.par_chunks_mut(rows * columns).for_each(|slice| changes.iter().for_each(|c| c.apply(slice)));
            return Ok(std::mem::take(values));
        }
        let mut values = memory::zeros(self.len())?;
        values.par_chunks_mut(rows * columns).enumerate().for_each(|(slice, out)| {
            if self.is_stopped() {
                return;
            }
            let mut buffer = vec![0.0; columns];
            for (row, out) in out.chunks_mut(columns).enumerate() {
                out.copy_from_slice(self.row(slice, row, &mut buffer));
            }
        });
        Ok(values)
    }
}
