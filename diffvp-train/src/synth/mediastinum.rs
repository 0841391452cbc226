//! Heart, great vessels, trachea with the main bronchi, oesophagus and thyroid.

use super::canvas::Canvas;
use super::lungs::Lungs;
use super::organs::Organ;
use super::random::Draw;
use super::shapes::{Bounds, Ellipsoid, Segment, Tube, V, smooth_max};

/// The organs between the lungs, in standard mm.
#[derive(Debug, Clone)]
pub(crate) struct Mediastinum {
    pub(crate) heart: Ellipsoid,
    /// Thickness of a pericardial effusion; 0 without one.
    pub(crate) pericardial_mm: f64,
    pub(crate) aorta: Tube,
    pub(crate) cava: Tube,
    great: Vec<(Segment, f64)>,
    trachea: Tube,
    bronchi: Vec<Segment>,
    pub(crate) oesophagus: Tube,
    gas: bool,
    pub(crate) blood_hu: f64,
}

impl Mediastinum {
    /// `heart_size`: 1 for an average heart. `spine_front`: y of the front of the spine.
    pub(crate) fn draw(draw: &mut Draw, heart_size: f64, spine_front: f64) -> Self {
        let mut j = |spread: f64| draw.uniform(-spread, spread);
        let s = heart_size;
        // A heart that grows does so to the left and downwards; the base stays.
        let heart = Ellipsoid {
            centre: [14.0 + 14.0 * (s - 1.0) + j(2.0), -22.0 + j(3.0), -42.0 - 10.0 * (s - 1.0)],
            radii: [54.0 * s, 41.0 * s.powf(0.8), 43.0 * s.powf(0.7)],
            turn: 0.66 + j(0.08),
        };
        let r = 13.0 + j(1.5);
        let (ax, arch) = (j(3.0), 46.0 + j(5.0));
        let back = spine_front - 4.0;
        let aorta = Tube::through(&[
            ([-6.0 + ax, -26.0, -12.0], r + 2.0),
            ([-13.0 + ax, -30.0, 18.0], r + 1.5),
            ([-8.0 + ax, -22.0, arch - 6.0], r + 0.5),
            ([6.0 + ax, -2.0, arch + 2.0], r),
            ([17.0, 14.0, arch - 4.0], r - 0.5),
            ([22.0, back - 10.0, arch - 22.0], r - 1.5),
            ([23.0, back - 2.0, -20.0], r - 2.0),
            ([16.0, back - 1.0, -110.0], r - 2.5),
            ([8.0, back - 2.0, -220.0], r - 3.0),
        ]);
        let cava =
            Tube::through(&[([-22.0, -16.0, -20.0], 9.0), ([-24.0, -18.0, 40.0], 8.0), ([-22.0, -18.0, 78.0], 7.5)]);
        let blood_hu = 40.0 + j(5.0);
        let great = vec![
            // Pulmonary trunk and arteries.
            (Segment { from: [14.0, -36.0, -8.0], to: [16.0, -18.0, 14.0], radii: [14.0, 13.0] }, blood_hu),
            (Segment { from: [16.0, -18.0, 14.0], to: [38.0, 4.0, 16.0], radii: [12.0, 9.0] }, blood_hu),
            (Segment { from: [12.0, -16.0, 12.0], to: [-36.0, -2.0, 4.0], radii: [11.0, 9.0] }, blood_hu),
            (Segment { from: [38.0, 4.0, 16.0], to: [44.0, 14.0, -22.0], radii: [9.0, 6.0] }, blood_hu),
            (Segment { from: [-36.0, -2.0, 4.0], to: [-44.0, 12.0, -28.0], radii: [9.0, 6.0] }, blood_hu),
            // Pulmonary veins into the left atrium.
            (Segment { from: [-12.0, 8.0, -22.0], to: [-46.0, -6.0, -16.0], radii: [8.0, 5.0] }, blood_hu),
            (Segment { from: [22.0, 8.0, -22.0], to: [48.0, -6.0, -12.0], radii: [8.0, 5.0] }, blood_hu),
            (Segment { from: [-14.0, 12.0, -30.0], to: [-46.0, 24.0, -46.0], radii: [8.0, 5.0] }, blood_hu),
            (Segment { from: [22.0, 12.0, -30.0], to: [48.0, 24.0, -46.0], radii: [8.0, 5.0] }, blood_hu),
            // Brachiocephalic artery, left carotid and subclavian, brachiocephalic vein, inferior vena cava.
            (Segment::new([-6.0, -14.0, arch], [-18.0, -8.0, 120.0], 6.0), blood_hu),
            (Segment::new([6.0, -4.0, arch], [16.0, -6.0, 124.0], 4.0), blood_hu),
            (Segment::new([14.0, 8.0, arch], [28.0, 6.0, 124.0], 5.0), blood_hu),
            (Segment::new([-20.0, -20.0, 74.0], [34.0, -22.0, 96.0], 6.0), blood_hu),
            (Segment::new([-24.0, -12.0, -60.0], [-22.0, 0.0, -230.0], 11.5), blood_hu),
        ];
        let carina = [1.0 + j(2.0), 8.0, 26.0 + j(3.0)];
        let top = [j(3.0), -2.0, 190.0];
        let width = 8.6 + j(1.2);
        let trachea = Tube::through(&[(carina, width), ([carina[0], 4.0, 90.0], width), (top, width)]);
        let bronchi = vec![
            Segment { from: carina, to: [-34.0, 12.0, 2.0], radii: [7.0, 5.6] },
            Segment { from: carina, to: [40.0, 14.0, -2.0], radii: [6.6, 5.2] },
        ];
        let behind = spine_front - 10.0;
        let oesophagus = Tube::through(&[
            ([4.0, 18.0, 190.0], 6.5),
            ([3.0, 22.0, 60.0], 7.0),
            ([4.0, behind - 4.0, 0.0], 7.5),
            ([8.0, behind - 8.0, -70.0], 8.0),
            ([18.0, behind - 26.0, -120.0], 9.0),
        ]);
        let gas = draw.chance(0.4);
        Mediastinum { heart, pericardial_mm: 0.0, aorta, cava, great, trachea, bronchi, oesophagus, gas, blood_hu }
    }

    /// Distance to heart, pericardium and large vessels.
    pub(crate) fn distance(&self, p: V) -> f64 {
        let great = self.great.iter().map(|(s, _)| s.distance(p)).fold(f64::INFINITY, f64::min);
        (self.heart.distance(p) - self.pericardial_mm - 4.0).min(self.aorta.distance(p)).min(great)
    }

    /// Gives all blood the density of contrast medium.
    pub(crate) fn enhance(&mut self, blood_hu: f64) {
        self.blood_hu = blood_hu;
        for (_, hu) in &mut self.great {
            *hu = blood_hu;
        }
    }

    /// Ends of the main bronchi, right and left: the roots of the lungs.
    pub(crate) fn hila(&self) -> [V; 2] {
        [self.bronchi[0].to, self.bronchi[1].to]
    }

    pub(crate) fn paint(&self, canvas: &mut Canvas, lungs: &Lungs) {
        let floor = |p: V| (lungs.diaphragm(p[0], p[1]) - p[2]) * 0.8;
        let above = |d: f64, p: V| smooth_max(d, floor(p), 6.0);
        let all = self.heart.bounds(30.0);
        let sac = self.pericardial_mm;
        canvas.organ = Some(Organ::Mediastinum);
        // Fat around the heart also covers what lies at the roots of the lungs.
        canvas.paint(all, -95.0, |p| above(self.heart.distance(p) - sac - 5.0, p));
        for (s, _) in &self.great {
            canvas.paint(s.bounds(6.0), -80.0, |p| if p[2] > 60.0 { 1e3 } else { above(s.distance(p) - 2.0, p) });
        }
        canvas.paint(self.aorta.bounds(6.0), -85.0, |p| above(self.aorta.distance(p) - 2.5, p));
        canvas.organ = Some(Organ::Heart);
        if sac > 0.0 {
            canvas.paint(all, 35.0, |p| above(self.heart.distance(p) - sac - 1.2, p));
            canvas.paint(all, 12.0, |p| above(self.heart.distance(p) - sac, p));
        }
        canvas.paint(all, self.blood_hu + 4.0, |p| above(self.heart.distance(p), p));
        let groove = Ellipsoid { radii: self.heart.radii.map(|r| r * 0.98), ..self.heart };
        // Fat of the atrioventricular groove parts the heart.
        canvas.paint(all, -60.0, |p| {
            let across = (p[0] - self.heart.centre[0]) * 0.8 + (p[1] - self.heart.centre[1]) * 0.6 + 6.0;
            above((across.abs() - 2.0).max(-groove.distance(p) - 9.0).max(groove.distance(p)), p)
        });
        canvas.organ = Some(Organ::GreatVessels);
        for (s, hu) in &self.great {
            canvas.paint(s.bounds(4.0), *hu, |p| s.distance(p));
        }
        canvas.paint(self.cava.bounds(4.0), self.blood_hu, |p| self.cava.distance(p));
        canvas.paint(self.aorta.bounds(4.0), self.blood_hu, |p| self.aorta.distance(p));
        canvas.organ = Some(Organ::Esophagus);
        canvas.paint(self.oesophagus.bounds(4.0), 35.0, |p| self.oesophagus.distance(p));
        if self.gas {
            canvas.paint(self.oesophagus.bounds(4.0), -500.0, |p| {
                (self.oesophagus.distance(p) + 5.0).max(30.0 - p[2]).max(p[2] - 62.0)
            });
        }
        canvas.organ = Some(Organ::Thyroid);
        for s in [-1.0, 1.0] {
            let thyroid = Ellipsoid::new([s * 17.0, -10.0, 146.0], [8.0, 11.0, 20.0]);
            canvas.paint(thyroid.bounds(4.0), 95.0, |p| thyroid.distance(p));
        }
        canvas.organ = Some(Organ::Airways);
        canvas.paint(self.trachea.bounds(6.0), 25.0, |p| self.trachea.distance(p) - 2.0);
        for b in &self.bronchi {
            canvas.paint(b.bounds(6.0), 25.0, |p| b.distance(p) - 1.8);
        }
        canvas.paint(self.trachea.bounds(4.0), -990.0, |p| self.trachea.distance(p));
        for b in &self.bronchi {
            canvas.paint(b.bounds(4.0), -985.0, |p| b.distance(p));
        }
        canvas.organ = None;
    }
}

/// Everything below the diaphragm.
pub(crate) fn paint_abdomen(canvas: &mut Canvas, lungs: &Lungs, draw: &mut Draw) {
    let below = |p: V| (p[2] - lungs.diaphragm(p[0], p[1]) + 2.0) * 0.75;
    let all = Bounds { low: [-150.0, -110.0, -400.0], high: [150.0, 110.0, -20.0] };
    // What is so far outside of one surface is not painted, whatever the others are: most of the box.
    const FAR: f64 = 40.0;
    let inside = |p: V, d: f64| {
        let low = below(p) + 1.5;
        if d.max(low) > FAR { d.max(low) } else { smooth_max(smooth_max(d, lungs.cage(p) + 5.0, 8.0), low, 5.0) }
    };
    canvas.organ = Some(Organ::Abdomen);
    // The muscle of the diaphragm itself.
    canvas.paint(all, 48.0, |p| {
        let muscle = below(p).abs() - 2.0;
        if muscle > FAR { muscle } else { muscle.max(lungs.cage(p)) }
    });
    canvas.organ = Some(Organ::Liver);
    let liver = Ellipsoid::new([-52.0, -14.0, -128.0], [88.0, 92.0, 72.0]);
    let liver_hu = draw.uniform(48.0, 66.0);
    canvas.paint(all, liver_hu, |p| inside(p, liver.distance(p)));
    canvas.organ = Some(Organ::Stomach);
    let stomach = Ellipsoid::new([52.0, -28.0, -128.0], [42.0, 36.0, 34.0]);
    canvas.paint(all, 40.0, |p| inside(p, stomach.distance(p)));
    canvas.paint(all, 18.0, |p| inside(p, stomach.distance(p) + 5.0));
    let level = draw.uniform(-50.0, -34.0);
    canvas.paint(all, -960.0, |p| inside(p, (stomach.distance(p) + 5.0).max(p[1] - level)));
    canvas.organ = Some(Organ::Spleen);
    let spleen = Ellipsoid::new([92.0, 34.0, -138.0], [30.0, 44.0, 42.0]);
    canvas.paint(all, liver_hu - 8.0, |p| inside(p, spleen.distance(p)));
    canvas.organ = None;
}
