//! What a phantom contains, exactly.

use serde::{Deserialize, Serialize};

use super::body::Sex;
use super::lungs::{Lobe, Side};
use crate::labels::FINDINGS;

/// One thing that was put into a phantom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// One of [`FINDINGS`].
    pub label: String,
    /// What it is, more exactly, in words of a report.
    pub kind: String,
    /// Side, where it has one.
    pub side: Option<Side>,
    /// Lobe, for findings of the lung that have one.
    pub lobe: Option<Lobe>,
    /// Size in mm; what is measured depends on the label (see the module's documentation).
    pub size_mm: f64,
    /// Centre in patient coordinates (LPS), in mm.
    pub position_mm: [f64; 3],
}

/// What is known about a phantom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Name of the scan, without a file extension.
    pub name: String,
    /// Seed of the data set.
    pub seed: u64,
    /// Number of the scan in the data set.
    pub index: u64,
    /// Whether the scan is a normal one.
    pub normal: bool,
    /// Sex of the subject.
    pub sex: Sex,
    /// Transverse diameter of the heart over that of the chest.
    pub cardiothoracic_ratio: f64,
    /// Distance between voxel centres along x, y, z, in mm.
    pub spacing_mm: [f64; 3],
    /// Everything abnormal, in the order of the labels.
    pub findings: Vec<Finding>,
}

impl Truth {
    /// 1 for every label of [`FINDINGS`] that the phantom has.
    pub fn labels(&self) -> [u8; 18] {
        std::array::from_fn(|i| u8::from(self.has(FINDINGS[i])))
    }

    /// Whether a label is present.
    pub fn has(&self, label: &str) -> bool {
        self.findings.iter().any(|f| f.label == label)
    }

    /// The findings of a label.
    pub fn of<'a>(&'a self, label: &'a str) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(move |f| f.label == label)
    }
}
