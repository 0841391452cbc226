//! A look at a few slices of each series, to choose the one that shows the lungs best.

use rayon::prelude::*;

use super::assemble::believable;
use super::decode::Decoder;
use super::file::FileHeader;
use super::input::Input;
use super::series::Candidate;
use crate::Volume;
use crate::memory::zeros;
use crate::scan::content;

/// Slices that are looked at; enough to see a lung in steps of 10 mm or less in an adult's chest.
const SLICES: usize = 32;
/// Series that are looked at.
const MAX_SERIES: usize = 32;
/// Voxels that are looked at of a series: all of its 32 slices where they have 1024² pixels.
const MAX_VOXELS: usize = 1 << 25;
/// Points of a series that shows whole lungs, and what is taken off where they are cut off at one end.
const LUNG_POINTS: f64 = 100.0;
const CUT_POINTS: f64 = 20.0;
/// Height of lung from which the points are full, in mm.
const FULL_HEIGHT_MM: f64 = 200.0;

/// Adds the points for lungs to the scores of the series that can be used, and sorts them anew.
pub(super) fn look(inputs: &[Input], used: &[usize], headers: &[FileHeader], found: &mut [Candidate]) {
    if found.iter().filter(|c| c.outcome.is_ok()).count() < 2 {
        return;
    }
    for candidate in found.iter_mut().filter(|c| c.outcome.is_ok()).take(MAX_SERIES) {
        // Slices that cannot be decoded earn no points; loading the series then says why.
        let Some(volume) = sample(inputs, used, headers, candidate) else { continue };
        let (lungs, not_chest) = content::lungs(&volume);
        if not_chest.is_none() {
            let cuts = lungs.cut_above as u8 + lungs.cut_below as u8;
            let points = LUNG_POINTS * (lungs.height_mm / FULL_HEIGHT_MM).min(1.0) - CUT_POINTS * f64::from(cuts);
            candidate.summary.score = ((candidate.summary.score + points.max(0.0)) * 10.0).round() / 10.0;
        }
        candidate.summary.lungs = Some(lungs);
    }
    super::series::sort(found);
}

/// A volume of some of the slices, evenly spread; positions that a repair would move are near enough.
fn sample(inputs: &[Input], used: &[usize], headers: &[FileHeader], candidate: &Candidate) -> Option<Volume> {
    let stack = candidate.outcome.as_ref().ok()?;
    let format = &headers[candidate.slices[0].file].format;
    let most = (MAX_VOXELS / format.pixels().max(1)).clamp(1, SLICES);
    let step = stack.slices.len().div_ceil(most);
    let places: Vec<usize> = (0..stack.slices.len()).step_by(step).collect();
    let voxels = format.pixels().checked_mul(places.len()).filter(|voxels| *voxels <= MAX_VOXELS)?;
    let looked_at = places.iter().map(|place| candidate.slices[stack.slices[*place][0]].file);
    if !believable(looked_at, headers, voxels) {
        return None;
    }
    let decoder = Decoder::new(inputs, used, headers, &candidate.slices).ok()?;
    let mut values = zeros(voxels).ok()?;
    values
        .par_chunks_mut(format.pixels())
        .zip(&places)
        .try_for_each(|(out, place)| decoder.slice(candidate.slices[stack.slices[*place][0]], out).map(drop))
        .ok()?;
    let dims = [format.columns as usize, format.rows as usize, places.len()];
    let [x, y, z] = stack.spacing_mm;
    Volume::new(values, dims, [x, y, z * step as f64], stack.origin_mm, stack.direction).ok()
}
