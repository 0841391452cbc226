//! Skin, fat and muscle around the rib cage, the breasts, and the scanner's table.

use super::canvas::Canvas;
use super::lungs::Lungs;
use super::noise::Lattice;
use super::random::Draw;
use super::shapes::{Bounds, Ellipsoid, V, smooth_step, superellipse};

/// Sex of the subject, as far as a chest shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// With breasts of a woman.
    Female,
    /// Without.
    Male,
}

/// The body's outline and its layers, in standard mm.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) sex: Sex,
    half: [f64; 2],
    fat: f64,
    breast: Option<f64>,
}

impl Body {
    pub(crate) fn draw(draw: &mut Draw, lungs: &Lungs) -> Self {
        let female = draw.chance(0.5);
        let fat = draw.uniform(6.0, 26.0);
        let muscle = draw.uniform(15.0, 20.0);
        Body {
            sex: if female { Sex::Female } else { Sex::Male },
            half: [lungs.half[0] + muscle + fat, lungs.half[1] + muscle + 2.0 + 0.7 * fat],
            fat,
            breast: female.then(|| draw.uniform(0.75, 1.2)),
        }
    }

    /// Half width and half depth of the trunk, in mm.
    pub(crate) fn half(&self) -> [f64; 2] {
        self.half
    }

    fn skin(&self, p: V) -> f64 {
        let up = smooth_step(70.0, 150.0, p[2]);
        let a = self.half[0] + 24.0 * up;
        let b = self.half[1] - 24.0 * up;
        superellipse(p[0], p[1] - 8.0 * up, a, b, 2.5 + 0.3 * up)
    }

    /// y of the skin in front, at a place.
    pub(crate) fn front(&self, x: f64, z: f64) -> f64 {
        let (mut outside, mut inside) = (-250.0, 0.0);
        for _ in 0..24 {
            let middle = 0.5 * (outside + inside);
            if self.skin([x, middle, z]) > 0.0 { outside = middle } else { inside = middle }
        }
        inside
    }

    /// Whether a place is inside the trunk.
    pub(crate) fn holds(&self, p: V) -> bool {
        self.skin(p) < 0.0
    }

    fn breasts(&self) -> Option<[Ellipsoid; 2]> {
        let size = self.breast?;
        let y = -self.half[1] + 14.0;
        Some([-1.0, 1.0].map(|s| Ellipsoid::new([s * 72.0, y, -42.0], [54.0 * size, 40.0 * size, 52.0 * size])))
    }

    /// Paints everything outside the rib cage, and fills the cage with soft tissue and fat.
    pub(crate) fn paint(&self, canvas: &mut Canvas, lungs: &Lungs, texture: &Lattice) {
        self.table(canvas);
        if let Some(breasts) = self.breasts() {
            for breast in &breasts {
                canvas.paint(breast.bounds(8.0), 30.0, |p| breast.distance(p) - 1.5);
                canvas.paint(breast.bounds(8.0), -105.0, |p| breast.distance(p) + 1.0);
                let gland = Ellipsoid {
                    centre: [breast.centre[0], breast.centre[1] - 8.0, breast.centre[2]],
                    radii: breast.radii.map(|r| r * 0.55),
                    turn: 0.0,
                };
                canvas.paint(gland.bounds(10.0), 20.0, |p| gland.distance(p) + 7.0 * texture.at(p) + 3.0);
            }
        }
        let edge = canvas.edge();
        canvas.visit(Bounds::ALL, |_, p, value| {
            let skin = self.skin(p);
            let mut fill = |hu: f64, distance: f64| {
                let part = (0.5 - distance / edge).clamp(0.0, 1.0);
                *value += ((hu - f64::from(*value)) * part) as f32;
            };
            if skin > edge {
                return;
            }
            fill(20.0, skin);
            fill(-104.0, skin + 2.0);
            let thickness = self.fat * (0.75 + 0.35 * smooth_step(40.0, 140.0, p[0].abs()));
            // Fat planes run between the muscles of the wall.
            let plane = texture.at([p[0] * 0.8, p[1] * 0.8, p[2] * 0.25]);
            let muscle = if plane.abs() < 0.22 { -55.0 } else { 52.0 };
            fill(muscle, skin + thickness + 2.0);
            let cage = lungs.cage(p);
            fill(50.0, cage - 4.0);
            let fat = if p[2] > lungs.diaphragm(p[0], p[1]) { -92.0 } else { -100.0 };
            fill(fat, cage + 2.5);
        });
    }

    fn table(&self, canvas: &mut Canvas) {
        let top = self.half[1] + 6.0;
        let surface = |p: V| p[1] - (top - 0.0009 * p[0] * p[0]);
        let half = 185.0;
        canvas.paint(Bounds::ALL, -940.0, |p| (surface(p) - 12.0).abs().max(p[0].abs() - half + 12.0) - 12.0);
        canvas.paint(Bounds::ALL, -150.0, |p| {
            let y = surface(p);
            (y.min((24.0 - y).abs()).abs().min((y - 24.0).abs()) - 1.6).max(p[0].abs() - half)
        });
    }
}
