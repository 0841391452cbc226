//! One phantom, from its number.

use diffvp::{Error, Result, Volume};
use serde::{Deserialize, Serialize};

use super::anatomy::Anatomy;
use super::canvas::Canvas;
use super::findings::{self, Planned, Stage};
use super::noise;
use super::organs;
use super::random::{Draw, Purpose};
use super::truth::Truth;

/// Number of voxels of a phantom. Each shows a whole chest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// 48 × 48 × 32, for tests.
    Tiny,
    /// 96 × 96 × 64, about 3.8 × 3.8 × 5 mm.
    Demo,
    /// 256 × 256 × 96, about 1.4 × 1.4 × 3.4 mm.
    Full,
}

impl Size {
    /// Number of voxels along x, y, z.
    pub fn dims(self) -> [usize; 3] {
        match self {
            Size::Tiny => [48, 48, 32],
            Size::Demo => [96, 96, 64],
            Size::Full => [256, 256, 96],
        }
    }
}

/// What phantoms are like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhantomOptions {
    /// Number of voxels.
    pub size: Size,
    /// Fraction of scans without any finding, from 0 to 1.
    pub normal_fraction: f64,
}

impl Default for PhantomOptions {
    fn default() -> Self {
        PhantomOptions { size: Size::Demo, normal_fraction: 0.25 }
    }
}

/// A synthetic scan and what it contains.
#[derive(Debug, Clone, PartialEq)]
pub struct Phantom {
    /// The scan, in whole HU.
    pub volume: Volume,
    /// What is in it.
    pub truth: Truth,
    /// Organ of each voxel, in the order of the volume's: a position in [`ORGANS`](super::ORGANS).
    pub organs: Vec<u8>,
}

/// Name of a scan, without a file extension.
pub fn scan_name(seed: u64, index: u64) -> String {
    format!("synth_{seed}_{index:05}")
}

/// Whether a scan is a normal one: of the first `n` scans, `⌊n · fraction⌋` are, evenly spread.
pub fn is_normal(index: u64, normal_fraction: f64) -> bool {
    ((index + 1) as f64 * normal_fraction).floor() > (index as f64 * normal_fraction).floor()
}

/// Where the grid of a scan lies.
struct Grid {
    dims: [usize; 3],
    spacing_mm: [f64; 3],
    origin_mm: [f64; 3],
}

struct Plan {
    anatomy: Anatomy,
    planned: Vec<Planned>,
    grid: Grid,
    truth: Truth,
}

fn plan(seed: u64, index: u64, options: &PhantomOptions) -> Result<Plan> {
    if !(0.0..=1.0).contains(&options.normal_fraction) {
        let detail = format!("{} is not a fraction from 0 to 1", options.normal_fraction);
        return Err(Error::InvalidOption { name: "normal-fraction", detail });
    }
    let normal = is_normal(index, options.normal_fraction);
    let mut draw = Draw::new(seed, index, Purpose::Findings);
    let labels = if normal { Vec::new() } else { findings::select(&mut draw) };
    let mut anatomy = Anatomy::draw(seed, index, labels.contains(&"Cardiomegaly"));
    let planned = if normal { Vec::new() } else { findings::plan(&mut draw, &labels, &mut anatomy) };
    let grid = grid(&anatomy, options.size, &mut Draw::new(seed, index, Purpose::Grid));
    let truth = Truth {
        name: scan_name(seed, index),
        seed,
        index,
        normal,
        sex: anatomy.body.sex,
        cardiothoracic_ratio: (anatomy.cardiothoracic_ratio() * 1000.0).round() / 1000.0,
        spacing_mm: grid.spacing_mm,
        findings: planned.iter().map(|p| p.finding.clone()).collect(),
    };
    Ok(Plan { anatomy, planned, grid, truth })
}

/// A field of view around the trunk, a little off centre, from the upper abdomen to above the apices.
fn grid(anatomy: &Anatomy, size: Size, draw: &mut Draw) -> Grid {
    let dims = size.dims();
    let field_mm = 2.0 * anatomy.body.half()[0] * anatomy.scale[0] + draw.uniform(14.0, 40.0);
    let height_mm = anatomy.scale[2] * draw.uniform(306.0, 324.0);
    // Scanners state in-plane spacing to a thousandth and slice spacing to a hundredth.
    let in_plane = (1000.0 * field_mm / dims[0] as f64).round() / 1000.0;
    let between = (100.0 * height_mm / dims[2] as f64).round() / 100.0;
    let spacing_mm = [in_plane, in_plane, between];
    let centre = [draw.uniform(-7.0, 7.0), draw.uniform(-2.0, 14.0), -16.0 + draw.uniform(-6.0, 6.0)];
    let origin_mm = std::array::from_fn(|a| {
        let start = centre[a] - 0.5 * spacing_mm[a] * (dims[a] as f64 - 1.0);
        (start * 100.0).round() / 100.0
    });
    Grid { dims, spacing_mm, origin_mm }
}

/// What a phantom contains, without painting it.
///
/// # Errors
/// [`Error::InvalidOption`] for a fraction outside 0 to 1.
pub fn truth(seed: u64, index: u64, options: &PhantomOptions) -> Result<Truth> {
    Ok(plan(seed, index, options)?.truth)
}

/// Makes the phantom with a number: the same one for the same arguments, on any number of threads.
///
/// # Errors
/// [`Error::InvalidOption`] for a fraction outside 0 to 1.
///
/// ```
/// use diffvp_train::synth::{PhantomOptions, Size, phantom};
///
/// let options = PhantomOptions { size: Size::Tiny, normal_fraction: 1.0 };
/// let scan = phantom(7, 0, &options)?;
/// assert_eq!(scan.volume.dims(), [48, 48, 32]);
/// assert!(scan.truth.findings.is_empty());
/// # Ok::<(), diffvp::Error>(())
/// ```
pub fn phantom(seed: u64, index: u64, options: &PhantomOptions) -> Result<Phantom> {
    let Plan { anatomy, planned, grid, truth } = plan(seed, index, options)?;
    let mut canvas = Canvas::new(grid.dims, grid.spacing_mm, grid.origin_mm, anatomy.scale);
    let mut draw = Draw::new(seed, index, Purpose::Texture);
    let lung = anatomy.paint(&mut canvas, &mut draw);
    let mut stage = Stage { canvas: &mut canvas, anatomy: &anatomy, lung: &lung };
    for lesion in planned.iter().filter_map(|p| p.lesion.as_ref()) {
        lesion.paint(&mut stage);
    }
    let organs = organs::classes(&mut canvas, &anatomy, &lung);
    let deviation_hu = draw.uniform(9.0, 24.0);
    noise::finish(&mut canvas.hu, grid.dims, deviation_hu, &mut draw);
    let direction = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let volume = Volume::new(canvas.hu, grid.dims, grid.spacing_mm, grid.origin_mm, direction)?;
    Ok(Phantom { volume, truth, organs })
}
