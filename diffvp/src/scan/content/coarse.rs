//! A volume in cells of about 4 mm along the body's axes, and a census of its values: all that the judgement of
//! content looks at. One slice in 4 mm is read, so that looking costs little beside loading.

use rayon::prelude::*;

use crate::Volume;

/// Edge of a cell, in mm.
const CELL_MM: f64 = 4.0;

/// Counts of the voxels that were read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Census {
    pub all: u64,
    /// At or below −1024: padding, or air at the end of the scale.
    pub floor: u64,
    /// Above that, below −300: air and lung.
    pub air: u64,
    /// −200 to 200: fat, water, muscle, blood.
    pub soft: u64,
    /// 700 to 1500: dense bone.
    pub dense: u64,
    pub low: f32,
    pub high: f32,
}

impl Census {
    const NONE: Census =
        Census { all: 0, floor: 0, air: 0, soft: 0, dense: 0, low: f32::INFINITY, high: f32::NEG_INFINITY };

    fn join(self, other: Census) -> Census {
        Census {
            all: self.all + other.all,
            floor: self.floor + other.floor,
            air: self.air + other.air,
            soft: self.soft + other.soft,
            dense: self.dense + other.dense,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }
}

/// Mean values of cells; x runs to the left, y to the back, z to the head.
pub(super) struct Coarse {
    pub values: Vec<f32>,
    pub dims: [usize; 3],
    pub cell_mm: [f64; 3],
    pub census: Census,
}

/// The grid axis behind each body axis, and how it is walked.
struct Axis {
    size: usize,
    first: isize,
    stride: isize,
    /// Voxels in a cell.
    block: usize,
    spacing_mm: f64,
}

impl Coarse {
    pub(super) fn of(volume: &Volume) -> Coarse {
        let [x, y, z] = axes(volume);
        let dims = [x.size.div_ceil(x.block), y.size.div_ceil(y.block), z.size.div_ceil(z.block)];
        let voxels = volume.voxels_hu();
        let mut values = vec![0.0; dims.iter().product()];
        let census = values
            .par_chunks_mut(dims[0] * dims[1])
            .enumerate()
            .map(|(slice, out)| {
                // The middle slice of the cell stands for it.
                let depth = (slice * z.block + z.block / 2).min(z.size - 1);
                let start = x.first + y.first + z.first + depth as isize * z.stride;
                let mut census = Census::NONE;
                for (cell_y, out) in out.chunks_mut(dims[0]).enumerate() {
                    let rows = cell_y * y.block..((cell_y + 1) * y.block).min(y.size);
                    for row in rows.clone() {
                        let at = start + row as isize * y.stride;
                        if x.stride == 1 {
                            let row = &voxels[at as usize..at as usize + x.size];
                            row.chunks(x.block).zip(&mut *out).for_each(|(cell, out)| *out += cell.iter().sum::<f32>());
                            count(row, &mut census);
                        } else {
                            let row: Vec<f32> =
                                (0..x.size as isize).map(|i| voxels[(at + i * x.stride) as usize]).collect();
                            row.chunks(x.block).zip(&mut *out).for_each(|(cell, out)| *out += cell.iter().sum::<f32>());
                            count(&row, &mut census);
                        }
                    }
                    for (cell_x, out) in out.iter_mut().enumerate() {
                        *out /= (rows.len() * x.block.min(x.size - cell_x * x.block)) as f32;
                    }
                }
                census
            })
            .reduce(|| Census::NONE, Census::join);
        let cell_mm = [&x, &y, &z].map(|axis| axis.spacing_mm * axis.block as f64);
        Coarse { values, dims, cell_mm, census }
    }
}

fn count(row: &[f32], census: &mut Census) {
    let (mut floor, mut air, mut soft, mut dense) = (0u32, 0u32, 0u32, 0u32);
    let (mut low, mut high) = (census.low, census.high);
    for &v in row {
        floor += (v <= -1023.5) as u32;
        air += (v > -1023.5 && v < -300.0) as u32;
        soft += (v.abs() <= 200.0) as u32;
        dense += (700.0..=1500.0).contains(&v) as u32;
        low = low.min(v);
        high = high.max(v);
    }
    let more = [floor, air, soft, dense].map(u64::from);
    *census = Census {
        all: census.all + row.len() as u64,
        floor: census.floor + more[0],
        air: census.air + more[1],
        soft: census.soft + more[2],
        dense: census.dense + more[3],
        low,
        high,
    };
}

/// The grid axes that run closest to left, back and head.
fn axes(volume: &Volume) -> [Axis; 3] {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let (dims, spacing, direction) = (volume.dims(), volume.spacing_mm(), volume.direction());
    let fit = |order: &[usize; 3]| (0..3).map(|body| direction[body][order[body]].abs()).sum::<f64>();
    let order = ORDERS.iter().fold(&ORDERS[0], |a, b| if fit(b) > fit(a) + 1e-9 { b } else { a });
    let strides = [1, dims[0] as isize, (dims[0] * dims[1]) as isize];
    std::array::from_fn(|body| {
        let grid = order[body];
        let backwards = direction[body][grid] < 0.0;
        Axis {
            size: dims[grid],
            first: if backwards { (dims[grid] as isize - 1) * strides[grid] } else { 0 },
            stride: if backwards { -strides[grid] } else { strides[grid] },
            block: ((CELL_MM / spacing[grid]).round() as usize).clamp(1, dims[grid]),
            spacing_mm: spacing[grid],
        }
    })
}
