//! The inside of the rib cage, the diaphragm, both lungs and their lobes.

use serde::{Deserialize, Serialize};

use super::canvas::Canvas;
use super::noise::Lattice;
use super::organs::Organ;
use super::random::Draw;
use super::shapes::{Bounds, V, smooth_max, smooth_step, superellipse};

/// Side of the body, as the patient has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Negative x.
    Right,
    /// Positive x.
    Left,
}

impl Side {
    /// The side of a position.
    pub(crate) fn of(p: V) -> Self {
        if p[0] < 0.0 { Side::Right } else { Side::Left }
    }

    /// −1 for right, 1 for left: the sign of x.
    pub(crate) fn sign(self) -> f64 {
        if self == Side::Right { -1.0 } else { 1.0 }
    }

    /// The word of a report.
    pub fn word(self) -> &'static str {
        if self == Side::Right { "right" } else { "left" }
    }
}

/// A lobe of a lung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lobe {
    /// Upper lobe; on the left with the lingula.
    Upper,
    /// Middle lobe, right only.
    Middle,
    /// Lower lobe.
    Lower,
}

impl Lobe {
    /// The word of a report.
    pub fn word(self) -> &'static str {
        match self {
            Lobe::Upper => "upper",
            Lobe::Middle => "middle",
            Lobe::Lower => "lower",
        }
    }
}

/// Shape of the chest cavity and of the lungs in it, in standard mm.
#[derive(Debug, Clone)]
pub(crate) struct Lungs {
    /// Half axes of the inside of the rib cage.
    pub(crate) half: [f64; 2],
    exponent: f64,
    /// Height of the diaphragm's domes, right and left.
    dome: [f64; 2],
    apex: f64,
    /// Half width of the mediastinum at the back, in the middle and at the front.
    mediastinum: [f64; 3],
    /// Height of the oblique fissure at y = 0, and its slope.
    fissure: [f64; 2],
    horizontal: f64,
}

/// Thickness of the pleural space in masks: enough to be seen on a grid.
const PLEURA_MM: f32 = 3.0;

impl Lungs {
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let right = draw.uniform(-84.0, -62.0);
        Lungs {
            half: [draw.uniform(122.0, 134.0), draw.uniform(78.0, 94.0)],
            exponent: draw.uniform(2.2, 2.7),
            dome: [right, right - draw.uniform(5.0, 18.0)],
            apex: draw.uniform(112.0, 124.0),
            mediastinum: [draw.uniform(17.0, 21.0), draw.uniform(24.0, 30.0), draw.uniform(4.0, 9.0)],
            fissure: [draw.uniform(-32.0, -22.0), draw.uniform(0.8, 1.0)],
            horizontal: draw.uniform(-14.0, -2.0),
        }
    }

    /// Distance to the inner surface of the rib cage.
    pub(crate) fn cage(&self, p: V) -> f64 {
        let top = ((p[2] - 30.0) / 120.0).clamp(0.0, 0.9);
        let taper = (1.0 - top * top).sqrt();
        superellipse(
            p[0],
            p[1] - 10.0 * (1.0 - taper),
            self.half[0] * taper,
            self.half[1] * (0.35 + 0.65 * taper),
            self.exponent,
        )
    }

    /// Height of the diaphragm over a place.
    pub(crate) fn diaphragm(&self, x: f64, y: f64) -> f64 {
        let left = smooth_step(-25.0, 35.0, x);
        let top = self.dome[0] + left * (self.dome[1] - self.dome[0]);
        let centre = -52.0 + left * 112.0;
        let r2 = ((x - centre) / 72.0).powi(2) + ((y + 12.0) / 78.0).powi(2);
        let recess = 34.0 * smooth_step(15.0, 85.0, y) + 20.0 * smooth_step(85.0, 130.0, x.abs());
        top - 26.0 * r2.min(2.2) - recess
    }

    fn medial(&self, p: V) -> f64 {
        let [back, middle, front] = self.mediastinum;
        let from_front = smooth_step(-75.0, -30.0, p[1]);
        let to_back = smooth_step(25.0, 55.0, p[1]);
        let at_height = 1.0 - 0.25 * smooth_step(20.0, 100.0, p[2]);
        (front + from_front * (middle - front) + to_back * (back - middle)) * at_height
    }

    /// Distance to the lung on the side of the point.
    pub(crate) fn distance(&self, p: V) -> f64 {
        let wall = self.cage(p) + 2.5;
        let inner = (self.medial(p) - p[0].abs()) * 0.9;
        let bottom = (self.diaphragm(p[0], p[1]) - p[2]) * 0.72;
        let lung = smooth_max(smooth_max(wall, inner, 14.0), bottom, 8.0);
        smooth_max(lung, p[2] - self.apex, 40.0)
    }

    /// Distance to the oblique fissure (negative in the lower lobe) and to the horizontal one.
    fn fissures(&self, p: V) -> [f64; 2] {
        let [height, slope] = self.fissure;
        let bow = 6.0 * (p[0].abs() / 60.0 - 1.0);
        [
            (p[2] - (height + slope * p[1] + bow)) / (1.0 + slope * slope).sqrt(),
            p[2] - self.horizontal - 0.05 * p[0].abs(),
        ]
    }

    /// The lobe a point of a lung belongs to.
    pub(crate) fn lobe(&self, p: V) -> Lobe {
        let [oblique, horizontal] = self.fissures(p);
        match (oblique < 0.0, Side::of(p), horizontal < 0.0) {
            (true, _, _) => Lobe::Lower,
            (false, Side::Right, true) => Lobe::Middle,
            (false, _, _) => Lobe::Upper,
        }
    }

    /// Paints both lungs with their gravity gradient, texture and fissures. Returns the distance to the lung
    /// of every voxel.
    pub(crate) fn paint(&self, canvas: &mut Canvas, density_hu: f64, texture: &Lattice) -> Vec<f32> {
        let mut distances = vec![f32::MAX; canvas.hu.len()];
        let edge = canvas.edge();
        let box_mm = Bounds { low: [-140.0, -100.0, -190.0], high: [140.0, 100.0, 130.0] };
        canvas.visit(box_mm, |index, p, value| {
            let distance = self.distance(p);
            distances[index] = distance as f32;
            let part = (0.5 - distance / edge).clamp(0.0, 1.0);
            if part > 0.0 {
                let mut hu = density_hu + 0.35 * p[1] + 14.0 * texture.at(p);
                let [oblique, horizontal] = self.fissures(p);
                let flat =
                    if p[0] < 0.0 && oblique > 0.0 { oblique.abs().min(horizontal.abs()) } else { oblique.abs() };
                hu += 90.0 * (1.0 - flat / 1.6).max(0.0) * (1.6 / edge).min(1.0);
                *value += ((hu - f64::from(*value)) * part) as f32;
            }
            part
        });
        canvas.own(box_mm, |index, p| match (distances[index], Side::of(p), self.lobe(p)) {
            (d, ..) if d >= PLEURA_MM => None,
            (d, ..) if d >= 0.0 => Some(Organ::Pleura),
            (_, Side::Right, Lobe::Upper) => Some(Organ::RightUpperLobe),
            (_, Side::Right, Lobe::Middle) => Some(Organ::RightMiddleLobe),
            (_, Side::Right, Lobe::Lower) => Some(Organ::RightLowerLobe),
            (_, Side::Left, Lobe::Lower) => Some(Organ::LeftLowerLobe),
            (_, Side::Left, _) => Some(Organ::LeftUpperLobe),
        });
        distances
    }
}
