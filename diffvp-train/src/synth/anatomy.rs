//! One subject: all organs of a chest, drawn once, and how they are painted.

use super::body::Body;
use super::canvas::Canvas;
use super::lungs::{Lungs, Side};
use super::mediastinum::{Mediastinum, paint_abdomen};
use super::noise::Lattice;
use super::random::{Draw, Purpose};
use super::shapes::{Segment, V};
use super::skeleton::Skeleton;
use super::vessels::Tree;

/// A subject, in standard mm, with the scale to patient mm.
#[derive(Debug, Clone)]
pub(crate) struct Anatomy {
    /// Patient mm per standard mm, along x, y, z.
    pub(crate) scale: V,
    pub(crate) lungs: Lungs,
    pub(crate) body: Body,
    pub(crate) skeleton: Skeleton,
    pub(crate) mediastinum: Mediastinum,
    pub(crate) tree: Tree,
    lung_hu: f64,
}

impl Anatomy {
    /// Draws a subject. `heart_size` is the enlargement of the heart: 0.92 to 1.06 is normal.
    pub(crate) fn draw(seed: u64, index: u64, enlarged: bool) -> Self {
        let mut draw = Draw::new(seed, index, Purpose::Anatomy);
        let stature = draw.uniform(0.93, 1.06);
        let scale = [
            stature * draw.uniform(0.97, 1.03),
            stature * draw.uniform(0.96, 1.04),
            stature * draw.uniform(0.95, 1.05),
        ];
        let lungs = Lungs::draw(&mut draw);
        let body = Body::draw(&mut draw, &lungs);
        let skeleton = Skeleton::draw(&mut draw, &lungs);
        let relative = lungs.half[0] / 128.0;
        // Both are drawn, so that a finding changes nothing else of the subject.
        let (normal, large) = (draw.uniform(0.9, 1.04), draw.uniform(1.28, 1.5));
        let size = relative * if enlarged { large } else { normal };
        let mediastinum = Mediastinum::draw(&mut draw, size, skeleton.spine_front());
        let lung_hu = draw.uniform(-895.0, -845.0);
        let mut vessels = Draw::new(seed, index, Purpose::Vessels);
        let tree = Tree::grow(&mut vessels, &lungs, mediastinum.hila());
        Anatomy { scale, lungs, body, skeleton, mediastinum, tree, lung_hu }
    }

    /// Standard position → patient position, in mm.
    pub(crate) fn to_patient(&self, p: V) -> V {
        std::array::from_fn(|i| p[i] * self.scale[i])
    }

    /// Distance between two standard positions, in patient mm.
    pub(crate) fn distance_mm(&self, a: V, b: V) -> f64 {
        (0..3).map(|i| ((a[i] - b[i]) * self.scale[i]).powi(2)).sum::<f64>().sqrt()
    }

    /// Patient mm per standard mm, on average.
    pub(crate) fn mean_scale(&self) -> f64 {
        (self.scale[0] + self.scale[1] + self.scale[2]) / 3.0
    }

    /// Whether a ball of standard `radius` around a point lies in aerated lung.
    pub(crate) fn in_lung(&self, p: V, radius: f64) -> bool {
        self.lungs.distance(p) < -radius && self.mediastinum.distance(p) > radius
    }

    /// A random point of a lung around which a ball of standard `radius` lies in aerated lung and for which
    /// `accept` holds, unless chance finds none.
    pub(crate) fn lung_point(&self, draw: &mut Draw, side: Side, radius: f64, accept: impl Fn(V) -> bool) -> Option<V> {
        for _ in 0..2000 {
            let x = side.sign() * draw.uniform(15.0, 130.0);
            let p = [x, draw.uniform(-90.0, 90.0), draw.uniform(-160.0, 120.0)];
            if self.in_lung(p, radius) && accept(p) {
                return Some(p);
            }
        }
        None
    }

    /// Transverse diameter of the heart over that of the chest inside the ribs.
    pub(crate) fn cardiothoracic_ratio(&self) -> f64 {
        self.mediastinum.heart.half_width() / (self.lungs.half[0] - 2.5)
    }

    /// Paints the subject. Returns the distance to the lung of every voxel.
    pub(crate) fn paint(&self, canvas: &mut Canvas, draw: &mut Draw) -> Vec<f32> {
        let texture = Lattice::draw(draw, 14.0);
        self.body.paint(canvas, &self.lungs, &texture);
        paint_abdomen(canvas, &self.lungs, draw);
        let distances = self.lungs.paint(canvas, self.lung_hu, &texture);
        self.skeleton.paint(canvas, &self.lungs);
        self.paint_vessels(canvas);
        self.mediastinum.paint(canvas, &self.lungs);
        self.paint_airways(canvas);
        distances
    }

    fn paint_vessels(&self, canvas: &mut Canvas) {
        for vessel in &self.tree.vessels {
            canvas.paint_segment(vessel, self.mediastinum.blood_hu);
        }
    }

    /// Paints the airways of the lungs. Where the lung is consolidated they are painted again, as the air
    /// bronchograms in it.
    pub(crate) fn paint_airways(&self, canvas: &mut Canvas) {
        for airway in &self.tree.airways {
            let wall = Segment { radii: airway.lumen.radii.map(|r| r + airway.wall_mm), ..airway.lumen };
            canvas.paint_segment(&wall, -60.0);
            canvas.paint_segment(&airway.lumen, -985.0);
        }
    }
}
