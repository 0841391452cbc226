//! Scanners: what a volume shows besides the subject.

use serde::{Deserialize, Serialize};

use super::random::Draw;

/// A scanner with its usual protocol. The same seed and index give the same subject with the same findings on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Native scans with a soft kernel and a usual dose.
    #[default]
    A,
    /// Contrast-enhanced scans with a sharp kernel at low dose, on a scanner whose scale is a little off.
    B,
}

/// How a domain's images are made.
pub(super) struct Protocol {
    /// Density of blood with contrast medium, in HU; that of the subject without one.
    pub(super) enhanced_blood_hu: Option<f64>,
    /// Standard deviation of the noise, in HU.
    pub(super) noise_hu: f64,
    /// Share that a voxel's noise has of each neighbour's: less with a sharper kernel.
    pub(super) noise_correlation: f32,
    /// Error of the scale: HU becomes gain · (HU + 1000) − 1000 + offset.
    pub(super) gain: f64,
    /// See `gain`.
    pub(super) offset_hu: f64,
    /// Field of view beyond the body, in mm.
    pub(super) margin_mm: f64,
}

impl Domain {
    /// Draws the protocol of a scan.
    pub(super) fn protocol(self, draw: &mut Draw) -> Protocol {
        match self {
            Domain::A => Protocol {
                enhanced_blood_hu: None,
                noise_hu: draw.uniform(9.0, 24.0),
                noise_correlation: 0.45,
                gain: 1.0,
                offset_hu: 0.0,
                margin_mm: 0.0,
            },
            Domain::B => Protocol {
                enhanced_blood_hu: Some(draw.uniform(130.0, 230.0)),
                noise_hu: draw.uniform(28.0, 55.0),
                noise_correlation: 0.12,
                gain: draw.uniform(1.01, 1.04),
                offset_hu: draw.uniform(-14.0, -4.0),
                margin_mm: draw.uniform(20.0, 60.0),
            },
        }
    }

    /// Manufacturer and kernel, as a table of metadata names them.
    pub(super) fn names(self) -> [&'static str; 2] {
        match self {
            Domain::A => ["Synthetic A", "soft"],
            Domain::B => ["Synthetic B", "sharp"],
        }
    }
}
