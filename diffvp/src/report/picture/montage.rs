//! Slices arranged in one picture.

use std::path::Path;

use embedded_graphics::text::Alignment;
use rayon::prelude::*;

use super::canvas::{Canvas, Size};
use super::heat::{grey, heat, overlay};
use super::planes::{Plane, View, sample};
use crate::report::DifferenceMap;
use crate::{Result, Volume};

const COLUMNS: usize = 4;
const ROWS: usize = 3;
/// Widest side of one slice in pixels.
const TILE: f64 = 300.0;
const GAP: usize = 4;
const TITLE: usize = 28;
const FOOT: usize = 34;
const WHITE: [u8; 3] = [235; 3];
const DIM: [u8; 3] = [160; 3];
const ALARM: [u8; 3] = [255, 196, 0];

/// Writes a montage of axial slices with the difference map over them, as PNG.
///
/// Slices are shown as radiologists look at them (the patient's left on the right, front up) with square
/// pixels in mm, from −1000 to 400 HU. Colours run from the map's median to its 99.9th percentile. Unless the model's
/// manufacturer allows clinical use, the picture says that it is not for it.
///
/// # Errors
/// [`crate::Error::Write`]; nothing is left at `path` then.
pub fn write_map_png(path: impl AsRef<Path>, scan: &Volume, map: &DifferenceMap, clinical_use: bool) -> Result<()> {
    let values = map.on_scan_grid()?;
    // Attention is never quite zero: what lies below the middle of the map is background.
    let (low, high) = (percentile(&values, 0.5), percentile(&values, 0.999));
    let view = View::new(scan, Plane::Axial);
    let size = tile_size(view.extent_mm());
    let [width, height] = size;
    let mut canvas = Canvas::new(COLUMNS * (width + GAP) + GAP, TITLE + ROWS * (height + GAP) + GAP + FOOT);
    let slices = chosen_slices(scan, &view, COLUMNS * ROWS);
    let tiles: Vec<Vec<[u8; 3]>> = slices
        .par_iter()
        .map(|&slice| {
            tile(&view, slice, size, |index| {
                let value = sample(&values, scan.dims(), index);
                let value = if high > low { (value - low) / (high - low) } else { 0.0 };
                overlay(sample(scan.voxels_hu(), scan.dims(), index), value)
            })
        })
        .collect();
    for (position, (slice, pixels)) in slices.iter().zip(&tiles).enumerate() {
        let x = GAP + position % COLUMNS * (width + GAP);
        let y = TITLE + GAP + position / COLUMNS * (height + GAP);
        canvas.blit(x, y, width, pixels);
        canvas.text("R", x + 4, y + height / 2, Size::Small, DIM, Alignment::Left);
        canvas.text("L", x + width - 5, y + height / 2, Size::Small, DIM, Alignment::Right);
        let label = format!("z {:.0} mm", slice_position_mm(scan, &view, *slice));
        canvas.text(&label, x + 4, y + 13, Size::Small, WHITE, Alignment::Left);
    }
    let total = COLUMNS * (width + GAP) + GAP;
    canvas.text("Difference from a normal reference", GAP + 4, 19, Size::Bold, WHITE, Alignment::Left);
    stamp(&mut canvas, total, clinical_use);
    let foot = TITLE + ROWS * (height + GAP) + GAP;
    color_bar(&mut canvas, GAP + 4, foot + 8, low, high);
    canvas.write_png(path.as_ref())
}

/// Writes the three planes through the middle of a volume, as PNG.
///
/// # Errors
/// [`crate::Error::Write`]; nothing is left at `path` then.
pub fn write_preview_png(path: impl AsRef<Path>, scan: &Volume) -> Result<()> {
    let views = [Plane::Axial, Plane::Coronal, Plane::Sagittal].map(|plane| View::new(scan, plane));
    let sizes = views.map(|view| tile_size(view.extent_mm()));
    let width = sizes.iter().map(|size| size[0] + GAP).sum::<usize>() + GAP;
    let height = sizes.iter().map(|size| size[1]).max().unwrap_or(1);
    let mut canvas = Canvas::new(width, height + 2 * GAP);
    let mut x = GAP;
    for ((view, size), name) in views.iter().zip(sizes).zip(["axial", "coronal", "sagittal"]) {
        let pixels =
            tile(view, view.slices() / 2, size, |index| [grey(sample(scan.voxels_hu(), scan.dims(), index)); 3]);
        canvas.blit(x, GAP, size[0], &pixels);
        canvas.text(name, x + 4, GAP + 13, Size::Small, WHITE, Alignment::Left);
        let (left, right) = if name == "sagittal" { ("A", "P") } else { ("R", "L") };
        canvas.text(left, x + 4, GAP + size[1] / 2, Size::Small, DIM, Alignment::Left);
        canvas.text(right, x + size[0] - 5, GAP + size[1] / 2, Size::Small, DIM, Alignment::Right);
        x += size[0] + GAP;
    }
    canvas.write_png(path.as_ref())
}

/// Pixels of a slice whose longer side is [`TILE`]; square in mm, and never thinner than a line of text.
fn tile_size([width_mm, height_mm]: [f64; 2]) -> [usize; 2] {
    let scale = TILE / width_mm.max(height_mm);
    [width_mm, height_mm].map(|mm| ((mm * scale).round() as usize).max(24))
}

pub(super) fn tile(view: &View, slice: usize, size: [usize; 2], color: impl Fn([f64; 3]) -> [u8; 3]) -> Vec<[u8; 3]> {
    let [width, height] = size;
    (0..width * height).map(|pixel| color(view.index(slice, pixel % width, pixel / width, size))).collect()
}

/// Slices spread evenly over those that hold more than air, from the head down.
fn chosen_slices(scan: &Volume, view: &View, count: usize) -> Vec<usize> {
    const PROBE: [usize; 2] = [48, 48];
    let tissue: Vec<usize> = (0..view.slices())
        .filter(|&slice| {
            let values = tile(view, slice, PROBE, |index| [grey(sample(scan.voxels_hu(), scan.dims(), index)); 3]);
            // One pixel in fifty above −300 HU.
            values.iter().filter(|[v, ..]| *v > grey(-300.0)).count() * 50 > values.len()
        })
        .collect();
    let (first, last) = match (tissue.first(), tissue.last()) {
        (Some(&first), Some(&last)) => (first, last),
        _ => (0, view.slices() - 1),
    };
    let step = (last - first) as f64 / count as f64;
    (0..count).map(|i| (last as f64 - (i as f64 + 0.5) * step).round() as usize).collect()
}

/// Height (LPS z) of the middle of a slice.
fn slice_position_mm(scan: &Volume, view: &View, slice: usize) -> f64 {
    let index = view.index(slice, 0, 0, [1, 1]);
    let (direction, spacing) = (scan.direction(), scan.spacing_mm());
    scan.origin_mm()[2] + (0..3).map(|a| direction[2][a] * spacing[a] * index[a]).sum::<f64>()
}

fn color_bar(canvas: &mut Canvas, x: usize, y: usize, low: f32, high: f32) {
    const WIDTH: usize = 200;
    for column in 0..WIDTH {
        let color = heat(column as f32 / (WIDTH - 1) as f32).map(|c| c as u8);
        for row in 0..14 {
            canvas.set(x + column, y + row, color);
        }
    }
    let label =
        format!("{low:.2e} to {high:.2e}: median to 99.9th percentile of token importance carried by attention");
    canvas.text(&label, x + WIDTH + 10, y + 11, Size::Small, WHITE, Alignment::Left);
}

fn stamp(canvas: &mut Canvas, width: usize, clinical_use: bool) {
    if !clinical_use {
        canvas.text("NOT FOR CLINICAL USE", width - 8, 19, Size::Bold, ALARM, Alignment::Right);
    }
}

/// The value below which the given share of the positive values lies; 0 without any.
fn percentile(values: &[f32], share: f64) -> f32 {
    let mut positive: Vec<f32> = values.iter().copied().filter(|v| *v > 0.0).collect();
    if positive.is_empty() {
        return 0.0;
    }
    let rank = ((positive.len() - 1) as f64 * share).round() as usize;
    *positive.select_nth_unstable_by(rank, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::GridMap;

    fn decode(path: &Path) -> (u32, u32, Vec<u8>) {
        let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        (info.width, info.height, bytes)
    }

    #[test]
    fn pictures_of_flat_and_tiny_volumes_are_written() {
        let dir = tempfile::tempdir().unwrap();
        for dims in [[1, 1, 1], [40, 3, 2], [4, 30, 25]] {
            let unit = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            let values = vec![-50.0; dims.iter().product()];
            let scan = Volume::new(values, dims, [0.5, 2.0, 7.0], [0.0; 3], unit).unwrap();
            let grid = GridMap { source_axis: [2, 1, 0], scale: [1.0; 3], offset: [0.0; 3] };
            let input = [dims[2], dims[1], dims[0]];
            let map = DifferenceMap::new(&[1.0], &[0.5], [1, 1, 1], input, grid, &scan).unwrap();
            let path = dir.path().join("map.png");
            write_map_png(&path, &scan, &map, false).unwrap();
            let (width, height, bytes) = decode(&path);
            assert!(width <= 1600 && height <= 1600);
            assert!(bytes.chunks_exact(3).any(|pixel| pixel == ALARM), "the stamp is missing");
            write_map_png(&path, &scan, &map, true).unwrap();
            assert!(!decode(&path).2.chunks_exact(3).any(|pixel| pixel == ALARM));
            write_preview_png(&path, &scan).unwrap();
            assert!(decode(&path).0 <= 1600);
        }
    }

    #[test]
    fn an_unwritable_place_is_an_error() {
        let unit = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let scan = Volume::new(vec![0.0], [1, 1, 1], [1.0; 3], [0.0; 3], unit).unwrap();
        let error = write_preview_png("/nonexistent-folder/picture.png", &scan).unwrap_err();
        assert!(matches!(error, crate::Error::Write { .. }), "{error:?}");
    }
}
