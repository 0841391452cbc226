//! Findings between the lungs: large heart, pericardial fluid, hiatal hernia, large lymph nodes.

use super::{Lesion, Planned, Stage, finding};
use crate::synth::anatomy::Anatomy;
use crate::synth::random::Draw;
use crate::synth::shapes::{Ellipsoid, V};

/// The heart was drawn large. The size is its transverse diameter.
pub(super) fn cardiomegaly(anatomy: &Anatomy) -> Planned {
    let heart = &anatomy.mediastinum.heart;
    let size_mm = 2.0 * heart.half_width() * anatomy.scale[0];
    Planned {
        finding: finding("Cardiomegaly", "enlarged heart", (None, None), size_mm, anatomy, heart.centre),
        lesion: None,
    }
}

/// Fluid around the heart. The size is its thickness.
pub(super) fn pericardial_effusion(draw: &mut Draw, anatomy: &mut Anatomy) -> Planned {
    let thickness_mm = draw.uniform(6.0, 20.0);
    anatomy.mediastinum.pericardial_mm = thickness_mm / anatomy.mean_scale();
    let kind = if thickness_mm < 11.0 { "minimal" } else { "moderate" };
    let heart = &anatomy.mediastinum.heart;
    let at = heart.surface([0.7, -0.7, 0.0]);
    Planned { finding: finding("Pericardial effusion", kind, (None, None), thickness_mm, anatomy, at), lesion: None }
}

struct Hernia {
    sac: Ellipsoid,
    gas: f64,
}

impl Lesion for Hernia {
    fn paint(&self, stage: &mut Stage<'_>) {
        let bounds = self.sac.bounds(6.0);
        let sac = &self.sac;
        stage.canvas.paint(bounds, -90.0, |p| sac.distance(p) - 3.0);
        stage.canvas.paint(bounds, 45.0, |p| sac.distance(p));
        stage.canvas.paint(bounds, 15.0, |p| sac.distance(p) + 4.0);
        let level = sac.centre[1] - sac.radii[1] * self.gas;
        stage.canvas.paint(bounds, -940.0, |p| (sac.distance(p) + 4.0).max(p[1] - level));
    }
}

/// Stomach above the diaphragm, in front of the spine, with a level of gas. The size is its width.
pub(super) fn hiatal_hernia(draw: &mut Draw, anatomy: &Anatomy) -> Planned {
    let width = draw.uniform(17.0, 34.0);
    let depth = width * draw.uniform(0.7, 0.85);
    let (x, front) = (draw.uniform(0.0, 9.0), anatomy.skeleton.spine_front());
    let y = front - depth - 1.0;
    let floor = anatomy.lungs.diaphragm(x, y);
    let sac = Ellipsoid::new([x, y, floor + 0.75 * width], [width, depth, width * draw.uniform(0.95, 1.25)]);
    let kind = if width > 26.0 { "large sliding hernia" } else { "sliding hernia" };
    let size_mm = 2.0 * width * anatomy.scale[0];
    Planned {
        finding: finding("Hiatal hernia", kind, (None, None), size_mm, anatomy, sac.centre),
        lesion: Some(Box::new(Hernia { sac, gas: draw.uniform(-0.1, 0.35) })),
    }
}

struct Node(Ellipsoid);

impl Lesion for Node {
    fn paint(&self, stage: &mut Stage<'_>) {
        stage.canvas.paint(self.0.bounds(6.0), -80.0, |p| self.0.distance(p) - 1.5);
        stage.canvas.paint(self.0.bounds(4.0), 42.0, |p| self.0.distance(p));
    }
}

/// One to four large nodes at different stations. The size is the short axis.
pub(super) fn lymphadenopathy(draw: &mut Draw, anatomy: &Anatomy) -> Vec<Planned> {
    let mut stations: Vec<(&str, V)> = vec![
        ("right lower paratracheal", [-17.0, -2.0, 46.0]),
        ("subcarinal", [3.0, 14.0, 4.0]),
        ("aortopulmonary", [27.0, -8.0, 27.0]),
        ("right hilar", [-44.0, 0.0, -8.0]),
        ("left hilar", [48.0, 2.0, 2.0]),
        ("prevascular", [6.0, -48.0, 34.0]),
    ];
    let count = 1 + draw.below(4);
    let mut planned = Vec::new();
    for _ in 0..count {
        let (station, at) = stations.swap_remove(draw.below(stations.len()));
        let short_mm = draw.uniform(11.0, 24.0);
        let short = 0.5 * short_mm / anatomy.mean_scale();
        let node = Ellipsoid {
            centre: at,
            radii: [short * draw.uniform(1.2, 1.5), short, short * 1.2],
            turn: draw.uniform(-0.6, 0.6),
        };
        planned.push(Planned {
            finding: finding("Lymphadenopathy", station, (None, None), short_mm, anatomy, at),
            lesion: Some(Box::new(Node(node))),
        });
    }
    planned
}
