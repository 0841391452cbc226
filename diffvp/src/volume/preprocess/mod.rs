//! Runs the steps of a [`Preprocessing`](super::Preprocessing) block.
//!
//! Orientation, cropping, clipping and scaling are kept as a view of the voxels and a list of value changes,
//! and take effect when the next step reads. So only resampling, padding and the end write a volume, and a scan
//! is never held more than about twice.

mod channels;
mod field;
mod grid;
mod resize;
mod taps;

use field::{Change, Field};
pub use grid::GridMap;
use taps::Taps;

use super::Volume;
use super::steps::{Axes, Fit, Interpolation, Preprocessing, Step};
use super::validate::MAX_VALUES;
use crate::{Error, Result};

/// What a network sees: `[channels, slices, rows, columns]`, columns fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInput {
    /// Values, in the manifest's units (after clipping and scaling).
    pub values: Vec<f32>,
    /// `[channels, slices, rows, columns]`.
    pub shape: [usize; 4],
    /// Where each voxel of the scan lies in this input.
    pub grid: GridMap,
}

impl Preprocessing {
    /// Prepares a volume: runs the steps in order.
    ///
    /// # Errors
    /// As [`Preprocessing::validate`]; [`Error::LimitExceeded`] where the volume's extent and the wanted
    /// spacing make more than 2³⁰ values, or more than there is memory for.
    pub fn apply(&self, volume: &Volume) -> Result<ModelInput> {
        self.apply_until(volume, &|| false)
    }

    /// As [`apply`](Self::apply), and ends soon after `stop` says so, which is looked at before each slice.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), and [`Error::Cancelled`].
    pub fn apply_until(&self, volume: &Volume, stop: &(dyn Fn() -> bool + Sync)) -> Result<ModelInput> {
        self.validate()?;
        let check = || if stop() { Err(Error::Cancelled) } else { Ok(()) };
        let mut field = Field::new(volume, stop);
        for step in &self.steps {
            run(step, &mut field)?;
            check()?;
        }
        let [slices, rows, columns] = field.shape();
        let grid = field.grid.clone();
        let count = field.len() as u64 * self.channels as u64;
        if count > MAX_VALUES {
            return Err(Error::LimitExceeded {
                what: "values of the prepared volume".into(),
                found: count,
                limit: MAX_VALUES,
            });
        }
        let mut values = field.into_values()?;
        check()?;
        match self.steps.last() {
            Some(Step::Windows { windows }) => channels::windows(&mut values, windows)?,
            _ => channels::copies(&mut values, self.channels)?,
        }
        Ok(ModelInput { values, shape: [self.channels, slices, rows, columns], grid })
    }
}

fn run(step: &Step, field: &mut Field) -> Result<()> {
    match *step {
        // Made of the finished volume.
        Step::Windows { .. } => {}
        Step::Orient { axes } => field.orient(match axes {
            Axes::Lps => [1.0, 1.0, 1.0],
            Axes::Ras => [-1.0, -1.0, 1.0],
        }),
        Step::Resample { spacing_mm, interpolation, fit } => resample(field, spacing_mm, interpolation, fit)?,
        Step::CropForeground { above, margin_voxels } => {
            if let Some([low, high]) = field.foreground(above) {
                let shape = field.shape();
                let start = low.map(|v| v.saturating_sub(margin_voxels));
                let end: [usize; 3] = std::array::from_fn(|a| high[a].saturating_add(margin_voxels).min(shape[a]));
                field.crop(start, std::array::from_fn(|a| end[a] - start[a]));
            }
        }
        Step::Resize { size, interpolation } => {
            let shape = field.shape();
            resize::resize(field, std::array::from_fn(|a| Taps::to_size(shape[a], size[a], interpolation)))?;
        }
        Step::CenterCropOrPad { size, pad_value } => field.center(size, pad_value)?,
        Step::Clip { min, max } => field.change(Change::Clip { min, max }),
        Step::Scale { shift, divisor } => field.change(Change::Scale { shift, divisor }),
        Step::MinMax => {
            let (min, max) = field.range();
            // A constant volume becomes 0: its only value is the minimum.
            let divisor = if max > min { max - min } else { 1.0 };
            field.change(Change::Scale { shift: -min, divisor });
        }
        Step::ZScore { above } => {
            let (mean, deviation) = field.moments(above);
            let divisor = if deviation > 0.0 { deviation as f32 } else { 1.0 };
            field.change(Change::Scale { shift: -mean as f32, divisor });
        }
    }
    Ok(())
}

fn resample(field: &mut Field, spacing_mm: [f64; 3], interpolation: Interpolation, fit: Fit) -> Result<()> {
    let (shape, old) = (field.shape(), field.spacing_mm());
    let size = |a: usize| {
        let ratio = old[a] / spacing_mm[a];
        let size = match fit {
            Fit::Edges => (shape[a] as f64 * ratio).round(),
            Fit::EdgesFloor => (shape[a] as f64 * ratio).floor(),
            Fit::FirstCentre => ((shape[a] - 1) as f64 * ratio + 1.0).round_ties_even(),
        };
        size.max(1.0)
    };
    let sizes: [f64; 3] = std::array::from_fn(size);
    let count: f64 = sizes.iter().product();
    if count > MAX_VALUES as f64 {
        return Err(Error::LimitExceeded {
            what: "values of the resampled volume".into(),
            found: count as u64,
            limit: MAX_VALUES,
        });
    }
    let taps = std::array::from_fn(|a| match fit {
        Fit::FirstCentre => Taps::from_first_centre(shape[a], sizes[a] as usize, spacing_mm[a] / old[a], interpolation),
        _ => Taps::to_size(shape[a], sizes[a] as usize, interpolation),
    });
    resize::resize(field, taps)?;
    field.set_spacing_mm(spacing_mm);
    Ok(())
}

#[cfg(test)]
mod tests;
