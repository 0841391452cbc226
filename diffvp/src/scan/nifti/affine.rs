//! The grid of a NIfTI volume in LPS coordinates.
//!
//! NIfTI maps voxel indices to RAS+ coordinates by the sform, else the qform, else by `pixdim` alone
//! (`nifti1.h`, "3D image orientation and location in space"). LPS is RAS with x and y negated.

use super::header::Header;
use crate::{Error, Result, Warning, WarningCode};

/// Where the voxels lie, as [`crate::Volume`] wants it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grid {
    pub spacing_mm: [f64; 3],
    pub origin_mm: [f64; 3],
    pub direction: [[f64; 3]; 3],
}

/// Shear beyond which axes do not count as perpendicular: the cosine of 89.9°.
const MAX_SHEAR: f64 = 1.8e-3;

/// The grid that the header describes, or that `spacing_mm` makes of a header without geometry.
pub(super) fn grid(header: &Header, spacing_mm: Option<[f64; 3]>, warnings: &mut Vec<Warning>) -> Result<Grid> {
    let mut warn = |code, text: String| warnings.push(Warning::new(code, text));
    let qform = (header.qform_code > 0).then(|| qform(header));
    let sform = (header.sform_code > 0).then_some(header.srow);
    let given = sform.or(qform);
    let blank = given.is_none_or(|rows| is_identity(&rows));

    if let Some(spacing_mm) = spacing_mm {
        if blank {
            warn(
                WarningCode::InferredHeader,
                format!(
                    "the header has no geometry: the given spacing {} × {} × {} mm is used, axes taken as left, back, head",
                    spacing_mm[0], spacing_mm[1], spacing_mm[2]
                ),
            );
            let direction = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            return Ok(Grid { spacing_mm, origin_mm: [0.0; 3], direction });
        }
        warn(
            WarningCode::IgnoredContent,
            "the given spacing was not used, because the header has a geometry of its own".into(),
        );
    }
    let rows = match given {
        Some(rows) => rows,
        None => {
            let spacing: [f64; 3] = std::array::from_fn(|a| header.pixdim[a + 1].abs());
            warn(
                WarningCode::InferredHeader,
                "the header has neither sform nor qform: the axes are taken as right, front, head".into(),
            );
            std::array::from_fn(|r| std::array::from_fn(|c| if r == c { spacing[r] } else { 0.0 }))
        }
    };
    if given.is_some() && blank {
        warn(
            WarningCode::InferredHeader,
            "the header has an identity matrix: a spacing of 1 mm is taken from it, which may not be the scan's".into(),
        );
    }
    if let (Some(s), Some(q)) = (sform, qform)
        && (0..3).any(|r| (0..4).any(|c| (s[r][c] - q[r][c]).abs() > 1e-2))
    {
        warn(WarningCode::IgnoredContent, "sform and qform differ: the sform is used".into());
    }
    to_lps(&rows, header.mm_per_unit())
}

/// Whether a matrix is what writers put where they know nothing: spacing 1 along the axes, from 0. Some write it for
/// axes to the right, front and head, others, such as SimpleITK for an array, for left, back and head.
fn is_identity(rows: &[[f64; 4]; 3]) -> bool {
    let is = |sign: [f64; 3]| (0..3).all(|r| (0..4).all(|c| rows[r][c] == if r == c { sign[r] } else { 0.0 }));
    is([1.0, 1.0, 1.0]) || is([-1.0, -1.0, 1.0])
}

/// The matrix of the quaternion, spacing and qfac (`nifti1.h`, method 2).
fn qform(header: &Header) -> [[f64; 4]; 3] {
    let [b, c, d] = header.quatern_bcd;
    let norm2 = b * b + c * c + d * d;
    // Rounding can push a half-turn just over 1: it is then scaled back, as nifti_quatern_to_mat44 does.
    let (a, b, c, d) = if norm2 > 1.0 - 1e-7 {
        let scale = norm2.sqrt().recip();
        (0.0, b * scale, c * scale, d * scale)
    } else {
        ((1.0 - norm2).sqrt(), b, c, d)
    };
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let qfac = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    // Spacings are positive by the standard; a sign must not mirror the scan.
    let scale = [header.pixdim[1].abs(), header.pixdim[2].abs(), header.pixdim[3].abs() * qfac];
    std::array::from_fn(|r| {
        [rotation[r][0] * scale[0], rotation[r][1] * scale[1], rotation[r][2] * scale[2], header.qoffset[r]]
    })
}

fn to_lps(rows: &[[f64; 4]; 3], mm_per_unit: f64) -> Result<Grid> {
    if rows.iter().flatten().any(|v| !v.is_finite()) {
        return Err(Error::Geometry { detail: "the matrix of the header is not finite".into() });
    }
    let sign = [-1.0, -1.0, 1.0];
    let lps: [[f64; 4]; 3] = std::array::from_fn(|r| rows[r].map(|v| v * sign[r] * mm_per_unit));
    let spacing_mm: [f64; 3] =
        std::array::from_fn(|axis| (0..3).map(|r| lps[r][axis] * lps[r][axis]).sum::<f64>().sqrt());
    if let Some(axis) = spacing_mm.iter().position(|s| *s < 1e-6) {
        return Err(Error::Geometry { detail: format!("the spacing along axis {} is 0", axis + 1) });
    }
    let direction: [[f64; 3]; 3] = std::array::from_fn(|r| std::array::from_fn(|axis| lps[r][axis] / spacing_mm[axis]));
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let cosine: f64 = (0..3).map(|r| direction[r][a] * direction[r][b]).sum();
        if cosine.abs() > MAX_SHEAR {
            return Err(Error::Geometry {
                detail: format!(
                    "axes {} and {} meet at {:.2}°, not at a right angle (a sheared volume)",
                    a + 1,
                    b + 1,
                    cosine.clamp(-1.0, 1.0).acos().to_degrees()
                ),
            });
        }
    }
    Ok(Grid { spacing_mm, origin_mm: std::array::from_fn(|r| lps[r][3]), direction })
}
