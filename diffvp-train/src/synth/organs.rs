//! The organ that each voxel of a phantom belongs to: what an encoder is pretrained on.

use super::anatomy::Anatomy;
use super::canvas::Canvas;
use super::lungs::{Lobe, Side};

/// Folder of the organ masks in a data set, `{name}.nii.gz` each on the grid of its scan.
pub const ORGANS_FOLDER: &str = "organs";

/// Classes of an organ mask; the voxel value is the position. Later ones lie over earlier ones.
pub const ORGANS: [&str; 12] = [
    "background",
    "body",
    "right upper lobe",
    "right middle lobe",
    "right lower lobe",
    "left upper lobe",
    "left lower lobe",
    "below the diaphragm",
    "heart",
    "aorta",
    "great vessels",
    "oesophagus",
];

/// Class of every voxel, in the order of the canvas. `lung` is the distance to the lung of every voxel.
pub(super) fn classes(canvas: &mut Canvas, anatomy: &Anatomy, lung: &[f32]) -> Vec<u8> {
    let mut classes = vec![0u8; lung.len()];
    let (lungs, mediastinum) = (&anatomy.lungs, &anatomy.mediastinum);
    canvas.visit(super::shapes::Bounds::ALL, |index, p, _| {
        let chest = lungs.cage(p) < 0.0;
        classes[index] = if mediastinum.oesophagus.distance(p) < 0.0 {
            11
        } else if mediastinum.aorta.distance(p) < 0.0 {
            9
        } else if mediastinum.heart.distance(p) < mediastinum.pericardial_mm && p[2] > lungs.diaphragm(p[0], p[1]) {
            8
        } else if mediastinum.cava.distance(p) < 0.0 || mediastinum.great_vessels(p) < 0.0 {
            10
        } else if lung[index] < 0.0 {
            match (Side::of(p), lungs.lobe(p)) {
                (Side::Right, Lobe::Upper) => 2,
                (Side::Right, Lobe::Middle) => 3,
                (Side::Right, Lobe::Lower) => 4,
                (Side::Left, Lobe::Lower) => 6,
                (Side::Left, _) => 5,
            }
        } else if chest && p[2] < lungs.diaphragm(p[0], p[1]) {
            7
        } else if anatomy.body.holds(p) {
            1
        } else {
            0
        };
    });
    classes
}
