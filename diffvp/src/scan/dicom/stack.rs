//! Slices → one regular grid: order, spacing and direction from ImagePositionPatient and
//! ImageOrientationPatient alone (PS3.3, C.7.6.2.1.1).

use super::frames::Plane;
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
}

fn geometry(detail: String) -> Error {
    Error::Geometry { detail }
}

pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
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
        return Err(geometry(format!(
            "row direction {row:?} and column direction {column:?} are not orthonormal"
        )));
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
/// slices, uneven distances beyond 2 % of the spacing (0.05 mm at least), or a tilted gantry.
pub(super) fn stack(planes: &[Plane]) -> Result<Stack> {
    let first = planes.first().ok_or_else(|| Error::NotAVolume {
        detail: "no slices".into(),
    })?;
    let orientation = first
        .orientation
        .ok_or_else(|| geometry("the slices have no orientation".into()))?;
    let [between_rows, between_columns] = first
        .spacing_mm
        .ok_or_else(|| geometry("the slices have no pixel spacing".into()))?;
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
            detail: format!(
                "{} slice position, a volume needs at least {MIN_SLICES}",
                slices.len()
            ),
        });
    }
    let places: Vec<[f64; 3]> = slices.iter().map(|same| positions[same[0]]).collect();
    let (spacing, jitter_mm, gaps_mm) = regular(&places, normal)?;
    straight(
        &places,
        normal,
        [row, column],
        [between_columns, between_rows],
    )?;
    Ok(Stack {
        slices,
        spacing_mm: [between_columns, between_rows, spacing],
        origin_mm: places[0],
        direction: std::array::from_fn(|r| [row[r], column[r], normal[r]]),
        jitter_mm,
        gaps_mm,
    })
}

/// Spacing along the normal, jitter worth a warning, and the range of the gaps.
fn regular(places: &[[f64; 3]], normal: [f64; 3]) -> Result<(f64, Option<f64>, [f64; 2])> {
    let depths: Vec<f64> = places.iter().map(|p| dot(*p, normal)).collect();
    let gaps: Vec<f64> = depths.windows(2).map(|w| w[1] - w[0]).collect();
    let mut sorted = gaps.clone();
    sorted.sort_by(f64::total_cmp);
    let (least, median, most) = (
        sorted[0],
        sorted[sorted.len() / 2],
        sorted[sorted.len() - 1],
    );

    let tolerance = (MAX_JITTER * median).max(MAX_JITTER_MM);
    if most > 1.5 * median {
        let holes: Vec<usize> = (0..gaps.len())
            .filter(|i| gaps[*i] > 1.5 * median)
            .collect();
        let missing: f64 = holes
            .iter()
            .map(|i| (gaps[*i] / median).round() - 1.0)
            .sum();
        return Err(geometry(format!(
            "about {missing} slices are missing: {} gaps of up to {most:.3} mm where {median:.3} mm are usual, the first behind slice {} of {}",
            holes.len(),
            holes[0] + 1,
            places.len()
        )));
    }
    // The mean gap keeps first and last slice exactly on their places.
    let spacing = (depths[depths.len() - 1] - depths[0]) / gaps.len() as f64;
    let off = |i: usize| (depths[i] - depths[0] - i as f64 * spacing).abs();
    let worst = (0..depths.len()).map(off).fold(0.0, f64::max);
    let uneven = gaps.iter().map(|g| (g - spacing).abs()).fold(0.0, f64::max);
    if worst > tolerance || uneven > tolerance {
        return Err(geometry(format!(
            "the distance between slices varies from {least:.3} to {most:.3} mm; slices lie up to {worst:.3} mm off a regular grid, {tolerance:.3} mm are allowed"
        )));
    }
    Ok((
        spacing,
        (uneven > QUIET_JITTER_MM).then_some(worst),
        [least, most],
    ))
}

/// Refuses stacks whose slices shift sideways: a tilted gantry, or positions of several scans.
fn straight(
    places: &[[f64; 3]],
    normal: [f64; 3],
    axes: [[f64; 3]; 2],
    pixel_mm: [f64; 2],
) -> Result<()> {
    let first = places[0];
    let mut shift_mm = 0.0f64;
    let mut angle = 0.0f64;
    let mut beyond = false;
    for place in places {
        let from: [f64; 3] = std::array::from_fn(|i| place[i] - first[i]);
        let depth = dot(from, normal);
        for (axis, pixel) in axes.iter().zip(pixel_mm) {
            let side = dot(from, *axis).abs();
            beyond |= side > 0.5 * pixel;
            if side > shift_mm {
                shift_mm = side;
                angle = side.atan2(depth).to_degrees();
            }
        }
    }
    if beyond {
        return Err(geometry(format!(
            "the slices shift sideways by up to {shift_mm:.2} mm ({angle:.1}°): the gantry is tilted, or the slices are of several scans"
        )));
    }
    Ok(())
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
        stack(&planes(
            &depths
                .iter()
                .map(|z| [-10.0, -20.0, *z])
                .collect::<Vec<_>>(),
        ))
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
        assert!(
            at(&[0.0, 3.987, 7.975, 11.962])
                .unwrap()
                .jitter_mm
                .is_some()
        );
        assert!(matches!(
            at(&[0.0, 3.0, 6.4, 9.0]),
            Err(Error::Geometry { .. })
        ));
    }

    #[test]
    fn missing_slices_are_counted() {
        let error = at(&[0.0, 3.0, 6.0, 15.0, 18.0]).unwrap_err().to_string();
        assert!(
            error.contains("about 2 slices are missing") && error.contains("behind slice 3 of 5"),
            "{error}"
        );
    }

    #[test]
    fn duplicates_share_a_place() {
        assert_eq!(
            at(&[0.0, 3.0, 3.0, 6.0]).unwrap().slices,
            [vec![0], vec![1, 2], vec![3]]
        );
        assert!(matches!(at(&[3.0, 3.0]), Err(Error::NotAVolume { .. })));
    }

    #[test]
    fn a_tilted_gantry_is_refused() {
        let tilted: Vec<[f64; 3]> = (0..10)
            .map(|i| [0.0, 0.5 * i as f64, 3.0 * i as f64])
            .collect();
        let error = stack(&planes(&tilted)).unwrap_err().to_string();
        assert!(
            error.contains("tilted") && error.contains("9.5°"),
            "{error}"
        );
    }

    #[test]
    fn directions_must_be_orthonormal() {
        assert!(axes(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).is_err());
        assert!(axes(&[0.0; 6]).is_err());
        assert_eq!(
            axes(&[1.0, 0.0, 0.0, 0.0, -1.0, 0.0]).unwrap()[2],
            [0.0, 0.0, -1.0]
        );
    }
}
