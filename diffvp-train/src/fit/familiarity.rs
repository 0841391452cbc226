//! What the prepared volumes of training look like, so that a report can say where a scan is unlike them.

use diffvp::package::{Familiarity, describe};

use rayon::prelude::*;

use super::prepared::Prepared;
use crate::data::Sample;
use crate::{Error, Result};

/// Share of the validation scans that the limit holds.
const SHARE: f64 = 0.99;
/// Room that it leaves beyond them: a hundredth of a few hundred scans is few scans.
const ROOM: f32 = 1.1;
/// Least deviation, of their root mean square: what never changes in training would make any other scan infinitely far.
const LEAST: f64 = 0.1;
/// Scans that are described at a time.
const AT_ONCE: usize = 256;

/// Measures training scans, and how far those of validation lie from them.
///
/// # Errors
/// Those of the cache; [`Error::Training`] without scans.
pub(super) fn measure(prepared: &Prepared, train: &[Sample], validation: &[Sample]) -> Result<Familiarity> {
    let (shape, grid) = prepared.shape_and_grid();
    let description =
        |sample: &Sample| -> Result<Vec<f32>> { Ok(describe(&prepared.first_channel(sample)?, shape, grid)) };
    let size = 2 * grid.iter().product::<usize>();
    let (mut sum, mut square) = (vec![0f64; size], vec![0f64; size]);
    for samples in train.chunks(AT_ONCE) {
        let descriptions: Vec<Vec<f32>> = samples.par_iter().map(description).collect::<Result<_>>()?;
        for description in descriptions {
            for (i, value) in description.into_iter().map(f64::from).enumerate() {
                (sum[i], square[i]) = (sum[i] + value, square[i] + value * value);
            }
        }
    }
    let count = train.len().max(1) as f64;
    let mean: Vec<f64> = sum.iter().map(|s| s / count).collect();
    let variance: Vec<f64> = square.iter().zip(&mean).map(|(s, m)| (s / count - m * m).max(0.0)).collect();
    let least = LEAST * (variance.iter().sum::<f64>() / size as f64).sqrt();
    let mut familiarity = Familiarity {
        mean: mean.iter().map(|m| *m as f32).collect(),
        deviation: variance.iter().map(|v| v.sqrt().max(least).max(f64::from(f32::MIN_POSITIVE)) as f32).collect(),
        limit: 1.0,
    };
    let distance = |sample: &Sample| Ok(familiarity.distance(&description(sample)?));
    let mut distances: Vec<f32> = validation.par_iter().map(distance).collect::<Result<_>>()?;
    distances.sort_by(f32::total_cmp);
    let at = ((distances.len() as f64 * SHARE).ceil() as usize).max(1) - 1;
    let far = distances.get(at).ok_or_else(|| Error::training("no validation scans"))?;
    familiarity.limit = ROOM * far;
    Ok(familiarity)
}
