//! The grid that shapes are painted on, with partial volume at their edges.
//!
//! Shapes live in the space of a standard chest (mm); the canvas carries the scale of the subject.

use super::organs::Organ;
use super::shapes::{Bounds, Segment, V};

/// Voxels in HU, `x` fastest, on the grid of the scan, and what was painted into each.
pub(crate) struct Canvas {
    pub(crate) dims: [usize; 3],
    pub(crate) hu: Vec<f32>,
    /// The organ that is being painted: it owns the voxels that it fills by half or more.
    pub(crate) organ: Option<Organ>,
    /// Label of the organ of each voxel.
    pub(crate) organs: Vec<u8>,
    /// The findings that are being painted, one bit for each label: they mark the voxels of which they fill a
    /// fifth or more.
    pub(crate) finding: u32,
    /// Findings in each voxel.
    pub(crate) findings: Vec<u32>,
    /// Standard mm per voxel.
    step: V,
    /// Standard position of voxel (0, 0, 0).
    start: V,
    /// Width of an edge in standard mm.
    edge: f64,
}

impl Canvas {
    /// A canvas full of air. `scale` is patient mm per standard mm.
    pub(crate) fn new(dims: [usize; 3], spacing_mm: V, origin_mm: V, scale: V) -> Self {
        let step: V = std::array::from_fn(|i| spacing_mm[i] / scale[i]);
        Canvas {
            dims,
            hu: vec![-1000.0; dims.iter().product()],
            organ: None,
            organs: vec![0; dims.iter().product()],
            finding: 0,
            findings: vec![0; dims.iter().product()],
            step,
            start: std::array::from_fn(|i| origin_mm[i] / scale[i]),
            edge: step[0],
        }
    }

    /// Standard position of a voxel's centre.
    pub(crate) fn point(&self, i: usize, j: usize, k: usize) -> V {
        let at = [i, j, k];
        std::array::from_fn(|a| self.start[a] + at[a] as f64 * self.step[a])
    }

    /// Width of an edge: the in-plane size of a voxel, in standard mm.
    pub(crate) fn edge(&self) -> f64 {
        self.edge
    }

    /// Visits the voxels of a box: index, standard position and value in HU. `change` returns the share of the
    /// voxel that it painted.
    pub(crate) fn visit(&mut self, bounds: Bounds, mut change: impl FnMut(usize, V, &mut f32) -> f64) {
        for [i, j, k] in self.voxels(bounds) {
            let index = (k * self.dims[1] + j) * self.dims[0] + i;
            let p = self.point(i, j, k);
            let share = change(index, p, &mut self.hu[index]);
            if share >= 0.5
                && let Some(organ) = self.organ
            {
                self.organs[index] = organ.label();
            }
            if share >= 0.2 {
                self.findings[index] |= self.finding;
            }
        }
    }

    /// Gives the voxels of a box to organs without painting them.
    pub(crate) fn own(&mut self, bounds: Bounds, organ: impl Fn(usize, V) -> Option<Organ>) {
        for [i, j, k] in self.voxels(bounds) {
            let index = (k * self.dims[1] + j) * self.dims[0] + i;
            if let Some(organ) = organ(index, self.point(i, j, k)) {
                self.organs[index] = organ.label();
            }
        }
    }

    /// Marks the voxels of a box for which `inside` holds with the findings that are being painted.
    pub(crate) fn mark(&mut self, bounds: Bounds, inside: impl Fn(V) -> bool) {
        self.visit(bounds, |_, p, _| f64::from(u8::from(inside(p))));
    }

    /// The voxels of a box, x fastest.
    fn voxels(&self, bounds: Bounds) -> impl Iterator<Item = [usize; 3]> + use<> {
        let range: [std::ops::Range<usize>; 3] = std::array::from_fn(|a| {
            let last = self.dims[a] as f64;
            let low = ((bounds.low[a] - self.start[a]) / self.step[a]).floor().clamp(0.0, last);
            let high = ((bounds.high[a] - self.start[a]) / self.step[a]).ceil().clamp(-1.0, last - 1.0) + 1.0;
            low as usize..high as usize
        });
        let [x, y, z] = range;
        z.flat_map(move |k| {
            let x = x.clone();
            y.clone().flat_map(move |j| x.clone().map(move |i| [i, j, k]))
        })
    }

    /// Fills a shape with a value.
    pub(crate) fn paint(&mut self, bounds: Bounds, hu: f64, distance: impl Fn(V) -> f64) {
        let edge = self.edge;
        self.visit(bounds, |_, p, value| {
            let part = (0.5 - distance(p) / edge).clamp(0.0, 1.0);
            if part > 0.0 {
                *value += ((hu - f64::from(*value)) * part) as f32;
            }
            part
        });
    }

    /// Fills a tube that may be thinner than a voxel.
    pub(crate) fn paint_segment(&mut self, segment: &Segment, hu: f64) {
        let thin = (2.0 * segment.radii[0].max(segment.radii[1]) / self.edge).min(1.0);
        let edge = self.edge;
        self.visit(segment.bounds(edge), |_, p, value| {
            let part = (0.5 - segment.distance(p) / edge).clamp(0.0, 1.0) * thin;
            if part > 0.0 {
                *value += ((hu - f64::from(*value)) * part) as f32;
            }
            part
        });
    }
}
