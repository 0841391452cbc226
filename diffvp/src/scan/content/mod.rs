//! What a volume shows, judged by its voxels alone: whether the values can be Hounsfield units, and whether it
//! is a chest. Needs no model; `docs/scan.md` explains the rules and their numbers.

mod coarse;
mod hu;
mod lungs;

use serde::Serialize;

use crate::{Volume, Warning, WarningCode};
use coarse::Coarse;

pub(super) use hu::AIR_HU;

/// What a volume shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScanContent {
    /// Why the values cannot be Hounsfield units; `None` where they can.
    pub not_hu: Option<String>,
    /// Why this is not a chest that can be reported; `None` where it is one.
    pub not_chest: Option<String>,
    /// The lungs that were found.
    pub lungs: Lungs,
}

/// Aerated lung inside the body.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Lungs {
    /// Volume on the patient's right and left side, in ml; consolidated or collapsed lung is not counted.
    pub right_left_ml: [f64; 2],
    /// Largest share of the body's area in an axial slice that is lung, 0 to 1.
    pub largest_share: f64,
    /// Extent from foot to head of the slices with lung, in mm.
    pub height_mm: f64,
    /// Whether the volume ends towards the head where there is still much lung.
    pub cut_above: bool,
    /// Whether the volume ends towards the feet where there is still much lung.
    pub cut_below: bool,
}

/// The lungs of a volume, and why it is no chest if it is none.
pub(super) fn lungs(volume: &Volume) -> (Lungs, Option<String>) {
    lungs::find(&Coarse::of(volume))
}

/// Looks at a volume, and warns of what a reader of its report must know.
pub(super) fn look(volume: &Volume, warnings: &mut Vec<Warning>) -> ScanContent {
    let coarse = Coarse::of(volume);
    let not_hu = hu::suspicion(&coarse.census);
    if let Some(why) = &not_hu {
        let (low, high) = volume.range_hu();
        warnings.push(Warning::new(
            WarningCode::SuspiciousHu,
            format!("values from {low} to {high} do not look like Hounsfield units: {why}"),
        ));
    }
    let (lungs, mut not_chest) = lungs::find(&coarse);
    if let (Some(why), Some(_)) = (&not_hu, &not_chest) {
        not_chest = Some(format!("no lungs can be found in values that are not Hounsfield units: {why}"));
    }
    match &not_chest {
        Some(why) => warnings.push(Warning::new(WarningCode::NotAChest, why.clone())),
        None if lungs.cut_above || lungs.cut_below => {
            let end = match (lungs.cut_above, lungs.cut_below) {
                (true, true) => "at both ends",
                (true, false) => "towards the head",
                _ => "towards the feet",
            };
            warnings.push(Warning::new(
                WarningCode::PartialCoverage,
                format!("the scan cuts the lungs off {end}: {:.0} mm of them are shown", lungs.height_mm),
            ));
        }
        None => {}
    }
    check_oblique(volume, warnings);
    ScanContent { not_hu, not_chest, lungs }
}

/// Warns where no permutation of the axes brings the grid within 5° of the body's axes.
fn check_oblique(volume: &Volume, warnings: &mut Vec<Warning>) {
    let direction = volume.direction();
    let worst = (0..3)
        .map(|axis| (0..3).map(|row| direction[row][axis].abs()).fold(0.0, f64::max).min(1.0).acos().to_degrees())
        .fold(0.0, f64::max);
    if worst > 5.0 {
        warnings.push(Warning::new(
            WarningCode::Oblique,
            format!("the grid is turned by {worst:.1}° against the axes of the body; it is used as it is"),
        ));
    }
}

#[cfg(test)]
mod tests;
