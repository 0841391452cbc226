//! Small NIfTI files of every kind against nibabel (`tests/reference/nifti_cases.py`).

use diffvp::Scan;
use diffvp_tests::golden_file;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

#[test]
fn every_case_is_read_as_nibabel_reads_it() {
    let cases: Value =
        serde_json::from_str(&std::fs::read_to_string(golden_file("nifti_cases.json")).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case");
    let cases = cases.as_object().unwrap();
    assert!(cases.len() > 40);
    for (name, case) in cases {
        let hex = case["file"].as_str().unwrap().as_bytes().as_chunks::<2>().0.iter();
        let bytes: Vec<u8> =
            hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        std::fs::write(&path, bytes).unwrap();
        let scan = Scan::open(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let volume = scan.volume();
        let found: Vec<f32> = volume.voxels_hu().to_vec();
        let expected: Vec<f32> = numbers(&case["values"]).iter().map(|v| *v as f32).collect();
        assert_eq!(found, expected, "{name}");
        // LPS, direction times spacing, is RAS with two rows negated.
        let affine = numbers(&case["affine"]);
        for (row, sign) in [-1.0, -1.0, 1.0].into_iter().enumerate() {
            for axis in 0..3 {
                let step = sign * volume.direction()[row][axis] * volume.spacing_mm()[axis];
                assert!((step - affine[4 * row + axis]).abs() < 1e-5, "{name}: {volume:?}, {affine:?}");
            }
            assert!((sign * volume.origin_mm()[row] - affine[4 * row + 3]).abs() < 1e-4, "{name}: {affine:?}");
        }
    }
}
