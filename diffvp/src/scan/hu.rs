//! Whether voxel values can be Hounsfield units, and whether the grid lies along the body.

use crate::{Volume, Warning, WarningCode};

/// Air in Hounsfield units, the lowest value of the scale.
pub(super) const AIR_HU: f32 = -1024.0;

/// Warns where the values cannot be Hounsfield units of a chest: air is missing, or lies elsewhere.
pub(super) fn check(volume: &Volume, warnings: &mut Vec<Warning>) {
    let (low, high) = volume.range_hu();
    let suspicion = if low == high {
        "all voxels have the same value"
    } else if low >= 0.0 && high <= 255.0 {
        "the values are those of an 8-bit picture"
    } else if low > -200.0 {
        "there is no air; perhaps the values are shifted by 1024"
    } else if high < -200.0 {
        "there is no soft tissue; perhaps the values were rescaled twice"
    } else {
        return;
    };
    warnings.push(Warning::new(
        WarningCode::SuspiciousHu,
        format!("values from {low} to {high} do not look like Hounsfield units: {suspicion}"),
    ));
}

/// Warns where no permutation of the axes brings the grid within 5° of the body's axes.
pub(super) fn check_oblique(volume: &Volume, warnings: &mut Vec<Warning>) {
    let direction = volume.direction();
    let worst = (0..3)
        .map(|axis| {
            (0..3)
                .map(|row| direction[row][axis].abs())
                .fold(0.0, f64::max)
                .min(1.0)
                .acos()
                .to_degrees()
        })
        .fold(0.0, f64::max);
    if worst > 5.0 {
        warnings.push(Warning::new(
            WarningCode::Oblique,
            format!("the grid is turned by {worst:.1}° against the axes of the body; it is used as it is"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(values: [f32; 2]) -> bool {
        let voxels = values.repeat(4);
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let volume = Volume::new(voxels, [2, 2, 2], [1.0; 3], [0.0; 3], axes).unwrap();
        let mut warnings = Vec::new();
        check(&volume, &mut warnings);
        check_oblique(&volume, &mut warnings);
        !warnings.is_empty()
    }

    #[test]
    fn values_that_are_not_hu_are_named() {
        assert!(!warned([-1000.0, 400.0]));
        assert!(warned([24.0, 1424.0]));
        assert!(warned([0.0, 255.0]));
        assert!(warned([-2048.0, -600.0]));
    }
}
