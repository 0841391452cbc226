//! Bodies of ellipses: chests, and what must not be taken for one.

use super::*;

const AXES: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
const SPACING_MM: f64 = 5.0;

/// An elliptic cylinder along z.
#[derive(Clone, Copy)]
struct Tube {
    /// Centre and half axes in x and y, in mm from the middle of the picture.
    centre: [f64; 2],
    axes: [f64; 2],
    /// From foot to head, in mm.
    z: [f64; 2],
    hu: f32,
}

fn tube(centre: [f64; 2], axes: [f64; 2], z: [f64; 2], hu: f32) -> Tube {
    Tube { centre, axes, z, hu }
}

const ALL: [f64; 2] = [0.0, 1e4];

/// A body of 340 × 220 mm in a picture of `size_mm`, `height_mm` high, with tubes in it, and some noise.
fn body(size_mm: [f64; 2], height_mm: f64, tubes: &[Tube]) -> Volume {
    let torso = [tube([0.0; 2], [170.0, 110.0], ALL, 40.0), tube([0.0, 75.0], [14.0, 14.0], ALL, 400.0)];
    let dims = [size_mm[0], size_mm[1], height_mm].map(|mm| (mm / SPACING_MM) as usize);
    let mut voxels = Vec::with_capacity(dims.iter().product());
    for k in 0..dims[2] {
        for j in 0..dims[1] {
            for i in 0..dims[0] {
                let x = (i as f64 + 0.5) * SPACING_MM - size_mm[0] / 2.0;
                let y = (j as f64 + 0.5) * SPACING_MM - size_mm[1] / 2.0;
                let z = k as f64 * SPACING_MM;
                let inside = |t: &&Tube| {
                    let [u, v] = [(x - t.centre[0]) / t.axes[0], (y - t.centre[1]) / t.axes[1]];
                    u * u + v * v < 1.0 && (t.z[0]..t.z[1]).contains(&z)
                };
                let hu = torso.iter().chain(tubes).rfind(inside).map_or(-1000.0, |t| t.hu);
                voxels.push(hu + ((i * 7 + j * 13 + k * 5) % 11) as f32 - 5.0);
            }
        }
    }
    Volume::new(voxels, dims, [SPACING_MM; 3], [0.0; 3], AXES).unwrap()
}

fn lungs(z: [f64; 2]) -> [Tube; 2] {
    [-80.0, 80.0].map(|x| tube([x, 0.0], [60.0, 80.0], z, -850.0))
}

const WIDE: [f64; 2] = [440.0, 320.0];

fn judge(volume: &Volume) -> (ScanContent, Vec<WarningCode>) {
    let mut warnings = Vec::new();
    let content = look(volume, &mut warnings);
    (content, warnings.into_iter().map(|w| w.code).collect())
}

fn is_chest(volume: &Volume) -> bool {
    judge(volume).0.not_chest.is_none()
}

#[test]
fn a_chest_is_measured() {
    let (content, codes) = judge(&body(WIDE, 330.0, &lungs([50.0, 300.0])));
    assert_eq!((content.not_hu, content.not_chest), (None, None));
    assert!(codes.is_empty(), "{codes:?}");
    let lungs = content.lungs;
    // Two elliptic cylinders of 6 × 8 × 25 cm.
    let expected = std::f64::consts::PI * 6.0 * 8.0 * 25.0;
    assert!(lungs.right_left_ml.iter().all(|ml| (ml / expected - 1.0).abs() < 0.1), "{lungs:?} {expected}");
    assert!((lungs.height_mm - 250.0).abs() <= 10.0 && !lungs.cut_above && !lungs.cut_below, "{lungs:?}");
}

#[test]
fn chests_that_are_ill_or_cropped_are_chests() {
    let one = [lungs([50.0, 300.0])[1]];
    assert!(is_chest(&body(WIDE, 330.0, &one)), "one lung collapsed");
    let effusion = [-80.0, 80.0].map(|x| tube([x, 0.0], [60.0, 80.0], [50.0, 180.0], 10.0));
    assert!(is_chest(&body(WIDE, 330.0, &[&lungs([50.0, 300.0])[..], &effusion].concat())), "effusions");
    // The picture cuts both lungs at the sides, and the scan above and below.
    let (content, codes) = judge(&body([240.0, 200.0], 120.0, &lungs(ALL)));
    assert_eq!(content.not_chest, None);
    assert!(content.lungs.cut_above && content.lungs.cut_below);
    assert_eq!(codes, [WarningCode::PartialCoverage]);
    assert!(is_chest(&body(WIDE, 900.0, &lungs([500.0, 760.0]))), "from the neck to the thighs");
    assert!(is_chest(&body(WIDE, 700.0, &lungs([460.0, 1e4]))), "to the thighs, without the tops of the lungs");
}

#[test]
fn other_parts_of_the_body_are_none() {
    let refused = |name: &str, volume: Volume| {
        let (content, codes) = judge(&volume);
        assert!(content.not_chest.is_some() && codes.contains(&WarningCode::NotAChest), "{name}: {content:?}");
    };
    refused("no air inside", body(WIDE, 300.0, &[]));
    refused("bases of the lungs", body(WIDE, 400.0, &lungs([320.0, 1e4])));
    refused("tops of the lungs", body(WIDE, 300.0, &lungs([-1.0, 70.0])));
    let gas = [tube([60.0, -40.0], [40.0, 40.0], ALL, -1000.0), tube([-90.0, 10.0], [25.0, 25.0], ALL, -1000.0)];
    refused("bowel gas", body(WIDE, 300.0, &gas));
    let stool = [tube([-110.0, 0.0], [25.0, 25.0], [40.0, 200.0], -500.0)];
    refused("stool", body(WIDE, 300.0, &stool));
    let foam = [tube([0.0, 140.0], [210.0, 25.0], ALL, -900.0)];
    refused("a mattress of foam", body(WIDE, 300.0, &foam));
    let base = [tube([-110.0, 70.0], [30.0, 22.0], ALL, -850.0), tube([110.0, 70.0], [30.0, 22.0], ALL, -850.0)];
    refused("a slab through the lowest recess", body(WIDE, 40.0, &base));
}

#[test]
fn lungs_of_no_patient_are_a_wrong_spacing() {
    let chest = body(WIDE, 330.0, &lungs([50.0, 300.0]));
    for (spacing_mm, allowed) in [
        ([5.0; 3], true),
        ([7.0, 7.0, 5.0], true),
        ([5.0, 5.0, 12.0], false),
        ([1e9, 5.0, 5.0], false),
        ([1e9; 3], false),
    ] {
        let stretched = Volume::new(chest.voxels_hu().to_vec(), chest.dims(), spacing_mm, [0.0; 3], AXES).unwrap();
        let (content, _) = judge(&stretched);
        assert_eq!(content.not_chest.is_none(), allowed, "{spacing_mm:?} {content:?}");
        if let Some(why) = content.not_chest {
            assert!(why.contains("spacing") || why.contains("no lungs"), "{why}");
        }
    }
}

#[test]
fn orientation_does_not_matter() {
    let upright = body(WIDE, 330.0, &lungs([200.0, 1e4]));
    let expected = judge(&upright).0;
    assert!(expected.lungs.cut_above && !expected.lungs.cut_below);
    // The same body stored with z fastest, head first.
    let [nx, ny, nz] = upright.dims();
    let mut voxels = Vec::new();
    for x in 0..nx {
        for y in 0..ny {
            voxels.extend((0..nz).rev().map(|z| upright.voxels_hu()[(z * ny + y) * nx + x]));
        }
    }
    let direction = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]];
    let turned = Volume::new(voxels, [nz, ny, nx], [SPACING_MM; 3], [0.0; 3], direction).unwrap();
    assert_eq!(judge(&turned).0, expected);
}

#[test]
fn values_that_are_not_hu_are_named() {
    let chest = body(WIDE, 330.0, &lungs([50.0, 300.0]));
    let changed = |change: &dyn Fn(f32) -> f32| {
        let voxels = chest.voxels_hu().iter().map(|v| change(*v)).collect();
        let volume = Volume::new(voxels, chest.dims(), chest.spacing_mm(), [0.0; 3], AXES).unwrap();
        let (content, codes) = judge(&volume);
        assert_eq!(codes.contains(&WarningCode::SuspiciousHu), content.not_hu.is_some());
        content.not_hu.unwrap_or_default()
    };
    assert_eq!(changed(&|v| v), "");
    assert_eq!(changed(&|v| v.clamp(-1000.0, 200.0)), "", "windows of published pipelines keep the scale");
    for (name, told, change) in [
        ("never rescaled", "shifted by 1024", (&|v: f32| v + 1024.0) as &dyn Fn(f32) -> f32),
        ("never rescaled, with padding", "shifted by 1024", &|v| if v < -996.0 { -2000.0 } else { v + 1024.0 }),
        ("rescaled twice", "rescaled twice", &|v| (v - 1024.0).max(-1024.0)),
        ("rescaled twice, not cut off", "rescaled twice", &|v| v - 1024.0),
        ("a wrong intercept of 8192", "no air", &|v| v + 8192.0),
        ("8 bits", "8-bit", &|v| ((v + 1000.0) / 1600.0 * 255.0).clamp(0.0, 255.0).round()),
        ("normalised", "normalised", &|v| (v.clamp(-1000.0, 200.0) + 400.0) / 600.0),
        ("constant", "same value", &|_| 7.0),
    ] {
        let found = changed(change);
        assert!(found.contains(told), "{name}: {found:?}");
    }
}
