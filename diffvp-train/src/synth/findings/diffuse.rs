//! Findings that run through much of both lungs: emphysema, mosaic attenuation, septal thickening.

use super::{Lesion, Planned, Stage, finding};
use crate::synth::anatomy::Anatomy;
use crate::synth::lungs::Side;
use crate::synth::noise::Lattice;
use crate::synth::random::Draw;
use crate::synth::shapes::{Bounds, V, smooth_step};

struct Emphysema {
    holes: Vec<(V, f64)>,
    loss: f64,
}

impl Lesion for Emphysema {
    fn paint(&self, stage: &mut Stage<'_>) {
        stage.visit_lung(Bounds::ALL, |p, _, value| {
            if *value < -600.0 {
                *value = (f64::from(*value) - self.loss * smooth_step(-80.0, 20.0, p[2])).max(-990.0) as f32;
            }
            // What counts as emphysema are the holes.
            0.0
        });
        let scale = stage.anatomy.mean_scale();
        for (centre, radius_mm) in &self.holes {
            let radius = radius_mm / scale;
            let distance = |p: V| crate::synth::shapes::length(crate::synth::shapes::sub(p, *centre)) - radius;
            if *radius_mm > 7.0 {
                stage.canvas.paint(Bounds::around(*centre, radius + 6.0), -700.0, |p| distance(p) - 1.0);
            }
            stage.canvas.paint(Bounds::around(*centre, radius + 6.0), -988.0, distance);
        }
    }
}

/// Centrilobular holes mostly in the upper zones, or with bullae. The size is the largest hole's diameter.
pub(super) fn emphysema(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    let bullous = draw.chance(0.35);
    let count = 60 + draw.below(180);
    let mut holes = Vec::new();
    for i in 0..count {
        let side = if i % 2 == 0 { Side::Right } else { Side::Left };
        let radius_mm = if bullous && i < 6 { draw.uniform(9.0, 20.0) } else { draw.uniform(2.2, 5.0) };
        let lowest = draw.uniform(-90.0, 60.0);
        if let Some(p) = anatomy.lung_point(draw, side, radius_mm * 0.85, |p| p[2] > lowest) {
            holes.push((p, radius_mm));
        }
    }
    let largest = holes.iter().copied().fold(([0.0, 0.0, 60.0], 0.0), |a, b| if b.1 > a.1 { b } else { a });
    let kind = if largest.1 > 7.0 { "bullous emphysema" } else { "centrilobular emphysema" };
    let loss = draw.uniform(35.0, 70.0);
    Planned {
        finding: finding("Emphysema", kind, (None, None), 2.0 * largest.1, anatomy, largest.0),
        lesion: Some(Box::new(Emphysema { holes, loss })),
    }
}

struct Mosaic {
    field: Lattice,
    contrast: f64,
}

impl Lesion for Mosaic {
    fn paint(&self, stage: &mut Stage<'_>) {
        stage.visit_lung(Bounds::ALL, |p, _, value| {
            if *value >= -500.0 {
                return 0.0;
            }
            let dense = smooth_step(-0.12, 0.12, self.field.at(p));
            *value = (f64::from(*value) + self.contrast * (dense - 0.35)).max(-985.0) as f32;
            1.0 - dense
        });
    }
}

/// Lighter and darker areas side by side in both lungs. The size is the grain of the pattern.
pub(super) fn mosaic(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    let grain = draw.uniform(22.0, 34.0);
    let (field, contrast) = (Lattice::draw(draw, grain), draw.uniform(110.0, 170.0));
    let size_mm = grain * anatomy.mean_scale();
    Planned {
        finding: finding(
            "Mosaic attenuation pattern",
            "mosaic attenuation",
            (None, None),
            size_mm,
            anatomy,
            [0.0, 0.0, -20.0],
        ),
        lesion: Some(Box::new(Mosaic { field, contrast })),
    }
}

struct Septa {
    fields: [Lattice; 2],
}

impl Lesion for Septa {
    fn paint(&self, stage: &mut Stage<'_>) {
        stage.visit_lung(Bounds::ALL, |p, depth, value| {
            let zone = (1.0 - smooth_step(14.0, 34.0, depth)) * (1.0 - 0.6 * smooth_step(-40.0, 80.0, p[2]));
            if zone <= 0.02 || *value >= -300.0 {
                return 0.0;
            }
            // Where a smooth field changes sign it draws a net of thin lines.
            let line = self.fields.iter().map(|f| 1.0 - (f.at(p).abs() / 0.2).min(1.0)).fold(0.0, f64::max);
            *value += (380.0 * zone * line) as f32;
            zone * line
        });
    }
}

/// A net of lines under the pleura of both lungs, most at the bases. The size is the spacing of the lines.
pub(super) fn septal_thickening(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    let fields = [Lattice::draw(draw, 13.0), Lattice::draw(draw, 10.0)];
    let size_mm = 12.0 * anatomy.mean_scale();
    Planned {
        finding: finding(
            "Interlobular septal thickening",
            "interlobular septal thickening",
            (None, None),
            size_mm,
            anatomy,
            [0.0, 0.0, -60.0],
        ),
        lesion: Some(Box::new(Septa { fields })),
    }
}
