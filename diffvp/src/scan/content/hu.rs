//! Whether voxel values can be Hounsfield units.
//!
//! On this scale air lies at −1000, lung at −950 to −500, and all soft tissue between −150 and 100. A body that was
//! never rescaled has air at 0 and soft tissue near 1050; one that was rescaled twice has soft tissue near −1000.

use super::coarse::Census;

/// Air in Hounsfield units, the lowest value of the scale.
pub(in crate::scan) const AIR_HU: f32 = -1024.0;

/// Why the values cannot be Hounsfield units of a body; `None` where they can.
pub(super) fn suspicion(census: &Census) -> Option<String> {
    let Census { low, high, .. } = *census;
    let share = |count: u64| count as f64 / census.all.max(1) as f64;
    let percent = |count: u64| 100.0 * share(count);
    if low == high {
        return Some("all voxels have the same value".into());
    }
    if high - low <= 4.0 {
        return Some(format!("the values span only {}, as those of a normalised picture", high - low));
    }
    if low >= 0.0 && high <= 255.0 {
        return Some("the values are those of an 8-bit picture".into());
    }
    let tissue_at_1050 = share(census.dense) > 0.08;
    if low > -200.0 || (tissue_at_1050 && share(census.air) < 0.01) {
        let shift = if tissue_at_1050 {
            format!(
                "{:.0} % of the voxels lie between 700 and 1500, where only dense bone does: perhaps shifted by 1024",
                percent(census.dense)
            )
        } else {
            "perhaps shifted or cut off".into()
        };
        return Some(format!("there is no air; {shift}"));
    }
    if share(census.soft) < 0.01 {
        return Some(format!(
            "only {:.2} % of the voxels lie between -200 and 200, where soft tissue does: perhaps rescaled twice",
            percent(census.soft)
        ));
    }
    None
}
