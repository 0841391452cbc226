//! Fluid in the pleural space.

use super::{Lesion, Planned, Stage, finding, side};
use crate::synth::anatomy::Anatomy;
use crate::synth::lungs::Side;
use crate::synth::random::Draw;
use crate::synth::shapes::{Bounds, V, smooth_step};

struct Effusion {
    side: Side,
    /// y of the fluid's surface at the base, in standard mm.
    surface: f64,
    /// y of the back of the lung.
    back: f64,
    /// Height to which the fluid rises along the back.
    top: f64,
    hu: f64,
}

impl Lesion for Effusion {
    fn paint(&self, stage: &mut Stage<'_>) {
        let (anatomy, edge) = (stage.anatomy, stage.canvas.edge());
        let low = if self.side == Side::Right { -140.0 } else { 0.0 };
        let bounds = Bounds { low: [low, -100.0, -200.0], high: [low + 140.0, 100.0, 130.0] };
        stage.visit_lung(bounds, |p, _, value| {
            let fall = 1.0 - smooth_step(-60.0, self.top, p[2]);
            let meniscus = 5.0 * smooth_step(-14.0, -2.5, anatomy.lungs.cage(p)) * fall;
            let surface = self.back - (self.back - self.surface) * fall - meniscus;
            let part = (0.5 + (p[1] - surface) / edge).clamp(0.0, 1.0);
            if fall <= 0.0 || part <= 0.0 {
                return 0.0;
            }
            *value += ((self.hu - f64::from(*value)) * part) as f32;
            part
        });
    }

    fn covers(&self, p: V) -> bool {
        let fall = 1.0 - smooth_step(-60.0, self.top, p[2]);
        Side::of(p) == self.side && p[1] + 8.0 > self.back - (self.back - self.surface) * fall
    }
}

/// Free fluid on one side or both. The size is the largest depth from front to back.
pub(super) fn effusion(draw: &mut Draw, anatomy: &Anatomy) -> Vec<Planned> {
    let sides = if draw.chance(0.4) { vec![Side::Right, Side::Left] } else { vec![side(draw)] };
    let mut planned = Vec::new();
    for side in sides {
        let depth_mm = draw.uniform(12.0, 62.0);
        let back = back_of_lung(anatomy, side.sign() * 58.0, -70.0);
        let surface = back - depth_mm / anatomy.scale[1];
        let top = -30.0 + 1.6 * depth_mm;
        let kind = match depth_mm {
            d if d < 22.0 => "minimal",
            d if d < 42.0 => "moderate",
            _ => "large",
        };
        let position = [side.sign() * 58.0, back - 4.0, -70.0];
        planned.push(Planned {
            finding: finding("Pleural effusion", kind, (Some(side), None), depth_mm, anatomy, position),
            lesion: Some(Box::new(Effusion { side, surface, back, top, hu: draw.uniform(2.0, 18.0) })),
        });
    }
    planned
}

/// y of the back of the lung at a place.
fn back_of_lung(anatomy: &Anatomy, x: f64, z: f64) -> f64 {
    let (mut inside, mut outside) = (40.0, 110.0);
    for _ in 0..24 {
        let middle = 0.5 * (inside + outside);
        if anatomy.lungs.distance([x, middle, z]) < 0.0 { inside = middle } else { outside = middle }
    }
    inside
}
