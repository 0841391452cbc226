//! Slices → one regular grid: order, spacing and direction from ImagePositionPatient and
//! ImageOrientationPatient alone (PS3.3, C.7.6.2.1.1).

use super::frames::Plane;
use super::repair::Repair;
use crate::{Error, Result};

/// Fewest slices that make a volume. Two are enough for a grid; whether they show enough of a chest is for
/// others to judge.
pub(super) const MIN_SLICES: usize = 2;
/// Positions closer than this are the same slice, in mm.
const SAME_POSITION_MM: f64 = 1e-3;
/// Jitter of positions that is worth a warning, in mm.
const QUIET_JITTER_MM: f64 = 5e-4;
/// A slice may lie off its place on the regular grid by this share of the spacing.
const MAX_JITTER: f64 = 0.02;
/// …or by this much, if that is more, in mm.
const MAX_JITTER_MM: f64 = 0.05;
/// Beyond that slices are resampled, unless one of their distances is larger or smaller than this part of the median.
const MAX_GAP: f64 = 1.5;
const MIN_GAP: f64 = 0.5;
/// Largest tilt of a gantry that is corrected, in degrees; scanners tilt up to 30.
const MAX_TILT_DEGREES: f64 = 30.5;
/// Slices of a tilted gantry lie on a straight line within this, in mm.
const MAX_BEND_MM: f64 = 0.2;
/// Sizes of a pixel that a scanner can have, in mm.
const PIXEL_MM: std::ops::RangeInclusive<f64> = 1e-2..=1e2;
/// Pixels by which a corrected slice may be wider than the slices of the scan.
const MAX_WIDER: usize = 4096;
/// A sideways shift over the whole stack below this part of a pixel is not corrected.
const QUIET_SHIFT: f64 = 0.5;

/// A regular grid made of slices.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stack {
    /// Slices in the order of the grid; each entry lists the indices at one position, the first is used
    /// and the others are duplicates of it.
    pub slices: Vec<Vec<usize>>,
    pub spacing_mm: [f64; 3],
    pub origin_mm: [f64; 3],
    pub direction: [[f64; 3]; 3],
    /// Largest distance of a slice from its place on the grid, where that is worth a warning.
    pub jitter_mm: Option<f64>,
    /// Smallest and largest distance between neighbours.
    pub gaps_mm: [f64; 2],
    /// How the slices are to be moved onto the grid, where they do not lie on it.
    pub repair: Option<Repair>,
}

fn geometry(detail: String) -> Error {
    Error::Geometry { detail }
}

pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Row direction, column direction and normal, made exactly orthonormal.
///
/// # Errors
/// [`Error::Geometry`] where the two directions are not unit vectors at a right angle within 1e-3.
pub(super) fn axes(orientation: &[f64; 6]) -> Result<[[f64; 3]; 3]> {
    let [a, b, c, d, e, f] = *orientation;
    let (row, column) = ([a, b, c], [d, e, f]);
    let (r, k) = (dot(row, row).sqrt(), dot(column, column).sqrt());
    if (r - 1.0).abs() > 1e-3 || (k - 1.0).abs() > 1e-3 || dot(row, column).abs() > 1e-3 {
        return Err(geometry(format!("row direction {row:?} and column direction {column:?} are not orthonormal")));
    }
    let row = row.map(|v| v / r);
    let along = dot(row, column);
    let column: [f64; 3] = std::array::from_fn(|i| column[i] - along * row[i]);
    let k = dot(column, column).sqrt();
    let column = column.map(|v| v / k);
    Ok([row, column, cross(row, column)])
}

/// Stacks planes of one orientation and pixel spacing.
///
/// # Errors
/// [`Error::NotAVolume`] for fewer than two positions; [`Error::Geometry`] for missing positions, missing
/// slices, and slices that lie so far off a straight and regular stack that they must not be moved onto one.
pub(super) fn stack(planes: &[Plane]) -> Result<Stack> {
    let first = planes.first().ok_or_else(|| Error::NotAVolume { detail: "no slices".into() })?;
    let orientation = first.orientation.ok_or_else(|| geometry("the slices have no orientation".into()))?;
    let [between_rows, between_columns] =
        first.spacing_mm.ok_or_else(|| geometry("the slices have no pixel spacing".into()))?;
    if ![between_rows, between_columns].iter().all(|mm| PIXEL_MM.contains(mm)) {
        return Err(geometry(format!("a pixel spacing of {between_rows} × {between_columns} mm")));
    }
    let [row, column, normal] = axes(&orientation)?;
    let positions: Vec<[f64; 3]> = planes
        .iter()
        .map(|plane| plane.position_mm)
        .collect::<Option<_>>()
        .ok_or_else(|| geometry("a slice has no position".into()))?;

    let depth = |i: usize| dot(positions[i], normal);
    let mut order: Vec<usize> = (0..planes.len()).collect();
    order.sort_by(|a, b| depth(*a).total_cmp(&depth(*b)));
    let mut slices: Vec<Vec<usize>> = Vec::with_capacity(order.len());
    for index in order {
        match slices.last_mut() {
            Some(same) if depth(index) - depth(same[0]) < SAME_POSITION_MM => same.push(index),
            _ => slices.push(vec![index]),
        }
    }
    if slices.len() < MIN_SLICES {
        return Err(Error::NotAVolume {
            detail: format!("{} slice position, a volume needs at least {MIN_SLICES}", slices.len()),
        });
    }
    let places: Vec<[f64; 3]> = slices.iter().map(|same| positions[same[0]]).collect();
    let along = regular(&places, normal)?;
    let pixel_mm = [between_columns, between_rows];
    let sideways = straight(&places, normal, [row, column], pixel_mm)?;
    let (repair, [i, j]) = repair(&along, &sideways, pixel_mm);
    if let Some(wider) = repair.as_ref().map(|r| r.wider).filter(|wider| wider.iter().any(|w| *w > MAX_WIDER)) {
        return Err(geometry(format!("the slices shift sideways by {} × {} pixels", wider[0], wider[1])));
    }
    Ok(Stack {
        slices,
        spacing_mm: [between_columns, between_rows, along.spacing_mm],
        origin_mm: std::array::from_fn(|a| places[0][a] + i * between_columns * row[a] + j * between_rows * column[a]),
        direction: std::array::from_fn(|r| [row[r], column[r], normal[r]]),
        jitter_mm: along.jitter_mm,
        gaps_mm: along.gaps_mm,
        repair,
    })
}

/// Distances along the normal.
struct Along {
    spacing_mm: f64,
    gaps_mm: [f64; 2],
    /// Distance of each slice from the first.
    depths_mm: Vec<f64>,
    /// Jitter that is worth a warning.
    jitter_mm: Option<f64>,
    /// Largest distance of a slice from its place, where that is too much to be left so.
    moved_mm: Option<f64>,
}

fn regular(places: &[[f64; 3]], normal: [f64; 3]) -> Result<Along> {
    let depths: Vec<f64> = places.iter().map(|p| dot(*p, normal) - dot(places[0], normal)).collect();
    let gaps: Vec<f64> = depths.windows(2).map(|w| w[1] - w[0]).collect();
    let mut sorted = gaps.clone();
    sorted.sort_by(f64::total_cmp);
    let (least, median, most) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);

    let tolerance = (MAX_JITTER * median).max(MAX_JITTER_MM);
    if most > MAX_GAP * median {
        let holes: Vec<usize> = (0..gaps.len()).filter(|i| gaps[*i] > MAX_GAP * median).collect();
        let missing: f64 = holes.iter().map(|i| (gaps[*i] / median).round() - 1.0).sum();
        return Err(geometry(format!(
            "about {missing} slices are missing: {} gaps of up to {most:.3} mm where {median:.3} mm are usual, the first behind slice {} of {}",
            holes.len(),
            holes[0] + 1,
            places.len()
        )));
    }
    // The mean gap keeps first and last slice exactly on their places.
    let spacing = depths[depths.len() - 1] / gaps.len() as f64;
    let worst = depths.iter().enumerate().map(|(i, d)| (d - i as f64 * spacing).abs()).fold(0.0, f64::max);
    let uneven = gaps.iter().map(|g| (g - spacing).abs()).fold(0.0, f64::max);
    let move_slices = worst > tolerance || uneven > tolerance;
    if move_slices && least < MIN_GAP * median {
        return Err(geometry(format!(
            "the distance between slices varies from {least:.3} to {most:.3} mm, less than half of the usual {median:.3} mm: slices of several scans"
        )));
    }
    Ok(Along {
        spacing_mm: spacing,
        gaps_mm: [least, most],
        depths_mm: depths,
        jitter_mm: (uneven > QUIET_JITTER_MM && !move_slices).then_some(worst),
        moved_mm: move_slices.then_some(worst),
    })
}

/// Sideways places of the slices.
struct Sideways {
    /// Of each slice from the first, along rows and columns, in mm.
    shifts_mm: Vec<[f64; 2]>,
    /// Angle of the gantry in degrees and largest shift in mm, where it is worth correcting.
    tilt: Option<[f64; 2]>,
}

/// Refuses stacks whose slices do not lie on a straight line: they are of several scans.
fn straight(places: &[[f64; 3]], normal: [f64; 3], axes: [[f64; 3]; 2], pixel_mm: [f64; 2]) -> Result<Sideways> {
    let from_first = |place: &[f64; 3]| -> [f64; 3] { std::array::from_fn(|i| place[i] - places[0][i]) };
    let shifts_mm: Vec<[f64; 2]> = places.iter().map(|p| axes.map(|axis| dot(from_first(p), axis))).collect();
    let last = places.len() - 1;
    let depth = |i: usize| dot(from_first(&places[i]), normal);
    let worst = shifts_mm.iter().map(|[x, y]| x.hypot(*y)).fold(0.0, f64::max);
    if shifts_mm.iter().all(|s| (0..2).all(|a| s[a].abs() <= QUIET_SHIFT * pixel_mm[a])) {
        return Ok(Sideways { shifts_mm, tilt: None });
    }
    let bend = (0..places.len())
        .map(|i| {
            let part = depth(i) / depth(last);
            (0..2).map(|a| (shifts_mm[i][a] - part * shifts_mm[last][a]).abs()).fold(0.0, f64::max)
        })
        .fold(0.0, f64::max);
    let angle = shifts_mm[last][0].hypot(shifts_mm[last][1]).atan2(depth(last)).to_degrees();
    if bend > MAX_BEND_MM || angle > MAX_TILT_DEGREES {
        return Err(geometry(format!(
            "the slices shift sideways by up to {worst:.2} mm ({angle:.1}°) and lie up to {bend:.2} mm off a straight line; {MAX_BEND_MM} mm and {MAX_TILT_DEGREES}° of a tilted gantry can be corrected"
        )));
    }
    Ok(Sideways { shifts_mm, tilt: Some([angle, worst]) })
}

/// What is to be done to the slices, and where the first pixel of the wider grid lies, in pixels of the first slice.
fn repair(along: &Along, sideways: &Sideways, pixel_mm: [f64; 2]) -> (Option<Repair>, [f64; 2]) {
    if sideways.tilt.is_none() && along.moved_mm.is_none() {
        return (None, [0.0; 2]);
    }
    let shift = |slice: usize, axis: usize| match sideways.tilt {
        Some(_) => sideways.shifts_mm[slice][axis] / pixel_mm[axis],
        None => 0.0,
    };
    let count = along.depths_mm.len();
    let range = |axis: usize| {
        (0..count).map(|k| shift(k, axis)).fold((0.0f64, 0.0f64), |(low, high), s| (low.min(s), high.max(s)))
    };
    let low = [0, 1].map(|axis| range(axis).0.floor());
    let wider = [0, 1].map(|axis| (range(axis).1.ceil() - low[axis]) as usize);
    let places = (0..count)
        .map(|k| [along.depths_mm[k] / along.spacing_mm, shift(k, 0) - low[0], shift(k, 1) - low[1]])
        .collect();
    (Some(Repair { places, wider, tilt: sideways.tilt, moved_mm: along.moved_mm }), low)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

    fn planes(positions: &[[f64; 3]]) -> Vec<Plane> {
        let plane = |p: &[f64; 3]| Plane {
            position_mm: Some(*p),
            orientation: Some(AXIAL),
            spacing_mm: Some([0.8, 0.7]),
            ..Plane::default()
        };
        positions.iter().map(plane).collect()
    }

    fn at(depths: &[f64]) -> Result<Stack> {
        stack(&planes(&depths.iter().map(|z| [-10.0, -20.0, *z]).collect::<Vec<_>>()))
    }

    #[test]
    fn slices_are_ordered_by_position() {
        let stack = at(&[9.0, 3.0, 6.0]).unwrap();
        assert_eq!(stack.slices, [vec![1], vec![2], vec![0]]);
        assert_eq!(stack.spacing_mm, [0.7, 0.8, 3.0]);
        assert_eq!(stack.origin_mm, [-10.0, -20.0, 3.0]);
        assert_eq!(stack.jitter_mm, None);
    }

    #[test]
    fn rounding_is_a_warning_and_more_is_an_error() {
        assert!(at(&[0.0, 3.987, 7.975, 11.962]).unwrap().jitter_mm.is_some());
        let error = at(&[0.0, 3.0, 4.2, 7.2, 10.2]).unwrap_err().to_string();
        assert!(error.contains("several scans"), "{error}");
    }

    #[test]
    fn uneven_distances_are_resampled_within_limits() {
        let stack = at(&[0.0, 3.0, 6.4, 9.0]).unwrap();
        assert_eq!((stack.spacing_mm[2], stack.jitter_mm), (3.0, None));
        let repair = stack.repair.unwrap();
        assert!((repair.moved_mm.unwrap() - 0.4).abs() < 1e-9 && repair.wider == [0, 0], "{repair:?}");
    }

    #[test]
    fn missing_slices_are_counted() {
        let error = at(&[0.0, 3.0, 6.0, 15.0, 18.0]).unwrap_err().to_string();
        assert!(error.contains("about 2 slices are missing") && error.contains("behind slice 3 of 5"), "{error}");
    }

    #[test]
    fn duplicates_share_a_place() {
        assert_eq!(at(&[0.0, 3.0, 3.0, 6.0]).unwrap().slices, [vec![0], vec![1, 2], vec![3]]);
        assert!(matches!(at(&[3.0, 3.0]), Err(Error::NotAVolume { .. })));
    }

    #[test]
    fn a_tilted_gantry_is_corrected_and_a_bent_stack_refused() {
        let tilted = |step: f64, bend: f64| -> Vec<[f64; 3]> {
            (0..10).map(|i| [0.0, step * i as f64 + if i == 5 { bend } else { 0.0 }, 3.0 * i as f64]).collect()
        };
        for (step, origin_mm) in [(0.5, 0.0), (-0.5, -0.8 * 6.0)] {
            let stack = stack(&planes(&tilted(step, 0.0))).unwrap();
            let repair = stack.repair.unwrap();
            assert!((repair.tilt.unwrap()[0] - 9.46).abs() < 0.01, "{repair:?}");
            // 4.5 mm of shift are 5.6 rows of 0.8 mm.
            assert_eq!(repair.wider, [0, 6]);
            assert!((stack.origin_mm[1] - origin_mm).abs() < 1e-9);
        }
        for refused in [tilted(0.5, 0.5), tilted(2.0, 0.0)] {
            let error = stack(&planes(&refused)).unwrap_err().to_string();
            assert!(error.contains("sideways"), "{error}");
        }
    }

    #[test]
    fn directions_must_be_orthonormal() {
        assert!(axes(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).is_err());
        assert!(axes(&[0.0; 6]).is_err());
        assert_eq!(axes(&[1.0, 0.0, 0.0, 0.0, -1.0, 0.0]).unwrap()[2], [0.0, 0.0, -1.0]);
    }
}
