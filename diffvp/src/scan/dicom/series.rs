//! Which slices belong together, and which of the stacks is the one to report.
//!
//! The score of a stack is a sum; the weights put coverage first, then thin slices, then the kernel:
//!
//! | points | for |
//! |---|---|
//! | 0 … 100 | extent along the normal, full from 250 mm on |
//! | 0 … 40 | distance between slices, or their thickness if that is more: full up to 1.5 mm, none from 7.5 mm on |
//! | 20, 10, 0 | a soft, unknown or sharp kernel |
//! | 20 | original, not derived pixels |
//! | 20 | slices that need not be moved onto a regular grid |
//! | 5 | no contrast agent |
//!
//! Where several stacks can be used, `probe` adds points for the lungs that they show.

use std::collections::{BTreeMap, HashMap};

use super::file::FileHeader;
use super::frames::Plane;
use super::kernel::{KernelClass, class};
use super::pixels;
use super::stack::{Stack, axes, dot, stack};
use crate::scan::{Orientation, SeriesSummary};
use crate::{Error, Result};

/// A frame of a file: indices into the list of headers and into its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub file: usize,
    pub frame: usize,
}

/// Slices of one series with one direction, size and pixel spacing.
#[derive(Debug)]
pub(super) struct Candidate {
    pub slices: Vec<Slice>,
    pub summary: SeriesSummary,
    /// The stack, or why there is none.
    pub outcome: Result<Stack>,
}

/// Stacks of one series that are told apart before it is taken to be something else than a CT.
const MAX_STACKS: usize = 256;

/// The slices of one series, in stacks.
#[derive(Default)]
struct Series {
    stacks: Vec<Vec<Slice>>,
    /// Whether there are more stacks than are told apart.
    too_many: bool,
}

/// Groups all frames into candidates, best first.
pub(super) fn candidates(headers: &[FileHeader]) -> Vec<Candidate> {
    let mut by_key: HashMap<Option<u64>, usize> = HashMap::new();
    let mut all: Vec<Series> = Vec::new();
    for (file, header) in headers.iter().enumerate() {
        let next = all.len();
        let place = *by_key.entry(header.series).or_insert(next);
        if place == next {
            all.push(Series::default());
        }
        let series = &mut all[place];
        for (frame, plane) in header.planes.iter().enumerate() {
            let slice = Slice { file, frame };
            let fits = |other: &Vec<Slice>| together(header, plane, headers, other[0]);
            // Neighbouring frames nearly always belong to the stack that was extended last.
            match series.stacks.iter().rposition(fits) {
                Some(found) => series.stacks[found].push(slice),
                None if series.stacks.len() < MAX_STACKS => series.stacks.push(vec![slice]),
                None => series.too_many = true,
            }
            if series.too_many {
                break;
            }
        }
    }
    let mut found: Vec<Candidate> = all.into_iter().flat_map(|series| of_series(headers, series)).collect();
    sort(&mut found);
    found
}

fn of_series(headers: &[FileHeader], series: Series) -> Vec<Candidate> {
    if !series.too_many {
        return series.stacks.into_iter().flat_map(|slices| apart(headers, slices)).collect();
    }
    let why = format!("more than {MAX_STACKS} directions and sizes in one series: no scan");
    let slices: Vec<Slice> = series.stacks.into_iter().flatten().collect();
    vec![candidate(headers, slices, Some(Error::Geometry { detail: why }))]
}

/// Sorts candidates, best first.
pub(super) fn sort(found: &mut [Candidate]) {
    found.sort_by(|a, b| {
        let key = |c: &Candidate| (c.outcome.is_ok(), c.summary.score);
        key(b).partial_cmp(&key(a)).unwrap_or(std::cmp::Ordering::Equal)
    });
}

/// Several scans, phases or reconstructions can share a series: where slices of different AcquisitionNumber, point in time,
/// frame of reference or SliceThickness lie among each other and do not stack, those of each are a candidate of their own. Parts
/// that lie one behind the other are one scan in several breath-holds, or one that lacks slices between them.
fn apart(headers: &[FileHeader], slices: Vec<Slice>) -> Vec<Candidate> {
    type Key<'a> = &'a dyn Fn(&Slice) -> Option<i64>;
    let regular = |c: &Candidate| {
        let fits = |stack: &Stack| stack.repair.is_none() && stack.slices.iter().all(|same| same.len() == 1);
        c.outcome.as_ref().is_ok_and(fits)
    };
    let whole = candidate(headers, slices.clone(), None);
    if regular(&whole) {
        return vec![whole];
    }
    let of = |slice: &Slice| (&headers[slice.file], &headers[slice.file].planes[slice.frame]);
    // Micrometres of thickness and thousandths of a phase tell real values apart.
    let fine = |value: f64| (value * 1e3).round() as i64;
    let keys: [Key; 5] = [
        &|s| of(s).1.apart.acquisition.or(of(s).0.acquisition),
        &|s| of(s).1.apart.phase.or(of(s).0.phase).map(fine),
        &|s| of(s).1.apart.stack.map(|hash| hash as i64),
        &|s| of(s).0.frame_of_reference.map(|hash| hash as i64),
        &|s| of(s).0.thickness_mm.map(fine),
    ];
    let all = extent(headers, &slices);
    for key in keys {
        let mut parts: BTreeMap<Option<i64>, Vec<Slice>> = BTreeMap::new();
        for slice in &slices {
            parts.entry(key(slice)).or_default().push(*slice);
        }
        let mut extents: Vec<[f64; 2]> = parts.values().filter_map(|slices| extent(headers, slices)).collect();
        extents.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let overlap = extents.windows(2).any(|pair| {
            let common = pair[0][1].min(pair[1][1]) - pair[1][0];
            let shorter = (pair[0][1] - pair[0][0]).min(pair[1][1] - pair[1][0]);
            pair[1][0] < pair[0][1] && common >= LEAST_OVERLAP * shorter
        });
        if parts.len() < 2 || !overlap {
            continue;
        }
        let parts: Vec<Candidate> = parts.into_values().map(|slices| candidate(headers, slices, None)).collect();
        let large = |c: &Candidate| match (all, extent(headers, &c.slices)) {
            (Some(all), Some(part)) => part[1] - part[0] >= LEAST_PART * (all[1] - all[0]),
            _ => false,
        };
        if parts.iter().any(|part| regular(part) && large(part)) {
            return parts;
        }
    }
    vec![whole]
}

/// The part of the shorter of two scans that must overlap the other: breath-holds can overlap by some slices.
const LEAST_OVERLAP: f64 = 0.5;
/// The part of a series' extent that a scan in it covers at least.
const LEAST_PART: f64 = 0.5;

/// Lowest and highest place along the normal.
fn extent(headers: &[FileHeader], slices: &[Slice]) -> Option<[f64; 2]> {
    let plane = |slice: &Slice| &headers[slice.file].planes[slice.frame];
    let [_, _, normal] = axes(plane(slices.first()?).orientation.as_ref()?).ok()?;
    slices.iter().filter_map(|slice| plane(slice).position_mm).map(|p| dot(p, normal)).fold(None, |range, at| {
        let [low, high] = range.unwrap_or([at, at]);
        Some([low.min(at), high.max(at)])
    })
}

fn together(header: &FileHeader, plane: &Plane, headers: &[FileHeader], other: Slice) -> bool {
    let (other_header, other_plane) = (&headers[other.file], &headers[other.file].planes[other.frame]);
    fn near<const N: usize>(a: Option<[f64; N]>, b: Option<[f64; N]>, tolerance: f64) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
    (header.format.rows, header.format.columns) == (other_header.format.rows, other_header.format.columns)
        && header.localizer == other_header.localizer
        && header.modality == other_header.modality
        && header.derived == other_header.derived
        && header.projection == other_header.projection
        && header.kernel_hash == other_header.kernel_hash
        && plane.apart.kernel == other_plane.apart.kernel
        && near(plane.orientation, other_plane.orientation, 1e-3)
        && near(plane.spacing_mm, other_plane.spacing_mm, 1e-4)
}

/// Puts slices together; `refused` says beforehand why they cannot be used.
fn candidate(headers: &[FileHeader], slices: Vec<Slice>, refused: Option<Error>) -> Candidate {
    let header = &headers[slices[0].file];
    let planes: Vec<Plane> = slices.iter().map(|s| headers[s.file].planes[s.frame]).collect();
    let orientation = orientation(&planes[0]);
    let outcome = match refused {
        Some(error) => Err(error),
        None => usable(headers, &slices, orientation).and_then(|()| stack(&planes)),
    };
    let stacked = outcome.as_ref().ok();
    let spacing_mm = stacked.map(|s| s.spacing_mm);
    let coverage_mm = stacked.map(|s| s.spacing_mm[2] * s.slices.len() as f64);
    let summary = SeriesSummary {
        series_instance_uid: header.series_uid.clone(),
        modality: header.modality.map(str::to_string),
        slices: slices.len(),
        slice_size: [header.format.columns as usize, header.format.rows as usize],
        spacing_mm,
        thickness_mm: header.thickness_mm,
        coverage_mm,
        kernel: header.kernel.clone(),
        contrast: header.contrast,
        orientation,
        lungs: None,
        score: score(header, spacing_mm, coverage_mm, stacked.is_some_and(|s| s.repair.is_none())),
        chosen: false,
        refused: outcome.as_ref().err().map(Error::to_string),
    };
    Candidate { slices, summary, outcome }
}

/// Whether the series can be a CT volume at all, by its headers.
fn usable(headers: &[FileHeader], slices: &[Slice], orientation: Orientation) -> Result<()> {
    let header = &headers[slices[0].file];
    match header.modality {
        Some("CT") => {}
        Some(other) => {
            return Err(Error::Unsupported { detail: format!("modality {other}, not CT") });
        }
        None if header.has_modality => {
            return Err(Error::Unsupported { detail: "a modality that is not CT".into() });
        }
        None if header.foreign_class => {
            return Err(Error::Unsupported { detail: "no modality, and a kind of image that is not CT".into() });
        }
        None => {}
    }
    if header.localizer {
        return Err(Error::NotAVolume { detail: "a localizer (scout view)".into() });
    }
    if header.projection {
        let detail =
            "projections through several slices (MIP, MinIP): their values are not those of the places they lie at";
        return Err(Error::Unsupported { detail: detail.into() });
    }
    if headers_of(headers, slices).any(|(_, h)| h.not_hu) {
        return Err(Error::Unsupported { detail: "values in another unit than Hounsfield".into() });
    }
    for (position, header) in headers_of(headers, slices) {
        pixels::check_format(header).map_err(|error| in_file(error, position, slices.len()))?;
    }
    match orientation {
        Orientation::Coronal | Orientation::Sagittal => Err(Error::Geometry {
            detail: format!("{orientation:?} slices: a reformatted series; axial slices are needed").to_lowercase(),
        }),
        _ => Ok(()),
    }
}

/// The header of each file that the slices are of, once: slices of one file follow each other.
pub(super) fn headers_of<'a>(
    headers: &'a [FileHeader],
    slices: &'a [Slice],
) -> impl Iterator<Item = (usize, &'a FileHeader)> {
    let first = |at: usize| at == 0 || slices[at - 1].file != slices[at].file;
    slices.iter().enumerate().filter(move |(at, _)| first(*at)).map(|(at, slice)| (at, &headers[slice.file]))
}

/// Names the slice in an error, by its position in the sorted listing of the series.
pub(super) fn in_file(error: Error, position: usize, count: usize) -> Error {
    let place = |detail: String| format!("file {} of {count} of the series: {detail}", position + 1);
    match error {
        Error::Corrupt { detail } => Error::Corrupt { detail: place(detail) },
        Error::Unsupported { detail } => Error::Unsupported { detail: place(detail) },
        Error::Geometry { detail } => Error::Geometry { detail: place(detail) },
        other => other,
    }
}

fn orientation(plane: &Plane) -> Orientation {
    let Some(Ok([_, _, normal])) = plane.orientation.as_ref().map(axes) else {
        return Orientation::Unknown;
    };
    let [x, y, z] = normal.map(f64::abs);
    if z >= std::f64::consts::FRAC_1_SQRT_2 {
        Orientation::Axial
    } else if y >= x {
        Orientation::Coronal
    } else {
        Orientation::Sagittal
    }
}

fn score(header: &FileHeader, spacing_mm: Option<[f64; 3]>, coverage_mm: Option<f64>, regular: bool) -> f64 {
    let coverage = 100.0 * (coverage_mm.unwrap_or(0.0) / 250.0).min(1.0);
    let thin = spacing_mm.map_or(0.0, |s| {
        let coarse = s[2].max(header.thickness_mm.unwrap_or(0.0));
        40.0 * (1.0 - ((coarse / 1.5).ln() / 5f64.ln()).clamp(0.0, 1.0))
    });
    let kernel = match header.kernel.as_deref().and_then(class) {
        Some(KernelClass::Soft) => 20.0,
        None => 10.0,
        Some(KernelClass::Sharp) => 0.0,
    };
    let original = if header.derived { 0.0 } else { 20.0 };
    let regular = if regular { 20.0 } else { 0.0 };
    let plain = if header.contrast { 0.0 } else { 5.0 };
    ((coverage + thin + kernel + original + regular + plain) * 10.0).round() / 10.0
}
