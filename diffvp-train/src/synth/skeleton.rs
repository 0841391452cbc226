//! Spine, ribs, sternum, clavicles and shoulder blades.

use super::canvas::Canvas;
use super::lungs::Lungs;
use super::organs::Organ;
use super::random::Draw;
use super::shapes::{Bounds, Ellipsoid, Segment, V, superellipse};

const CORTEX_HU: f64 = 620.0;

/// The bones, in standard mm.
#[derive(Debug, Clone)]
pub(crate) struct Skeleton {
    marrow_hu: f64,
    vertebra_mm: f64,
    phase: f64,
    rib_slope: f64,
    /// y of the middle of the vertebral bodies.
    spine_y: f64,
}

impl Skeleton {
    pub(crate) fn draw(draw: &mut Draw, lungs: &Lungs) -> Self {
        Skeleton {
            marrow_hu: draw.uniform(130.0, 230.0),
            vertebra_mm: draw.uniform(23.0, 26.0),
            phase: draw.uniform(0.0, 24.0),
            rib_slope: draw.uniform(72.0, 92.0),
            spine_y: lungs.half[1] - 28.0,
        }
    }

    /// y of the front of the vertebral bodies.
    pub(crate) fn spine_front(&self) -> f64 {
        self.spine_y - 15.0
    }

    /// Height above the lower end plate, from 0 to 1.
    fn level(&self, z: f64) -> f64 {
        ((z + self.phase) / self.vertebra_mm).rem_euclid(1.0)
    }

    pub(crate) fn paint(&self, canvas: &mut Canvas, lungs: &Lungs) {
        canvas.organ = Some(Organ::Bone);
        self.ribs(canvas, lungs);
        self.spine(canvas);
        self.front(canvas, lungs);
        self.shoulders(canvas);
        canvas.organ = None;
    }

    fn ribs(&self, canvas: &mut Canvas, lungs: &Lungs) {
        let edge = canvas.edge();
        let spacing = self.vertebra_mm * 1.08;
        canvas.visit(Bounds { low: [-150.0, -110.0, -190.0], high: [150.0, 110.0, 128.0] }, |_, p, value| {
            let cage = lungs.cage(p);
            if !(-4.0..=12.0).contains(&cage) || p[0].abs() < 16.0 {
                return 0.0;
            }
            // From the spine (t = 1) forward and down to the cartilage (t = 0).
            let t = 0.5 + 0.5 * p[1] / self.spine_y;
            let height = p[2] + self.rib_slope * (1.0 - t) + self.phase;
            let off = ((height / spacing).rem_euclid(1.0) - 0.5) * spacing * 1.05;
            let distance = ((off / 5.2).powi(2) + ((cage - 2.5) / 3.8).powi(2)).sqrt() * 4.3 - 4.3;
            let part = (0.5 - distance / edge).clamp(0.0, 1.0);
            if part > 0.0 {
                let bony = t > 0.16;
                let hu = match (bony, distance < -1.6) {
                    (true, true) => self.marrow_hu + 60.0,
                    (true, false) => CORTEX_HU,
                    (false, _) => 115.0,
                };
                *value += ((hu - f64::from(*value)) * part) as f32;
            }
            part
        });
    }

    fn spine(&self, canvas: &mut Canvas) {
        let edge = canvas.edge();
        let y0 = self.spine_y;
        canvas.visit(Bounds { low: [-50.0, y0 - 25.0, -400.0], high: [50.0, y0 + 70.0, 400.0] }, |_, p, value| {
            let level = self.level(p[2]);
            let disc = level < 0.2;
            let mut fill = |hu: f64, distance: f64| {
                let part = (0.5 - distance / edge).clamp(0.0, 1.0);
                *value += ((hu - f64::from(*value)) * part) as f32;
            };
            // Muscles beside the spine.
            fill(55.0, superellipse(p[0].abs() - 24.0, p[1] - y0 - 30.0, 20.0, 15.0, 2.3));
            let waist = if disc { 0.0 } else { 1.6 * (2.0 * (level - 0.6) / 0.4).powi(2).min(1.0) };
            let body = superellipse(p[0], p[1] - y0, 16.5 + waist, 14.0 + waist, 2.4);
            if disc {
                fill(85.0, body);
            } else {
                fill(CORTEX_HU - 120.0, body);
                let plate = if !(0.26..=0.94).contains(&level) { 300.0 } else { self.marrow_hu };
                fill(plate, body + 2.2);
            }
            // Arch around the canal, then the spinous and transverse processes.
            let ring = superellipse(p[0], p[1] - y0 - 22.0, 15.0, 12.5, 2.0);
            let arch = (0.3..0.95).contains(&level);
            if arch && p[1] > y0 + 10.0 {
                fill(CORTEX_HU - 100.0, ring);
            }
            if (0.35..0.75).contains(&level) {
                let wing = Segment { from: [12.0, y0 + 24.0, 0.0], to: [38.0, y0 + 33.0, 0.0], radii: [5.0, 4.0] };
                fill(CORTEX_HU - 180.0, wing.distance([p[0].abs(), p[1], 0.0]));
            }
            if (0.2..0.8).contains(&level) {
                let spine = Segment { from: [0.0, y0 + 33.0, 0.0], to: [0.0, y0 + 50.0, 0.0], radii: [4.0, 3.0] };
                fill(CORTEX_HU - 120.0, spine.distance([p[0], p[1], 0.0]));
            }
            let ring_share = if arch && p[1] > y0 + 10.0 { 0.5 - ring / edge } else { 0.0 };
            let canal = superellipse(p[0], p[1] - y0 - 22.0, 9.5, 8.0, 2.0);
            fill(25.0, canal);
            if canal < 0.0 { 0.0 } else { (0.5 - body / edge).max(ring_share).clamp(0.0, 1.0) }
        });
    }

    fn front(&self, canvas: &mut Canvas, lungs: &Lungs) {
        let sternum: Vec<(V, f64)> =
            (0..8).map(|i| -70.0 + 19.0 * f64::from(i)).map(|z| ([0.0, sternum_y(lungs, z), z], 0.0)).collect();
        for pair in sternum.windows(2) {
            let (a, b) = (pair[0].0, pair[1].0);
            let wide = if a[2] > 25.0 { 25.0 } else { 16.0 };
            let slab = move |p: V| {
                let t = ((p[2] - a[2]) / (b[2] - a[2])).clamp(0.0, 1.0);
                let centre = a[1] + t * (b[1] - a[1]);
                superellipse(p[0], p[1] - centre, wide, 6.0, 2.8).max(a[2] - p[2]).max(p[2] - b[2] - 0.5)
            };
            let bounds = Bounds { low: [-30.0, -130.0, a[2] - 8.0], high: [30.0, 20.0, b[2] + 8.0] };
            canvas.paint(bounds, CORTEX_HU - 200.0, slab);
            canvas.paint(bounds, self.marrow_hu * 0.7, |p| slab(p) + 2.4);
        }
    }

    fn shoulders(&self, canvas: &mut Canvas) {
        for s in [-1.0, 1.0] {
            let clavicle = Segment { from: [s * 22.0, -48.0, 92.0], to: [s * 135.0, -20.0, 128.0], radii: [8.0, 6.0] };
            canvas.paint_segment(&clavicle, CORTEX_HU);
            canvas.paint_segment(&Segment { radii: [5.0, 3.5], ..clavicle }, self.marrow_hu + 60.0);
            let humerus = Segment::new([s * 172.0, 20.0, 118.0], [s * 176.0, 20.0, 190.0], 17.0);
            canvas.paint_segment(&humerus, CORTEX_HU);
            canvas.paint_segment(&Segment { radii: [13.0; 2], ..humerus }, self.marrow_hu);
            // A thin blade over the back of the ribs, with its spine.
            let blade = Ellipsoid { centre: [s * 104.0, 72.0, 62.0], radii: [38.0, 5.0, 62.0], turn: s * 0.62 };
            canvas.paint(blade.bounds(4.0), CORTEX_HU - 150.0, |p| blade.distance(p));
            canvas.paint(blade.bounds(4.0), self.marrow_hu + 100.0, |p| blade.distance(p) + 2.4);
            let ridge = Segment { from: [s * 80.0, 88.0, 92.0], to: [s * 150.0, 40.0, 118.0], radii: [4.0, 7.0] };
            canvas.paint_segment(&ridge, CORTEX_HU - 150.0);
        }
    }
}

/// y of the sternum at a height: it lies in the wall of the cage.
pub(crate) fn sternum_y(lungs: &Lungs, z: f64) -> f64 {
    let (mut outside, mut inside) = (-130.0, 0.0);
    for _ in 0..24 {
        let middle = 0.5 * (outside + inside);
        if lungs.cage([0.0, middle, z]) > 3.0 { outside = middle } else { inside = middle }
    }
    outside
}
