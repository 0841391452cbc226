//! The channels of a prepared volume, one after the other in memory.

use rayon::prelude::*;

use super::super::CHUNK;
use super::super::steps::Window;
use crate::{Result, memory};

/// Repeats the volume until there are `channels` of it.
///
/// # Errors
/// [`crate::Error::LimitExceeded`] where there is no memory for them.
pub(super) fn copies(values: &mut Vec<f32>, channels: usize) -> Result<()> {
    let one = values.len();
    memory::grow(values, one * (channels - 1))?;
    for _ in 1..channels {
        values.extend_from_within(..one);
    }
    Ok(())
}

/// Replaces the volume by one channel for each window, from −1 to 1.
///
/// # Errors
/// As [`copies`].
pub(super) fn windows(values: &mut Vec<f32>, windows: &[Window]) -> Result<()> {
    let one = values.len();
    copies(values, windows.len())?;
    for (channel, window) in values.chunks_exact_mut(one.max(1)).zip(windows) {
        // As the lineage writes it: `(clip(x, −1000, 200) + 400) / 600`.
        let (shift, divisor) = window.shift_and_divisor();
        channel.par_chunks_mut(CHUNK).for_each(|part| {
            part.iter_mut().for_each(|x| *x = (x.clamp(window.min, window.max) + shift) / divisor);
        });
    }
    Ok(())
}
