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

    /// Counts in lanes, so that it is vectorised.
    fn of(row: &[f32]) -> Census {
        const LANES: usize = 8;
        let mut counts = [[0u32; LANES]; 4];
        let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        let mut count = |lane: usize, v: f32| {
            counts[0][lane] += u32::from(v <= -1023.5);
            counts[1][lane] += u32::from((v > -1023.5) & (v < -300.0));
            counts[2][lane] += u32::from(v.abs() <= 200.0);
            counts[3][lane] += u32::from((700.0..=1500.0).contains(&v));
            low[lane] = if v < low[lane] { v } else { low[lane] };
            high[lane] = if v > high[lane] { v } else { high[lane] };
        };
        let (chunks, rest) = row.as_chunks::<LANES>();
        for chunk in chunks {
            (0..LANES).for_each(|lane| count(lane, chunk[lane]));
        }
        rest.iter().for_each(|v| count(0, *v));
        let [floor, air, soft, dense] = counts.map(|lanes| lanes.iter().map(|n| u64::from(*n)).sum());
        let low = low.into_iter().fold(f32::INFINITY, f32::min);
        let high = high.into_iter().fold(f32::NEG_INFINITY, f32::max);
        Census { all: row.len() as u64, floor, air, soft, dense, low, high }
    }

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
                let mut gathered = vec![0.0; if x.stride == 1 { 0 } else { x.size }];
                let mut sums = vec![0.0; x.size];
                for (cell_y, out) in out.chunks_mut(dims[0]).enumerate() {
                    let rows = cell_y * y.block..((cell_y + 1) * y.block).min(y.size);
                    sums.fill(0.0f32);
                    for row in rows.clone() {
                        let at = start + row as isize * y.stride;
                        let row = if x.stride == 1 {
                            &voxels[at as usize..at as usize + x.size]
                        } else {
                            let place = |i: usize| (at + i as isize * x.stride) as usize;
                            gathered.iter_mut().enumerate().for_each(|(i, v)| *v = voxels[place(i)]);
                            &gathered
                        };
                        sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                        census = census.join(Census::of(row));
                    }
                    for (cell, out) in sums.chunks(x.block).zip(out) {
                        *out = cell.iter().sum::<f32>() / (rows.len() * cell.len()) as f32;
                    }
                }
                census
            })
            .reduce(|| Census::NONE, Census::join);
        let cell_mm = [&x, &y, &z].map(|axis| axis.spacing_mm * axis.block as f64);
        Coarse { values, dims, cell_mm, census }
    }
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
