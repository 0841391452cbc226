//! Many scans on one picture.

use std::path::Path;

use embedded_graphics::text::Alignment;
use rayon::prelude::*;

use super::canvas::{Canvas, Size};
use super::heat::grey;
use super::montage::tile;
use super::planes::{Plane, View, sample};
use crate::{Result, Volume};

const COLUMNS: usize = 4;
const TILE: usize = 240;
const GAP: usize = 4;
const LINE: usize = 14;
const TEXT: [u8; 3] = [200; 3];

/// Writes a picture that shows of each scan an axial slice at 55 % of its height and the middle coronal slice, four
/// scans in a row, with lines of text below each.
///
/// # Errors
/// [`crate::Error::Write`]; nothing is left at `path` then.
pub fn write_contact_sheet_png(path: impl AsRef<Path>, scans: &[(&Volume, Vec<String>)]) -> Result<()> {
    let lines = scans.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
    let [cell_width, cell_height] = [TILE + GAP, 2 * (TILE + GAP) + lines * LINE + GAP];
    let rows = scans.len().div_ceil(COLUMNS).max(1);
    let mut canvas = Canvas::new(COLUMNS * cell_width + GAP, rows * cell_height + GAP);
    let tiles: Vec<[Vec<[u8; 3]>; 2]> = scans
        .par_iter()
        .map(|(scan, _)| [(Plane::Axial, 0.55), (Plane::Coronal, 0.5)].map(|(plane, at)| slice(scan, plane, at)))
        .collect();
    for (index, ((_, text), tiles)) in scans.iter().zip(&tiles).enumerate() {
        let (x, y) = (GAP + index % COLUMNS * cell_width, GAP + index / COLUMNS * cell_height);
        for (row, pixels) in tiles.iter().enumerate() {
            canvas.blit(x, y + row * (TILE + GAP), TILE, pixels);
        }
        for (line, text) in text.iter().enumerate() {
            let below = y + 2 * (TILE + GAP) + (line + 1) * LINE - 3;
            canvas.text(text, x + 2, below, Size::Small, TEXT, Alignment::Left);
        }
    }
    canvas.write_png(path.as_ref())
}

/// One slice, square in mm in the middle of a square tile.
fn slice(scan: &Volume, plane: Plane, at: f64) -> Vec<[u8; 3]> {
    let view = View::new(scan, plane);
    let [width_mm, height_mm] = view.extent_mm();
    let scale = TILE as f64 / width_mm.max(height_mm);
    let size = [width_mm, height_mm].map(|mm| ((mm * scale).round() as usize).clamp(1, TILE));
    let number = ((view.slices() - 1) as f64 * at).round() as usize;
    let inner = tile(&view, number, size, |index| [grey(sample(scan.voxels_hu(), scan.dims(), index)); 3]);
    let mut pixels = vec![[0; 3]; TILE * TILE];
    let [left, top] = size.map(|side| (TILE - side) / 2);
    for (row, line) in inner.chunks_exact(size[0]).enumerate() {
        pixels[(top + row) * TILE + left..][..size[0]].copy_from_slice(line);
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_of_any_shape_fit() {
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let volume = |dims: [usize; 3]| {
            let voxels = vec![-500.0; dims.iter().product()];
            Volume::new(voxels, dims, [1.0, 1.0, 7.0], [0.0; 3], axes).unwrap()
        };
        let scans = [volume([3, 40, 2]), volume([40, 3, 30]), volume([2, 2, 2])];
        let shown: Vec<(&Volume, Vec<String>)> = scans.iter().map(|v| (v, vec!["a line".to_owned()])).collect();
        let folder = tempfile::tempdir().unwrap();
        write_contact_sheet_png(folder.path().join("sheet.png"), &shown).unwrap();
        write_contact_sheet_png(folder.path().join("none.png"), &[]).unwrap();
        let bytes = std::fs::read(folder.path().join("sheet.png")).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
    }
}
