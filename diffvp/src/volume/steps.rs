//! The preprocessing block of a manifest.

use serde::{Deserialize, Serialize};

/// How a package wants its volumes prepared: the steps, in the order in which they act.
///
/// Sizes and spacings are in the order of the model input, `[slices, rows, columns]`, which after
/// `orient` to LPS is `[z, y, x]`. Without an `orient` step the grid is used as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// The steps.
    pub steps: Vec<Step>,
    /// Channels of the prepared volume: one for each window of a [`Step::Windows`], else that many copies.
    #[serde(default = "one")]
    pub channels: usize,
}

/// One channel's range of values in [`Step::Windows`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// This value and everything below becomes −1.
    pub min: f32,
    /// This value and everything above becomes 1.
    pub max: f32,
}

fn one() -> usize {
    1
}

impl Window {
    /// What makes values in the window run from −1 to 1: `(x + shift) / divisor`.
    pub fn shift_and_divisor(&self) -> (f32, f32) {
        (-(self.min + self.max) / 2.0, (self.max - self.min) / 2.0)
    }
}

/// One step of [`Preprocessing`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Step {
    /// Permute and flip the grid axes so that they run towards the named sides. No interpolation.
    Orient {
        /// Target axes.
        axes: Axes,
    },
    /// Resample to the given spacing; the size follows from it as [`Fit`] says.
    Resample {
        /// New distance between voxel centres, `[slice, row, column]`, in mm.
        spacing_mm: [f64; 3],
        /// Method.
        interpolation: Interpolation,
        /// How the new grid lies on the old one.
        #[serde(default)]
        fit: Fit,
    },
    /// Crop to the box of the voxels above a value, plus a margin on each side inside the volume.
    /// A volume without any such voxel is left as it is.
    CropForeground {
        /// Voxels above this value count (strictly).
        above: f32,
        /// Added on each side.
        #[serde(default)]
        margin_voxels: usize,
    },
    /// Resize to the given size.
    Resize {
        /// `[slices, rows, columns]`.
        size: [usize; 3],
        /// Method.
        interpolation: Interpolation,
    },
    /// Crop or pad around the centre to the given size.
    CenterCropOrPad {
        /// `[slices, rows, columns]`.
        size: [usize; 3],
        /// Value of the padding, in the units of the values at this step.
        pad_value: f32,
    },
    /// Limit values to `[min, max]`.
    Clip {
        /// Lowest value.
        min: f32,
        /// Highest value.
        max: f32,
    },
    /// `(x + shift) / divisor`.
    Scale {
        /// Added first.
        shift: f32,
        /// Divided by then.
        divisor: f32,
    },
    /// `(x − min) / (max − min)` over the whole volume; a constant volume becomes 0.
    MinMax,
    /// `(x − mean) / std` with mean and population standard deviation over the voxels above a value.
    ZScore {
        /// Voxels above this value count (strictly).
        above: f32,
    },
    /// One channel for each window, as radiologists look at lung, soft tissue and bone in turn: values limited to
    /// the window, and the window mapped to −1 to 1. Only as the last step.
    Windows {
        /// In the order of the channels.
        windows: Vec<Window>,
    },
}

/// Sides towards which the axes x, y, z of the grid run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Axes {
    /// Left, posterior, superior (DICOM, ITK).
    #[serde(rename = "LPS")]
    Lps,
    /// Right, anterior, superior (NIfTI).
    #[serde(rename = "RAS")]
    Ras,
}

/// How values between voxels are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Mean over the source box, as `torch.nn.functional.interpolate(mode="area")`
    /// (adaptive average pooling).
    Area,
    /// As `interpolate(mode="trilinear", align_corners=False)`.
    Trilinear,
    /// As `interpolate(mode="nearest")`.
    Nearest,
    /// As `scipy.ndimage.zoom(order=0)`: the first and last voxels of both grids coincide.
    NearestCorners,
}

/// How a resampled grid lies on the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The outer edges coincide; `size = round(size · spacing / new)`.
    #[default]
    Edges,
    /// The outer edges coincide; `size = floor(size · spacing / new)`, as CT-CLIP's `int(…)`.
    EdgesFloor,
    /// The centres of the first voxels coincide; `size = round((size − 1) · spacing / new + 1)`, as MONAI's
    /// `Spacing`. Positions beyond the last voxel take its value. Not for [`Interpolation::Area`].
    FirstCentre,
}
