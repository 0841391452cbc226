//! Checks of a preprocessing block before any volume is touched.

use super::steps::{Fit, Interpolation, Preprocessing, Step};
use crate::{Error, Result};

/// Values that a prepared volume, or a volume between two steps, may have.
pub(super) const MAX_VALUES: u64 = 1 << 30;
const MAX_STEPS: usize = 64;

impl Preprocessing {
    /// Checks sizes, spacings and divisors.
    ///
    /// # Errors
    /// [`Error::Manifest`] with the step and what is wrong with it.
    pub fn validate(&self) -> Result<()> {
        let wrong = |detail: String| Err(Error::Manifest { detail: format!("preprocessing: {detail}") });
        if self.steps.len() > MAX_STEPS {
            return wrong(format!("{} steps, at most {MAX_STEPS} are possible", self.steps.len()));
        }
        if !(1..=64).contains(&self.channels) {
            return wrong(format!("{} channels, 1 to 64 are possible", self.channels));
        }
        for (index, step) in self.steps.iter().enumerate() {
            if let Some(problem) = problem(step, self.channels) {
                return wrong(format!("step {}: {problem}", index + 1));
            }
            if matches!(step, Step::Windows { .. }) && index + 1 < self.steps.len() {
                return wrong(format!("step {}: windows must be the last step", index + 1));
            }
        }
        Ok(())
    }

    /// Shape `[channels, slices, rows, columns]` of every prepared volume; `None` where it depends on the scan.
    pub fn output_shape(&self) -> Option<[usize; 4]> {
        let mut size = None;
        for step in &self.steps {
            match step {
                Step::Resize { size: new, .. } | Step::CenterCropOrPad { size: new, .. } => size = Some(*new),
                Step::Orient { .. } if size.is_some_and(|[a, b, c]| a == b && b == c) => {}
                Step::Orient { .. } | Step::Resample { .. } | Step::CropForeground { .. } => size = None,
                Step::Clip { .. } | Step::Scale { .. } | Step::MinMax | Step::ZScore { .. } | Step::Windows { .. } => {}
            }
        }
        size.map(|[slices, rows, columns]| [self.channels, slices, rows, columns])
    }
}

fn problem(step: &Step, channels: usize) -> Option<String> {
    let finite = |name: &str, value: f32| (!value.is_finite()).then(|| format!("{name} {value} is not a number"));
    match step {
        Step::Orient { .. } | Step::MinMax => None,
        Step::Resample { spacing_mm, interpolation, fit } => {
            if !spacing_mm.iter().all(|s| s.is_finite() && *s >= 0.01) {
                return Some(format!("spacing {spacing_mm:?} mm; each must be 0.01 or more"));
            }
            let coarse = matches!(interpolation, Interpolation::Area | Interpolation::NearestCorners);
            (coarse && *fit == Fit::FirstCentre)
                .then(|| format!("{interpolation:?} interpolation cannot keep the first centre"))
        }
        Step::CropForeground { above, .. } | Step::ZScore { above } => finite("above", *above),
        Step::Resize { size, .. } => too_large(size, channels),
        Step::CenterCropOrPad { size, pad_value } => {
            too_large(size, channels).or_else(|| finite("pad_value", *pad_value))
        }
        Step::Clip { min, max } => finite("min", *min)
            .or_else(|| finite("max", *max))
            .or_else(|| (min > max).then(|| format!("min {min} is above max {max}"))),
        Step::Scale { shift, divisor } => finite("shift", *shift)
            .or_else(|| finite("divisor", *divisor))
            .or_else(|| (!divisor.is_normal()).then(|| format!("divisor {divisor}"))),
        Step::Windows { windows } if windows.len() != channels => {
            Some(format!("{} windows for {channels} channels", windows.len()))
        }
        Step::Windows { windows } => windows.iter().find_map(|w| {
            let order = || (w.min >= w.max).then(|| format!("min {} is not below max {}", w.min, w.max));
            finite("min", w.min)
                .or_else(|| finite("max", w.max))
                .or_else(order)
                .or_else(|| finite("max − min", w.max - w.min))
        }),
    }
}

fn too_large(size: &[usize; 3], channels: usize) -> Option<String> {
    if size.contains(&0) {
        return Some(format!("size {size:?} has an empty axis"));
    }
    let values = size.iter().try_fold(channels as u64, |n, &d| n.checked_mul(d as u64)).unwrap_or(u64::MAX);
    (values > MAX_VALUES).then(|| format!("size {size:?} with {channels} channels is over {MAX_VALUES} values"))
}

#[cfg(test)]
mod tests {
    use super::super::steps::Window;
    use super::*;

    fn refused(step: Step) -> bool {
        let result = Preprocessing { steps: vec![step], channels: 1 }.validate();
        matches!(result, Err(Error::Manifest { .. }))
    }

    #[test]
    fn presets_are_valid_and_have_a_fixed_shape() {
        for (preset, shape) in [
            (Preprocessing::reg2rg(), [1, 64, 256, 256]),
            (Preprocessing::ct_clip(), [1, 240, 480, 480]),
            (Preprocessing::ct2rep(), [1, 240, 480, 480]),
            (Preprocessing::merlin(), [1, 160, 224, 224]),
            (Preprocessing::m3d(), [1, 32, 256, 256]),
            (Preprocessing::medicalnet(), [1, 56, 448, 448]),
        ] {
            preset.validate().unwrap();
            assert_eq!(preset.output_shape(), Some(shape));
            let text = serde_json::to_string(&preset).unwrap();
            assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), preset);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(refused(Step::Scale { shift: 0.0, divisor: 0.0 }));
        assert!(refused(Step::Scale { shift: f32::NAN, divisor: 1.0 }));
        assert!(refused(Step::Clip { min: 1.0, max: -1.0 }));
        assert!(refused(Step::Resize { size: [0, 1, 1], interpolation: Interpolation::Area }));
        assert!(refused(Step::Resize { size: [usize::MAX, 2, 2], interpolation: Interpolation::Area }));
        assert!(refused(Step::CenterCropOrPad { size: [4096, 4096, 4096], pad_value: 0.0 }));
        assert!(refused(Step::Resample {
            spacing_mm: [0.0, 1.0, 1.0],
            interpolation: Interpolation::Nearest,
            fit: Fit::Edges
        }));
        assert!(Preprocessing { steps: vec![], channels: 0 }.validate().is_err());
    }

    #[test]
    fn windows_are_the_last_step_and_one_a_channel() {
        let step = |ranges: &[[f32; 2]]| Step::Windows {
            windows: ranges.iter().map(|&[min, max]| Window { min, max }).collect(),
        };
        let check = |steps: Vec<Step>, channels| Preprocessing { steps, channels }.validate();
        let two = [[-1000.0, 200.0], [-160.0, 240.0]];
        check(vec![Step::MinMax, step(&two)], 2).unwrap();
        assert!(check(vec![step(&two)], 1).is_err() && check(vec![step(&two)], 3).is_err());
        assert!(check(vec![step(&[])], 1).is_err());
        assert!(check(vec![step(&two), Step::MinMax], 2).is_err());
        for range in [[1.0, 1.0], [2.0, 1.0], [f32::NAN, 1.0], [0.0, f32::INFINITY], [f32::MIN, f32::MAX]] {
            assert!(check(vec![step(&[range])], 1).is_err(), "{range:?}");
        }
    }
}
