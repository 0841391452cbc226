//! Slices as radiologists look at them, from any stored orientation.

use crate::Volume;

/// A body plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    /// Seen from the feet: the patient's left on the right, front up.
    Axial,
    /// Seen from the front: the patient's left on the right, head up.
    Coronal,
    /// Seen from the left: front on the left, head up.
    Sagittal,
}

/// How the grid of a volume is walked for one plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Grid axis and direction (+1 or −1) to the right, down and through the picture. For axial planes
    /// "through" runs to the head, for coronal ones to the back, for sagittal ones to the left.
    right: (usize, f64),
    down: (usize, f64),
    through: (usize, f64),
    dims: [usize; 3],
    spacing_mm: [f64; 3],
}

impl View {
    /// The grid axes closest to the wanted patient axes. Oblique volumes are shown in their own grid.
    pub(super) fn new(volume: &Volume, plane: Plane) -> View {
        let axes = closest_axes(volume.direction());
        // Patient axes (0 left, 1 back, 2 head) and directions of the picture's right, down and depth.
        let (right, down, through) = match plane {
            Plane::Axial => ((0, 1.0), (1, 1.0), (2, 1.0)),
            Plane::Coronal => ((0, 1.0), (2, -1.0), (1, 1.0)),
            Plane::Sagittal => ((1, 1.0), (2, -1.0), (0, 1.0)),
        };
        let grid = |(patient, sign): (usize, f64)| {
            let (axis, towards) = axes[patient];
            (axis, towards * sign)
        };
        View {
            right: grid(right),
            down: grid(down),
            through: grid(through),
            dims: volume.dims(),
            spacing_mm: volume.spacing_mm(),
        }
    }

    /// Number of slices.
    pub(super) fn slices(&self) -> usize {
        self.dims[self.through.0]
    }

    /// Width and height of a slice in mm.
    pub(super) fn extent_mm(&self) -> [f64; 2] {
        [self.right.0, self.down.0].map(|axis| self.dims[axis] as f64 * self.spacing_mm[axis])
    }

    /// Grid index of the centre of pixel `(x, y)` of `[width, height]` in slice `slice`, clamped to the grid.
    pub(super) fn index(&self, slice: usize, x: usize, y: usize, size: [usize; 2]) -> [f64; 3] {
        let mut index = [0.0; 3];
        let place = |(axis, sign): (usize, f64), position: f64| {
            let n = self.dims[axis] as f64;
            let along = position * n - 0.5;
            (axis, if sign > 0.0 { along } else { n - 1.0 - along }.clamp(0.0, n - 1.0))
        };
        for (axis, value) in [
            place(self.right, (x as f64 + 0.5) / size[0] as f64),
            place(self.down, (y as f64 + 0.5) / size[1] as f64),
            place(self.through, (slice as f64 + 0.5) / self.slices() as f64),
        ] {
            index[axis] = value;
        }
        index
    }
}

/// For each patient axis the grid axis that runs along it, each grid axis used once, and its direction.
fn closest_axes(direction: [[f64; 3]; 3]) -> [(usize, f64); 3] {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let fit = |order: &[usize; 3]| -> f64 { (0..3).map(|patient| direction[patient][order[patient]].abs()).sum() };
    let best = ORDERS.iter().max_by(|a, b| fit(a).total_cmp(&fit(b))).unwrap_or(&ORDERS[0]);
    std::array::from_fn(|patient| (best[patient], direction[patient][best[patient]].signum()))
}

/// Value at a continuous grid index, trilinear.
pub(super) fn sample(values: &[f32], dims: [usize; 3], index: [f64; 3]) -> f32 {
    let low = index.map(|i| i as usize);
    let high: [usize; 3] = std::array::from_fn(|a| (low[a] + 1).min(dims[a] - 1));
    let w: [f32; 3] = std::array::from_fn(|a| (index[a] - low[a] as f64) as f32);
    let at = |x: usize, y: usize, z: usize| values[(z * dims[1] + y) * dims[0] + x];
    let line = |y: usize, z: usize| at(low[0], y, z) + w[0] * (at(high[0], y, z) - at(low[0], y, z));
    let plane = |z: usize| line(low[1], z) + w[1] * (line(high[1], z) - line(low[1], z));
    plane(low[2]) + w[2] * (plane(high[2]) - plane(low[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(direction: [[f64; 3]; 3]) -> Volume {
        let values = (0..24).map(|i| i as f32).collect();
        Volume::new(values, [2, 3, 4], [1.0; 3], [0.0; 3], direction).unwrap()
    }

    #[test]
    fn an_lps_volume_is_shown_as_stored() {
        let volume = volume([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let view = View::new(&volume, Plane::Axial);
        assert_eq!(view.slices(), 4);
        assert_eq!(view.index(1, 0, 0, [2, 3]), [0.0, 0.0, 1.0]);
        assert_eq!(view.index(1, 1, 2, [2, 3]), [1.0, 2.0, 1.0]);
        // Coronal: head up.
        assert_eq!(View::new(&volume, Plane::Coronal).index(0, 0, 0, [2, 4]), [0.0, 0.0, 3.0]);
    }

    #[test]
    fn flipped_and_permuted_volumes_show_the_same_side() {
        // Grid x runs to the right of the patient: the picture begins at its end.
        let flipped = volume([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(View::new(&flipped, Plane::Axial).index(0, 0, 0, [2, 3]), [1.0, 0.0, 0.0]);
        // Grid x runs to the head.
        let permuted = volume([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
        let view = View::new(&permuted, Plane::Axial);
        assert_eq!(view.slices(), 2);
        assert_eq!(view.index(1, 0, 3, [3, 4]), [1.0, 0.0, 3.0]);
    }

    #[test]
    fn samples_are_interpolated() {
        let volume = volume([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(sample(volume.voxels_hu(), volume.dims(), [0.5, 1.0, 0.5]), 5.5);
        assert_eq!(sample(volume.voxels_hu(), volume.dims(), [1.0, 2.0, 3.0]), 23.0);
    }
}
