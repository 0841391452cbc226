//! The preprocessing of published models, as starting points for manifests.

use super::steps::{Axes, Fit, Interpolation, Preprocessing, Step};

const TO_LPS: Step = Step::Orient { axes: Axes::Lps };

impl Preprocessing {
    /// Reg2RG, the default here: crop to the voxels above −1000 HU, area-resize to 64 × 256 × 256, clip to
    /// [−1000, 200], `(x + 400) / 600`; one channel (three there).
    pub fn reg2rg() -> Self {
        Preprocessing {
            steps: vec![
                TO_LPS,
                Step::CropForeground { above: -1000.0, margin_voxels: 0 },
                Step::Resize { size: [64, 256, 256], interpolation: Interpolation::Area },
                Step::Clip { min: -1000.0, max: 200.0 },
                Step::Scale { shift: 400.0, divisor: 600.0 },
            ],
            channels: 1,
        }
    }

    /// CT-CLIP and CT-CHAT: clip to ±1000 HU, trilinear to 1.5 × 0.75 × 0.75 mm, `x / 1000`, centre crop or
    /// pad with −1 to 240 × 480 × 480.
    pub fn ct_clip() -> Self {
        Preprocessing {
            steps: vec![
                TO_LPS,
                Step::Clip { min: -1000.0, max: 1000.0 },
                Self::chest_spacing(),
                Step::Scale { shift: 0.0, divisor: 1000.0 },
                Step::CenterCropOrPad { size: [240, 480, 480], pad_value: -1.0 },
            ],
            channels: 1,
        }
    }

    /// CT2Rep and MvKeTR: trilinear to 1.5 × 0.75 × 0.75 mm, clip to [−1000, 200], `(x + 400) / 600`, centre
    /// crop or pad with −1 to 240 × 480 × 480.
    pub fn ct2rep() -> Self {
        Preprocessing {
            steps: vec![
                TO_LPS,
                Self::chest_spacing(),
                Step::Clip { min: -1000.0, max: 200.0 },
                Step::Scale { shift: 400.0, divisor: 600.0 },
                Step::CenterCropOrPad { size: [240, 480, 480], pad_value: -1.0 },
            ],
            channels: 1,
        }
    }

    /// Merlin: RAS, 3 × 1.5 × 1.5 mm, [−1000, 1000] → [0, 1], pad with 0 and centre crop to 160 × 224 × 224.
    /// Its own tensors have the axes in the order x, y, z; here they are slices, rows, columns.
    pub fn merlin() -> Self {
        Preprocessing {
            steps: vec![
                Step::Orient { axes: Axes::Ras },
                Step::Resample {
                    spacing_mm: [3.0, 1.5, 1.5],
                    interpolation: Interpolation::Trilinear,
                    fit: Fit::FirstCentre,
                },
                Step::Clip { min: -1000.0, max: 1000.0 },
                Step::Scale { shift: 1000.0, divisor: 2000.0 },
                Step::CenterCropOrPad { size: [160, 224, 224], pad_value: 0.0 },
            ],
            channels: 1,
        }
    }

    /// M3D: min-max over the whole volume, crop to the voxels above 0, trilinear to 32 × 256 × 256.
    pub fn m3d() -> Self {
        Preprocessing {
            steps: vec![
                Step::MinMax,
                Step::CropForeground { above: 0.0, margin_voxels: 0 },
                Step::Resize { size: [32, 256, 256], interpolation: Interpolation::Trilinear },
            ],
            channels: 1,
        }
    }

    /// MedicalNet: nearest zoom to 56 × 448 × 448, z-score over the voxels above 0. Its training replaces
    /// voxels of exactly 0 by noise; that is left out, as it makes reports depend on chance.
    pub fn medicalnet() -> Self {
        Preprocessing {
            steps: vec![
                Step::Resize { size: [56, 448, 448], interpolation: Interpolation::NearestCorners },
                Step::ZScore { above: 0.0 },
            ],
            channels: 1,
        }
    }

    fn chest_spacing() -> Step {
        Step::Resample { spacing_mm: [1.5, 0.75, 0.75], interpolation: Interpolation::Trilinear, fit: Fit::EdgesFloor }
    }
}
