//! Focal findings of the lungs: nodules, ground glass, consolidation, bands and scars.

use super::{Lesion, Planned, Stage, finding, side};
use crate::synth::anatomy::Anatomy;
use crate::synth::lungs::{Lobe, Side};
use crate::synth::noise::Lattice;
use crate::synth::random::Draw;
use crate::synth::shapes::{Bounds, Segment, V, add, dot, length, sub, unit};

struct Nodule {
    centre: V,
    radius_mm: f64,
    hu: f64,
    lobulation: Lattice,
}

impl Lesion for Nodule {
    fn paint(&self, stage: &mut Stage<'_>) {
        let anatomy = stage.anatomy;
        let bounds = Bounds::around(self.centre, self.radius_mm * 1.3 + 8.0);
        stage.canvas.paint(bounds, self.hu, |p| {
            let wave = (0.06 * self.radius_mm * self.lobulation.at(p)).clamp(-1.0, 1.0);
            anatomy.distance_mm(p, self.centre) - self.radius_mm + wave
        });
    }
}

/// One to three nodules of 6 to 28 mm, whole inside the lung. The size is the diameter.
pub(super) fn nodules(draw: &mut Draw, anatomy: &Anatomy) -> Vec<Planned> {
    let count = 1 + draw.below(3);
    let mut placed: Vec<(V, f64)> = Vec::new();
    let mut planned = Vec::new();
    for _ in 0..count {
        let diameter_mm = 6.0 + 22.0 * draw.uniform(0.0, 1.0).powf(1.6);
        let (kind, hu) = draw.pick(&[("solid", 45.0), ("solid", 30.0), ("ground-glass", -520.0), ("calcified", 420.0)]);
        let side = side(draw);
        let radius = 0.5 * diameter_mm / anatomy.mean_scale();
        let free = |p: V| placed.iter().all(|(q, r)| length(sub(p, *q)) > r + radius + 8.0);
        let Some(centre) = anatomy.lung_point(draw, side, radius * 1.1 + 2.0, free) else { continue };
        placed.push((centre, radius));
        let lobe = anatomy.lungs.lobe(centre);
        let lobulation = Lattice::draw(draw, 8.0);
        planned.push(Planned {
            finding: finding("Lung nodule", kind, (Some(side), Some(lobe)), diameter_mm, anatomy, centre),
            lesion: Some(Box::new(Nodule { centre, radius_mm: diameter_mm / 2.0, hu, lobulation })),
        });
    }
    planned
}

/// A patch of denser lung with an uneven border.
struct Patch {
    centre: V,
    radii: V,
    hu: f64,
    /// How much of the way to `hu` the lung goes.
    strength: f64,
    /// Width of the border, in mm.
    border: f64,
    /// Confines the patch to a lobe, with air bronchograms.
    lobe: Option<(Side, Lobe)>,
    relief: Lattice,
}

impl Lesion for Patch {
    fn paint(&self, stage: &mut Stage<'_>) {
        let anatomy = stage.anatomy;
        let reach = self.radii.iter().fold(0.0f64, |a, b| a.max(*b)) * 1.5;
        stage.visit_lung(Bounds::around(self.centre, reach), |p, _, value| {
            if self.lobe.is_some_and(|(side, lobe)| Side::of(p) != side || anatomy.lungs.lobe(p) != lobe) {
                return 0.0;
            }
            let scaled: V = std::array::from_fn(|i| (p[i] - self.centre[i]) / self.radii[i]);
            let mean = (self.radii[0] + self.radii[1] + self.radii[2]) / 3.0;
            let distance = (length(scaled) - 1.0) * mean + 0.12 * mean * self.relief.at(p).clamp(-1.5, 1.5);
            let part = (0.5 - distance / self.border).clamp(0.0, 1.0) * self.strength;
            // Vessels in it stay as dense as they are.
            if part > 0.0 && f64::from(*value) < self.hu {
                *value += ((self.hu - f64::from(*value)) * part) as f32;
            }
            part
        });
        if self.lobe.is_some() {
            for airway in &anatomy.tree.airways {
                let middle = add(airway.lumen.from, sub(airway.lumen.to, airway.lumen.from), 0.5);
                if length(sub(middle, self.centre)) < reach {
                    stage.canvas.paint_segment(&airway.lumen, -960.0);
                }
            }
        }
    }

    fn covers(&self, p: V) -> bool {
        let scaled: V = std::array::from_fn(|i| (p[i] - self.centre[i]) / self.radii[i]);
        self.lobe.is_some() && length(scaled) < 1.15
    }
}

/// One to four ground-glass patches. The size is the longest diameter of the patch.
pub(super) fn opacity(draw: &mut Draw, anatomy: &Anatomy) -> Vec<Planned> {
    let count = 1 + draw.below(4);
    let mut planned = Vec::new();
    for _ in 0..count {
        let side = side(draw);
        let radius = draw.uniform(14.0, 34.0);
        let Some(centre) = anatomy.lung_point(draw, side, 8.0, |_| true) else { continue };
        let lobe = anatomy.lungs.lobe(centre);
        let radii = [radius, radius * draw.uniform(0.7, 1.0), radius * draw.uniform(0.7, 1.0)];
        let (hu, strength) = (draw.uniform(-560.0, -430.0), draw.uniform(0.75, 0.95));
        let relief = Lattice::draw(draw, 10.0);
        planned.push(Planned {
            finding: finding(
                "Lung opacity",
                "ground-glass opacity",
                (Some(side), Some(lobe)),
                2.0 * radius * anatomy.scale[0],
                anatomy,
                centre,
            ),
            lesion: Some(Box::new(Patch { centre, radii, hu, strength, border: 12.0, lobe: None, relief })),
        });
    }
    planned
}

/// One consolidation, confined to its lobe, with air bronchograms. The size is its longest diameter.
pub(super) fn consolidation(draw: &mut Draw, anatomy: &Anatomy) -> Option<Planned> {
    let side = side(draw);
    let radius = draw.uniform(18.0, 42.0);
    let centre = anatomy.lung_point(draw, side, 10.0, |_| true)?;
    let lobe = anatomy.lungs.lobe(centre);
    let radii = [radius, radius * draw.uniform(0.7, 1.0), radius * draw.uniform(0.7, 1.0)];
    let hu = draw.uniform(20.0, 45.0);
    let relief = Lattice::draw(draw, 12.0);
    let size_mm = 2.0 * radius * anatomy.scale[0];
    Some(Planned {
        finding: finding("Consolidation", "consolidation", (Some(side), Some(lobe)), size_mm, anatomy, centre),
        lesion: Some(Box::new(Patch {
            centre,
            radii,
            hu,
            strength: 1.0,
            border: 5.0,
            lobe: Some((side, lobe)),
            relief,
        })),
    })
}

/// A flat band.
struct Band {
    centre: V,
    normal: V,
    radius: f64,
    thickness_mm: f64,
}

impl Lesion for Band {
    fn paint(&self, stage: &mut Stage<'_>) {
        let edge = stage.canvas.edge();
        let thick = self.thickness_mm / stage.anatomy.mean_scale();
        let weight = (thick / edge).min(1.0);
        stage.visit_lung(Bounds::around(self.centre, self.radius + edge), |p, _, value| {
            let d = sub(p, self.centre);
            let height = dot(d, self.normal);
            let along = length(sub(d, self.normal.map(|n| n * height)));
            // Bent a little, as bands are.
            let bent = height - along * along / (6.0 * self.radius);
            let distance = (bent.abs() - thick / 2.0).max(along - self.radius);
            let part = (0.5 - distance / edge).clamp(0.0, 1.0) * weight;
            *value += ((25.0 - f64::from(*value)).max(0.0) * part) as f32;
            part
        });
    }
}

/// One or two bands of linear atelectasis in the lower or middle lobes. The size is the thickness.
pub(super) fn atelectasis(draw: &mut Draw, anatomy: &Anatomy) -> Vec<Planned> {
    let count = 1 + draw.below(2);
    let mut planned = Vec::new();
    for _ in 0..count {
        let side = side(draw);
        let low = |p: V| p[2] < 0.0 && anatomy.lungs.lobe(p) != Lobe::Upper && anatomy.lungs.distance(p) > -32.0;
        let Some(centre) = anatomy.lung_point(draw, side, 12.0, low) else { continue };
        let lobe = anatomy.lungs.lobe(centre);
        let normal = unit([draw.uniform(-0.4, 0.4), draw.uniform(-0.6, 0.2), 1.0]);
        let (radius, thickness_mm) = (draw.uniform(20.0, 36.0), draw.uniform(3.5, 9.0));
        planned.push(Planned {
            finding: finding(
                "Atelectasis",
                "linear atelectasis",
                (Some(side), Some(lobe)),
                thickness_mm,
                anatomy,
                centre,
            ),
            lesion: Some(Box::new(Band { centre, normal, radius, thickness_mm })),
        });
    }
    planned
}

struct Scar(Vec<Segment>);

impl Lesion for Scar {
    fn paint(&self, stage: &mut Stage<'_>) {
        for strand in &self.0 {
            stage.canvas.paint_segment(strand, 40.0);
        }
    }
}

/// Strands that run together in an upper or lower lobe. The size is the longest strand.
pub(super) fn fibrotic_sequela(draw: &mut Draw, anatomy: &Anatomy) -> Option<Planned> {
    let side = side(draw);
    let apical = draw.chance(0.7);
    let place = |p: V| if apical { p[2] > 55.0 } else { anatomy.lungs.lobe(p) == Lobe::Lower };
    let centre = anatomy.lung_point(draw, side, 7.0, place)?;
    let mut longest = 0.0f64;
    let mut strands = Vec::new();
    for _ in 0..60 {
        let (way, reach) = (draw.direction(), draw.uniform(12.0, 30.0));
        let to = add(centre, way, reach);
        if strands.len() < 9 && anatomy.in_lung(to, -1.0) {
            longest = longest.max(anatomy.distance_mm(centre, to));
            strands.push(Segment { from: centre, to, radii: [2.4, draw.uniform(0.8, 1.4)] });
        }
    }
    if strands.is_empty() {
        return None;
    }
    let at = (Some(side), Some(anatomy.lungs.lobe(centre)));
    Some(Planned {
        finding: finding("Pulmonary fibrotic sequela", "fibrotic bands", at, longest, anatomy, centre),
        lesion: Some(Box::new(Scar(strands))),
    })
}
