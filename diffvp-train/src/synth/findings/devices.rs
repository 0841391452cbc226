//! Medical material: pacemaker, central venous catheter, sternal wires.

use super::calcification::Strokes;
use super::{Lesion, Planned, Stage, finding, side};
use crate::synth::anatomy::Anatomy;
use crate::synth::lungs::Side;
use crate::synth::random::Draw;
use crate::synth::shapes::{Ellipsoid, Segment, Tube, V, add};

struct Pacemaker {
    can: Ellipsoid,
    lead: Tube,
}

impl Lesion for Pacemaker {
    fn paint(&self, stage: &mut Stage<'_>) {
        stage.canvas.paint(self.can.bounds(4.0), 3000.0, |p| self.can.distance(p));
        for piece in &self.lead.0 {
            stage.canvas.paint_segment(piece, 2600.0);
        }
    }
}

/// One device. The size is its longest extent (pacemaker), its length (catheter) or its width (wires).
pub(super) fn plan(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    match draw.below(3) {
        0 => pacemaker(draw, anatomy),
        1 => catheter(draw, anatomy),
        _ => wires(anatomy),
    }
}

fn pacemaker(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    let side = if draw.chance(0.85) { Side::Left } else { Side::Right };
    let (x, z) = (side.sign() * 82.0, 72.0);
    let centre = [x, anatomy.body.front(x, z) + 11.0, z];
    let can = Ellipsoid { centre, radii: [24.0, 6.0, 21.0], turn: side.sign() * -0.45 };
    let cava = &anatomy.mediastinum.cava.0;
    let heart = &anatomy.mediastinum.heart;
    let lead = Tube::through(&[
        (centre, 1.3),
        (add(centre, [-side.sign() * 14.0, 14.0, 30.0], 1.0), 1.3),
        ([side.sign() * 36.0, -28.0, 94.0], 1.3),
        (cava[1].to, 1.3),
        (cava[0].from, 1.3),
        (add(heart.centre, [-18.0, 0.0, -8.0], 1.0), 1.3),
        (add(heart.centre, [14.0, -18.0, -20.0], 1.0), 1.3),
    ]);
    let size_mm = 48.0 * anatomy.scale[0];
    Planned {
        finding: finding("Medical material", "pacemaker", (Some(side), None), size_mm, anatomy, centre),
        lesion: Some(Box::new(Pacemaker { can, lead })),
    }
}

fn catheter(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    let side = side(draw);
    let cava = &anatomy.mediastinum.cava.0;
    let tip = cava[0].from;
    let mut points: Vec<V> = vec![[side.sign() * 88.0, -30.0, 92.0], [side.sign() * 50.0, -26.0, 104.0]];
    points.extend([cava[1].to, cava[1].from, tip]);
    let segments: Vec<Segment> = points.windows(2).map(|w| Segment::new(w[0], w[1], 1.5)).collect();
    let size_mm = segments.iter().map(|s| anatomy.distance_mm(s.from, s.to)).sum();
    Planned {
        finding: finding("Medical material", "central venous catheter", (Some(side), None), size_mm, anatomy, tip),
        lesion: Some(Box::new(Strokes { segments, hu: 1400.0 })),
    }
}

fn wires(anatomy: &Anatomy) -> Planned {
    let mut segments = Vec::new();
    for i in 0..5 {
        let z = -55.0 + 22.0 * f64::from(i);
        let y = crate::synth::skeleton::sternum_y(&anatomy.lungs, z);
        let ring: Vec<V> = (0..=12)
            .map(|k| {
                let (s, c) = (f64::from(k) * std::f64::consts::TAU / 12.0).sin_cos();
                [19.0 * c, y + 8.0 * s, z + 2.0 * s]
            })
            .collect();
        segments.extend(ring.windows(2).map(|w| Segment::new(w[0], w[1], 0.8)));
    }
    let at = [0.0, crate::synth::skeleton::sternum_y(&anatomy.lungs, -11.0), -11.0];
    let size_mm = 39.6 * anatomy.scale[0];
    Planned {
        finding: finding("Medical material", "sternal wires", (None, None), size_mm, anatomy, at),
        lesion: Some(Box::new(Strokes { segments, hu: 2800.0 })),
    }
}
