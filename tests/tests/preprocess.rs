//! Preprocessing against PyTorch, MONAI and SciPy (`tests/reference/preprocess.py`).

use diffvp::volume::{Axes, Fit, Interpolation, Preprocessing, Step};
use diffvp::{Scan, Volume};
use diffvp_tests::{golden_file, shared_data};
use safetensors::SafeTensors;

const DIMS: [usize; 3] = [40, 36, 24];
const SPACING_MM: [f64; 3] = [0.8, 0.7, 2.5];
const LPS: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// The volume of `synthetic()` in the reference script.
fn synthetic(direction: [[f64; 3]; 3]) -> Volume {
    let [nx, ny, nz] = DIMS.map(|d| d as i64);
    let mut voxels = Vec::new();
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                let value = (x * 73 + y * 151 + z * 197 + x * y * 7 + y * z * 5 + x * z * 3) % 1500 - 999;
                let inside = (x - 18).pow(2) * 4 + (y - 20).pow(2) * 5 + (z - 11).pow(2) * 9 < 900;
                voxels.push(if inside { value as f32 } else { -1024.0 });
            }
        }
    }
    Volume::new(voxels, DIMS, SPACING_MM, [10.0, -20.0, 30.0], direction).unwrap()
}

fn reference(name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(golden_file("preprocess.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    (tensor.shape().to_vec(), values)
}

/// Compares every `steps`-th voxel of the prepared volume with the golden values.
fn check(name: &str, volume: &Volume, every: [usize; 3], tolerance: f32, steps: Vec<Step>) {
    let input = Preprocessing { steps, channels: 1 }.apply(volume).unwrap();
    let [_, slices, rows, columns] = input.shape;
    let (shape, expected) = reference(name);
    assert_eq!(shape, [slices.div_ceil(every[0]), rows.div_ceil(every[1]), columns.div_ceil(every[2])], "{name}");
    let mut at = 0;
    let mut worst = 0f32;
    for s in (0..slices).step_by(every[0]) {
        for r in (0..rows).step_by(every[1]) {
            for c in (0..columns).step_by(every[2]) {
                worst = worst.max((input.values[(s * rows + r) * columns + c] - expected[at]).abs());
                at += 1;
            }
        }
    }
    assert!(worst <= tolerance, "{name}: off by {worst}");
}

fn resize(size: [usize; 3], interpolation: Interpolation) -> Step {
    Step::Resize { size, interpolation }
}

#[test]
fn interpolation_agrees_with_pytorch_and_scipy() {
    let v = synthetic(LPS);
    let one = [1, 1, 1];
    check("area_mixed", &v, one, 1e-3, vec![resize([30, 9, 17], Interpolation::Area)]);
    check("trilinear", &v, one, 1e-3, vec![resize([13, 50, 7], Interpolation::Trilinear)]);
    check("nearest", &v, one, 0.0, vec![resize([13, 9, 47], Interpolation::Nearest)]);
    check("zoom", &v, one, 0.0, vec![resize([13, 9, 47], Interpolation::NearestCorners)]);
}

#[test]
fn published_pipelines_agree() {
    let v = synthetic(LPS);
    let one = [1, 1, 1];
    // The presets with smaller sizes, so that the reference values stay small.
    let mut reg2rg = Preprocessing::reg2rg().steps;
    reg2rg[2] = resize([10, 15, 17], Interpolation::Area);
    check("reg2rg", &v, one, 2e-6, reg2rg);

    let mut ct_clip = Preprocessing::ct_clip().steps;
    ct_clip[2] =
        Step::Resample { spacing_mm: [3.0, 1.1, 1.1], interpolation: Interpolation::Trilinear, fit: Fit::EdgesFloor };
    ct_clip[4] = Step::CenterCropOrPad { size: [22, 18, 20], pad_value: -1.0 };
    check("ct_clip", &v, one, 2e-6, ct_clip);

    let mut m3d = Preprocessing::m3d().steps;
    m3d[2] = resize([9, 17, 19], Interpolation::Trilinear);
    check("m3d", &v, one, 2e-6, m3d);

    let mut medicalnet = Preprocessing::medicalnet().steps;
    medicalnet[0] = resize([8, 18, 20], Interpolation::NearestCorners);
    check("medicalnet", &v, one, 2e-6, medicalnet);
}

#[test]
fn orientation_and_spacing_agree_with_monai() {
    // Grid axes run posterior, superior, right.
    let turned = synthetic([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    check("orient_lps", &turned, [2, 3, 3], 0.0, vec![Step::Orient { axes: Axes::Lps }]);
    let spacing =
        Step::Resample { spacing_mm: [3.1, 1.7, 1.9], interpolation: Interpolation::Trilinear, fit: Fit::FirstCentre };
    check("merlin", &turned, [1, 2, 2], 1e-3, vec![Step::Orient { axes: Axes::Ras }, spacing]);
}

#[test]
fn real_scans_agree_with_monai() {
    let Some(data) = shared_data() else { return };
    let text = std::fs::read_to_string(golden_file("preprocess_real.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let area = resize([64, 256, 256], Interpolation::Area);
    let crop = Step::CropForeground { above: -1000.0, margin_voxels: 0 };
    let lps = Step::Orient { axes: Axes::Lps };
    for (name, cases) in reference.as_object().unwrap() {
        let scan = Scan::open(data.join(name)).unwrap();
        let trilinear = resize([48, 200, 300], Interpolation::Trilinear);
        let nearest = resize([50, 211, 307], Interpolation::Nearest);
        for (case, steps, tolerance) in [
            ("area_hu", vec![lps.clone(), crop.clone(), area.clone()], 1e-3),
            ("trilinear_hu", vec![lps.clone(), crop.clone(), trilinear], 1e-3),
            ("reg2rg", Preprocessing::reg2rg().steps, 2e-6),
            ("nearest_hu", vec![lps.clone(), crop.clone(), nearest], 0.0),
            ("merlin", Preprocessing::merlin().steps, 5e-7),
            ("ct_clip", Preprocessing::ct_clip().steps, 1e-6),
            ("ct2rep", Preprocessing::ct2rep().steps, 1.6e-6),
            ("m3d", Preprocessing::m3d().steps, 1e-6),
            ("medicalnet", Preprocessing::medicalnet().steps, 1e-5),
        ] {
            let input = Preprocessing { steps, channels: 1 }.apply(scan.volume()).unwrap();
            let expected = &cases[case];
            let shape: Vec<u64> = input.shape[1..].iter().map(|d| *d as u64).collect();
            assert_eq!(serde_json::json!(shape), expected["shape"], "{name} {case}");
            let mean = input.values.iter().map(|v| *v as f64).sum::<f64>() / input.values.len() as f64;
            assert!((mean - expected["mean"].as_f64().unwrap()).abs() <= tolerance, "{name} {case}: mean {mean}");
            let places = expected["places"].as_array().unwrap().iter().map(|p| p.as_u64().unwrap() as usize);
            for (place, value) in places.zip(expected["values"].as_array().unwrap()) {
                let found = input.values[place] as f64;
                let off = (found - value.as_f64().unwrap()).abs();
                assert!(off <= tolerance, "{name} {case} at {place}: {found}, off by {off}");
            }
        }
    }
}
