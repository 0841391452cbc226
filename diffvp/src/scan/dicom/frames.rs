//! Where each frame lies and what tells it apart: from the top level of a classic file, or from the functional groups of an
//! enhanced one (PS3.3, C.7.6.16).

use super::element::Element;
use super::sequence::{elements, items};
use super::values;
use crate::{Error, Result};

/// Position, orientation, spacing and rescale of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Plane {
    /// ImagePositionPatient: centre of the first pixel, LPS, mm.
    pub position_mm: Option<[f64; 3]>,
    /// ImageOrientationPatient: direction of a row, then of a column.
    pub orientation: Option<[f64; 6]>,
    /// PixelSpacing: between rows (y), then between columns (x), in mm.
    pub spacing_mm: Option<[f64; 2]>,
    /// RescaleSlope.
    pub slope: Option<f64>,
    /// RescaleIntercept.
    pub intercept: Option<f64>,
    /// Of an enhanced file's frame, what a classic file says for itself.
    pub apart: Apart,
}

/// What tells frames of one enhanced file apart: scans, phases and reconstructions (PS3.3, C.7.6.16.2.2, C.8.15.3.9).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Apart {
    /// FrameAcquisitionNumber.
    pub acquisition: Option<i64>,
    /// TemporalPositionIndex, or the part of the heart beat.
    pub phase: Option<f64>,
    /// StackID, as a hash.
    pub stack: Option<u64>,
    /// ConvolutionKernel, as a hash.
    pub kernel: Option<u64>,
}

impl Apart {
    fn take(&mut self, e: &Element) {
        match e.tag {
            0x0020_9156 => self.acquisition = values::unsigned(e).map(i64::from),
            0x0020_9128 => self.phase = values::unsigned(e).map(f64::from),
            0x0020_9241 => self.phase = self.phase.or(values::float(e)),
            0x0020_9056 => self.stack = Some(values::hash(e)),
            0x0018_1210 => self.kernel = Some(values::hash(e)),
            _ => {}
        }
    }

    fn or(self, fallback: Apart) -> Apart {
        Apart {
            acquisition: self.acquisition.or(fallback.acquisition),
            phase: self.phase.or(fallback.phase),
            stack: self.stack.or(fallback.stack),
            kernel: self.kernel.or(fallback.kernel),
        }
    }
}

impl Plane {
    /// Takes the element if it is one of the plane's.
    pub(super) fn take(&mut self, e: &Element) {
        match e.tag {
            0x0020_0032 => self.position_mm = values::decimals(e),
            0x0020_0037 => self.orientation = values::decimals(e),
            0x0028_0030 => self.spacing_mm = values::decimals(e),
            0x0028_1052 => self.intercept = values::decimal(e),
            0x0028_1053 => self.slope = values::decimal(e),
            _ => {}
        }
    }

    fn or(self, fallback: &Plane) -> Plane {
        Plane {
            position_mm: self.position_mm.or(fallback.position_mm),
            orientation: self.orientation.or(fallback.orientation),
            spacing_mm: self.spacing_mm.or(fallback.spacing_mm),
            slope: self.slope.or(fallback.slope),
            intercept: self.intercept.or(fallback.intercept),
            apart: self.apart.or(fallback.apart),
        }
    }
}

/// The functional groups of a file.
#[derive(Debug, Default)]
pub(super) struct Groups {
    shared: Group,
    per_frame: Vec<Group>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Group {
    plane: Plane,
    thickness_mm: Option<f64>,
    not_hu: bool,
}

impl Group {
    /// Reads the macros of one item: pixel measures, plane position and orientation, pixel value transformation, frame
    /// content, cardiac synchronization, reconstruction.
    fn read(item: &[u8], sequence: &Element) -> Result<Group> {
        let mut group = Group::default();
        for part in elements(item, sequence.encoding)? {
            let tells_apart = matches!(part.tag, 0x0020_9111 | 0x0018_9118 | 0x0018_9314);
            if !tells_apart && !matches!(part.tag, 0x0028_9110 | 0x0020_9113 | 0x0020_9116 | 0x0028_9145) {
                continue;
            }
            for inner in items(part.value, part.encoding)? {
                for e in elements(inner, part.encoding)? {
                    match e.tag {
                        _ if tells_apart => group.plane.apart.take(&e),
                        0x0018_0050 => group.thickness_mm = values::decimal(&e).filter(|t| *t > 0.0),
                        0x0028_1054 => {
                            group.not_hu =
                                values::is_present(&e) && !values::has_code(&e, "HU") && !values::has_code(&e, "US");
                        }
                        _ => group.plane.take(&e),
                    }
                }
            }
        }
        Ok(group)
    }
}

impl Groups {
    /// SharedFunctionalGroupsSequence.
    pub(super) fn take_shared(&mut self, sequence: &Element) -> Result<()> {
        if let Some(item) = items(sequence.value, sequence.encoding)?.first() {
            self.shared = Group::read(item, sequence)?;
        }
        Ok(())
    }

    /// PerFrameFunctionalGroupsSequence.
    pub(super) fn take_per_frame(&mut self, sequence: &Element, limit: usize) -> Result<()> {
        let items = items(sequence.value, sequence.encoding)?;
        if items.len() > limit {
            return Err(Error::LimitExceeded {
                what: "number of frames of a file".into(),
                found: items.len() as u64,
                limit: limit as u64,
            });
        }
        self.per_frame = Vec::with_capacity(items.len());
        for item in items {
            self.per_frame.push(Group::read(item, sequence)?);
        }
        Ok(())
    }

    /// The planes of all frames; what the groups do not say comes from the top level.
    pub(super) fn planes(self, top: &Plane, frames: usize) -> Result<Vec<Plane>> {
        if !self.per_frame.is_empty() && self.per_frame.len() != frames {
            return Err(Error::Corrupt {
                detail: format!("{} frames are described and {frames} announced", self.per_frame.len()),
            });
        }
        let shared = self.shared.plane.or(top);
        Ok(match self.per_frame.is_empty() {
            // Frames that nothing tells apart lie at one place and make no volume: two of them show that.
            true => vec![shared; frames.min(2)],
            // Taken apart where they are: a hundred thousand frames are not in memory twice.
            false => self.per_frame.into_iter().map(|group| group.plane.or(&shared)).collect(),
        })
    }

    /// SliceThickness of the shared group or of the first frame.
    pub(super) fn thickness_mm(&self) -> Option<f64> {
        self.shared.thickness_mm.or(self.per_frame.first()?.thickness_mm)
    }

    /// Whether a frame's rescale type is something else than Hounsfield units.
    pub(super) fn not_hu(&self) -> bool {
        self.shared.not_hu || self.per_frame.iter().any(|group| group.not_hu)
    }
}
