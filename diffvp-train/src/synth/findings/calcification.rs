//! Calcium in the walls of the aorta and of the coronary arteries.

use super::{Lesion, Planned, Stage, finding};
use crate::synth::anatomy::Anatomy;
use crate::synth::random::Draw;
use crate::synth::shapes::{Segment, V, add, dot, sub, unit};

/// Strokes of calcium or metal.
pub(super) struct Strokes {
    pub(super) segments: Vec<Segment>,
    pub(super) hu: f64,
}

impl Lesion for Strokes {
    fn paint(&self, stage: &mut Stage<'_>) {
        for segment in &self.segments {
            stage.canvas.paint_segment(segment, self.hu);
        }
    }
}

/// Plaques of the arch and the descending aorta. The size is the length of the longest plaque.
pub(super) fn arterial(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    let aorta = &anatomy.mediastinum.aorta.0;
    let count = 3 + draw.below(9);
    let mut segments = Vec::new();
    let mut longest = (0.0, [0.0; 3]);
    for _ in 0..count {
        // Pieces 2 to 6 are the arch and the descending part in the chest.
        let piece = aorta[2 + draw.below(5)];
        let axis = unit(sub(piece.to, piece.from));
        let random = draw.direction();
        let across = unit(sub(random, axis.map(|a| a * dot(random, axis))));
        let t = draw.uniform(0.15, 0.85);
        let radius = piece.radii[0] + t * (piece.radii[1] - piece.radii[0]);
        let on_wall = add(add(piece.from, sub(piece.to, piece.from), t), across, radius - 0.5);
        let half = draw.uniform(2.0, 8.0);
        let plaque = Segment::new(add(on_wall, axis, -half), add(on_wall, axis, half), draw.uniform(1.3, 2.4));
        let size_mm = anatomy.distance_mm(plaque.from, plaque.to);
        if size_mm > longest.0 {
            longest = (size_mm, on_wall);
        }
        segments.push(plaque);
    }
    let hu = draw.uniform(600.0, 1000.0);
    let kind = if count > 7 { "extensive plaques" } else { "plaques" };
    Planned {
        finding: finding("Arterial wall calcification", kind, (None, None), longest.0, anatomy, longest.1),
        lesion: Some(Box::new(Strokes { segments, hu })),
    }
}

/// Plaques along one to three coronary arteries. The size is the length of the longest plaque.
pub(super) fn coronary(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    // Start and end on the heart, as directions in its own frame: +x to the apex, −y to the front, +z up.
    let vessels: [(&str, [V; 2]); 3] = [
        ("left anterior descending artery", [[0.1, -0.5, 0.86], [0.75, -0.6, 0.2]]),
        ("right coronary artery", [[-0.35, -0.75, 0.55], [-0.5, -0.75, -0.35]]),
        ("circumflex artery", [[0.3, 0.3, 0.85], [0.5, 0.75, 0.1]]),
    ];
    let heart = &anatomy.mediastinum.heart;
    let several = draw.chance(0.5);
    let (kind, chosen) = if several {
        ("coronary arteries", &vessels[..])
    } else {
        let i = draw.below(vessels.len());
        (vessels[i].0, &vessels[i..=i])
    };
    let mut segments = Vec::new();
    let mut longest = (0.0, [0.0; 3]);
    for (_, [from, to]) in chosen {
        for _ in 0..2 + draw.below(4) {
            let t = draw.uniform(0.0, 0.8);
            let end = t + draw.uniform(0.06, 0.2);
            let at = |t: f64| add(heart.surface(unit(add(*from, sub(*to, *from), t))), [0.0; 3], 0.0);
            let plaque = Segment::new(at(t), at(end), draw.uniform(1.1, 1.9));
            let size_mm = anatomy.distance_mm(plaque.from, plaque.to);
            if size_mm > longest.0 {
                longest = (size_mm, plaque.from);
            }
            segments.push(plaque);
        }
    }
    let hu = draw.uniform(550.0, 900.0);
    Planned {
        finding: finding("Coronary artery wall calcification", kind, (None, None), longest.0, anatomy, longest.1),
        lesion: Some(Box::new(Strokes { segments, hu })),
    }
}
