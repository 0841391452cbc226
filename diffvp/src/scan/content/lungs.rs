//! Whether the volume shows a chest: lungs inside a body, and enough of them.
//!
//! Lung is what has the density of aerated lung, is enclosed by tissue within its slice, and is more than a seam:
//! bowel gas is thinner, air beside the body, foam of the table and the gap between the legs are open. The rules
//! about extent tell a chest from an abdomen, which shows the lungs' lower end, and a neck, which shows the upper.

use super::Lungs;
use super::coarse::Coarse;

/// Aerated lung, from emphysema to ground glass, in HU.
const LUNG_HU: std::ops::RangeInclusive<f32> = -965.0..=-350.0;
/// Air that reaches the edge of the picture below this is outside the body, in HU.
const OUTSIDE_HU: f32 = -930.0;
/// Share of the body's area at which a slice counts as one with lung.
const SLICE_SHARE: f64 = 0.1;
/// Largest share that a chest must reach: with lung on both sides, and with one lung alone.
const CHEST_SHARE: f64 = 0.12;
const ONE_LUNG_SHARE: f64 = 0.2;
/// Largest area of lung that a slice of a chest must reach, in cm².
const CHEST_CM2: f64 = 15.0;
/// A lung is cut off if its share in the last slice is more than this part of the largest.
const CUT: f64 = 0.4;
/// Height of lung that only a chest shows, in mm: more than half of an adult's.
const CHEST_HEIGHT_MM: f64 = 150.0;
/// Otherwise lungs that are cut off must fill this part of the volume's height, with this mean share.
const CHEST_PART: f64 = 0.5;
const CHEST_MEAN_SHARE: f64 = 0.2;

/// Lungs larger than any patient's, in ml and mm: then the spacing cannot be right.
const MOST_ML: f64 = 16_000.0;
const MOST_HEIGHT_MM: f64 = 500.0;

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Tissue,
    /// Air that is connected with the edge of the slice.
    Outside,
    /// Other air: lung, gas, foam, lung that the edge of the picture cuts.
    Air,
}

/// One axial slice.
struct Slice {
    lung: [usize; 2],
    body: usize,
}

impl Slice {
    fn share(&self) -> f64 {
        (self.lung[0] + self.lung[1]) as f64 / self.body.max(1) as f64
    }
}

/// Finds the lungs, and says why the volume is not a chest if it is none.
pub(super) fn find(coarse: &Coarse) -> (Lungs, Option<String>) {
    let [width, height, depth] = coarse.dims;
    let slices: Vec<Slice> = coarse.values.chunks(width * height).map(|values| slice(values, width, height)).collect();
    let cell_ml = coarse.cell_mm.iter().product::<f64>() / 1000.0;
    let cell_cm2 = coarse.cell_mm[0] * coarse.cell_mm[1] / 100.0;
    let area = |s: &Slice| (s.lung[0] + s.lung[1]) as f64 * cell_cm2;
    let Some(most) = (0..depth).max_by(|a, b| area(&slices[*a]).total_cmp(&area(&slices[*b]))) else {
        return (Lungs::default(), Some("the volume is empty".into()));
    };
    // The slices with lung around the one with most of it; a single slice without may lie between.
    let with_lung = |z: usize| slices[z].share() >= SLICE_SHARE;
    let (mut first, mut last) = (most, most);
    while let Some(next) = (first.saturating_sub(2)..first).rev().find(|z| with_lung(*z)) {
        first = next;
    }
    while let Some(next) = (last + 1..(last + 3).min(depth)).find(|z| with_lung(*z)) {
        last = next;
    }
    let lungs_only = &slices[first..=last];
    let largest = lungs_only.iter().map(Slice::share).fold(0.0, f64::max);
    let sides: [f64; 2] = std::array::from_fn(|side| lungs_only.iter().map(|s| s.lung[side] as f64 * cell_ml).sum());
    let span_mm = (last - first + 1) as f64 * coarse.cell_mm[2];
    let total_mm = depth as f64 * coarse.cell_mm[2];
    let lungs = Lungs {
        right_left_ml: sides.map(f64::round),
        largest_share: (1000.0 * largest).round() / 1000.0,
        height_mm: span_mm.round(),
        cut_above: last + 1 == depth && slices[last].share() > CUT * largest,
        cut_below: first == 0 && slices[first].share() > CUT * largest,
    };
    let ml = sides[0] + sides[1];
    if ml > MOST_ML || span_mm > MOST_HEIGHT_MM {
        let why = format!(
            "the lungs would hold {:.1} litres and be {span_mm:.0} mm high, larger than any patient's: the spacing between voxels cannot be right",
            ml / 1000.0
        );
        return (lungs, Some(why));
    }
    let mean = lungs_only.iter().map(Slice::share).sum::<f64>() / lungs_only.len() as f64;
    let both = sides[0].min(sides[1]) >= 0.15 * (sides[0] + sides[1]);
    let needed = if both { CHEST_SHARE } else { ONE_LUNG_SHARE };
    if largest < needed || area(&slices[most]) < CHEST_CM2 {
        let why = format!(
            "no lungs: aerated lung fills at most {:.0} % of the body's cross-section ({:.0} cm²), a chest has at least {:.0} %",
            100.0 * largest,
            area(&slices[most]),
            100.0 * needed
        );
        return (lungs, Some(why));
    }
    if (lungs.cut_above || lungs.cut_below)
        && span_mm < CHEST_HEIGHT_MM
        && (span_mm < CHEST_PART * total_mm || mean < CHEST_MEAN_SHARE)
    {
        let end = match (lungs.cut_above, lungs.cut_below) {
            (true, false) => "at the end towards the head",
            (false, true) => "at the end towards the feet",
            _ => "at both ends",
        };
        let why = format!(
            "only a part of the lungs is shown {end}, {span_mm:.0} mm in a scan of {total_mm:.0} mm with {:.0} % of the body's cross-section: an abdomen or a neck",
            100.0 * mean
        );
        return (lungs, Some(why));
    }
    (lungs, None)
}

/// Lung on the patient's right and left, and the area of the body, in cells.
fn slice(values: &[f32], width: usize, height: usize) -> Slice {
    let cells = classify(values, width, height);
    let enclosed = enclosed(&cells, width, height);
    let air = |x: isize, y: isize| {
        let inside = (0..width as isize).contains(&x) && (0..height as isize).contains(&y);
        // Beyond the edge nothing is known: a lung that is cut off goes on there.
        !inside || cells[y as usize * width + x as usize] == Cell::Air
    };
    const NEIGHBOURS: [[isize; 2]; 4] = [[-1, 0], [1, 0], [0, -1], [0, 1]];
    let core: Vec<bool> = (0..values.len())
        .map(|i| {
            let (x, y) = ((i % width) as isize, (i / width) as isize);
            enclosed[i] && LUNG_HU.contains(&values[i]) && NEIGHBOURS.iter().all(|[dx, dy]| air(x + dx, y + dy))
        })
        .collect();
    let (mut tissue, mut columns) = (0, 0);
    for (i, _) in cells.iter().enumerate().filter(|(_, c)| **c == Cell::Tissue) {
        tissue += 1;
        columns += i % width;
    }
    let middle = columns as f64 / tissue.max(1) as f64;
    let mut found = Slice { lung: [0; 2], body: tissue };
    for i in (0..values.len()).filter(|i| enclosed[*i]) {
        found.body += 1;
        let (x, y) = (i % width, i / width);
        let near = core[i]
            || (x > 0 && core[i - 1])
            || (x + 1 < width && core[i + 1])
            || (y > 0 && core[i - width])
            || (y + 1 < height && core[i + width]);
        if near && LUNG_HU.contains(&values[i]) {
            // x runs to the left.
            found.lung[(x as f64 > middle) as usize] += 1;
        }
    }
    found
}

fn classify(values: &[f32], width: usize, height: usize) -> Vec<Cell> {
    let mut cells: Vec<Cell> =
        values.iter().map(|v| if *v > *LUNG_HU.end() { Cell::Tissue } else { Cell::Air }).collect();
    let edge = |i: &usize| {
        let (x, y) = (i % width, i / width);
        x == 0 || y == 0 || x + 1 == width || y + 1 == height
    };
    let mut pending: Vec<usize> = (0..values.len()).filter(edge).collect();
    while let Some(i) = pending.pop() {
        if cells[i] != Cell::Air || values[i] > OUTSIDE_HU {
            continue;
        }
        cells[i] = Cell::Outside;
        let (x, y) = (i % width, i / width);
        pending.extend((x > 0).then(|| i - 1));
        pending.extend((x + 1 < width).then(|| i + 1));
        pending.extend((y > 0).then(|| i - width));
        pending.extend((y + 1 < height).then(|| i + width));
    }
    cells
}

/// Air with tissue on at least two of its four sides and the outside on none, or tissue on three. Where the edge
/// of the picture comes first, a side is neither.
fn enclosed(cells: &[Cell], width: usize, height: usize) -> Vec<bool> {
    let mut tissue = vec![0u8; cells.len()];
    let mut open = vec![0u8; cells.len()];
    let mut walk = |places: &mut dyn Iterator<Item = usize>| {
        let mut last = None;
        for i in places {
            match cells[i] {
                Cell::Air => {
                    tissue[i] += (last == Some(Cell::Tissue)) as u8;
                    open[i] += (last == Some(Cell::Outside)) as u8;
                }
                other => last = Some(other),
            }
        }
    };
    for y in 0..height {
        walk(&mut (y * width..(y + 1) * width));
        walk(&mut (y * width..(y + 1) * width).rev());
    }
    for x in 0..width {
        walk(&mut (0..height).map(|y| y * width + x));
        walk(&mut (0..height).rev().map(|y| y * width + x));
    }
    (0..cells.len()).map(|i| cells[i] == Cell::Air && ((tissue[i] >= 2 && open[i] == 0) || tissue[i] >= 3)).collect()
}
