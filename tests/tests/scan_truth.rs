//! Real scans against SimpleITK, nibabel and pydicom (`tests/reference/scan_truth.py`).

use std::io::{Read, Write};
use std::path::Path;

use diffvp::{Error, Scan, ScanOptions, Volume, WarningCode};
use diffvp_tests::{golden_file, shared_data};
use serde_json::Value;

fn truth() -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden_file("scan_truth.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn assert_near(name: &str, what: &str, found: &[f64], expected: &Value, tolerance: f64) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{name}: {what}");
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= tolerance, "{name}: {what} is {found:?}, should be {expected:?}");
    }
}

/// Voxels exactly, geometry within 1e-4 mm.
fn assert_same(name: &str, volume: &Volume, expected: &Value) {
    assert_near(name, "dims", &volume.dims().map(|d| d as f64), &expected["dims"], 0.0);
    assert_near(name, "spacing", &volume.spacing_mm(), &expected["spacing_mm"], 1e-4);
    assert_near(name, "origin", &volume.origin_mm(), &expected["origin_mm"], 1e-4);
    assert_near(name, "direction", &volume.direction().concat(), &expected["direction"], 1e-6);
    assert_voxels(name, volume.voxels_hu(), expected);
}

fn assert_voxels(name: &str, voxels: &[f32], expected: &Value) {
    let places = numbers(&expected["places"]);
    let values: Vec<f64> = places.iter().map(|p| voxels[*p as usize] as f64).collect();
    assert_near(name, "values", &values, &expected["values"], 0.0);
    let sum: f64 = voxels.iter().map(|v| *v as f64).sum();
    let weighted: f64 = voxels.iter().enumerate().map(|(i, v)| *v as f64 * (i % 1009) as f64).sum();
    let (low, high) = voxels.iter().fold((f32::MAX, f32::MIN), |r, v| (r.0.min(*v), r.1.max(*v)));
    assert_near(name, "range", &[low as f64, high as f64], &serde_json::json!([expected["min"], expected["max"]]), 0.0);
    assert_near(name, "sums", &[sum, weighted], &serde_json::json!([expected["sum"], expected["weighted_sum"]]), 0.0);
}

#[test]
fn volumes_are_exact() {
    let Some(data) = shared_data() else { return };
    for (name, expected) in truth()["volumes"].as_object().unwrap() {
        let scan = Scan::open(data.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_same(name, scan.volume(), expected);
    }
}

#[test]
fn what_is_odd_is_said() {
    let Some(data) = shared_data() else { return };
    let warned = |name: &str, code| {
        let scan = Scan::open(data.join(name)).unwrap();
        assert!(scan.warnings().iter().any(|w| w.code == code), "{name}: {:?}", scan.warnings());
    };
    warned("dicom/cip_ct64_79slices", WarningCode::UnevenSpacing);
    warned("dicom/lidc_0001_slab", WarningCode::PaddingReplaced);
    warned("dicom/lidc_0002_slab", WarningCode::PaddingReplaced);
    warned("dicom/lungmask_no_modality", WarningCode::InferredHeader);
    warned("nifti/CT_pitch.nii.gz", WarningCode::SuspiciousHu);
    warned("nifti/CT_pitch.nii.gz", WarningCode::Oblique);
    warned("dicom/lidc_0001_slab", WarningCode::PartialCoverage);
    let clean = Scan::open(data.join("dicom/lungpet_A0001_L_5mm")).unwrap();
    assert!(clean.warnings().is_empty(), "{:?}", clean.warnings());
}

/// Chests, however cropped, are told from everything else.
#[test]
fn chests_are_told_from_other_parts_of_the_body() {
    let Some(data) = shared_data() else { return };
    let chests = [
        "dicom/cip_ct64_79slices",
        "dicom/lungpet_A0001_L_5mm",
        "dicom/lidc_0001_slab",
        "dicom/lidc_0002_slab",
        "dicom/lungmask_no_modality",
        "nifti/chest_cta_aorta.nii.gz",
        "nifti/chest_heart_cta_pulmonary.nii.gz",
    ];
    let others = [
        "dicom/totalseg_j2k_abdomen",
        "dicom/enhanced_ct/eCT_Supplemental.dcm",
        "nifti/abdomen_pelvis.nii.gz",
        "nifti/abdomen_slab.nii.gz",
        "nifti/CT_pitch.nii.gz",
    ];
    for (name, chest) in chests.iter().map(|n| (n, true)).chain(others.iter().map(|n| (n, false))) {
        let scan = Scan::open(data.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: {:?}", scan.content());
        assert_eq!(scan.content().not_chest.is_none(), chest, "{name}: {:?}", scan.content());
        assert_eq!(scan.content().not_hu.is_some(), name.contains("CT_pitch"), "{name}: {:?}", scan.content());
    }
}

#[test]
fn other_formats_and_single_slices_are_refused() {
    let Some(data) = shared_data() else { return };
    for name in ["nrrd_mha/ct-64.nrrd", "nrrd_mha/3DCT_lung_baseline_small.mha"] {
        assert!(matches!(Scan::open(data.join(name)), Err(Error::Unsupported { .. })), "{name}");
    }
    let single = Scan::open(data.join("dicom/transfer_syntaxes/CTImage.dcm"));
    assert!(matches!(single, Err(Error::NotAVolume { .. })));
    assert!(matches!(Scan::open(data.join("reports")), Err(Error::EmptyStudy { .. })));
    let text = Scan::open(data.join("reports/ctrate_valid_labels.csv"));
    assert!(matches!(text, Err(Error::UnknownFormat { .. })));
}

/// The slice twice, 5 mm apart: a volume of two equal slices.
fn doubled(path: &Path, deflated: bool) -> Result<Scan, Error> {
    let first = std::fs::read(path).unwrap();
    let moved = if deflated {
        // The data set behind the meta group is one deflate stream.
        let start = 144 + u32::from_le_bytes(first[140..144].try_into().unwrap()) as usize;
        let mut inflated = Vec::new();
        flate2::read::DeflateDecoder::new(&first[start..]).read_to_end(&mut inflated).unwrap();
        let mut encoder = flate2::write::DeflateEncoder::new(first[..start].to_vec(), flate2::Compression::fast());
        encoder.write_all(&higher(&inflated)).unwrap();
        encoder.finish().unwrap()
    } else {
        higher(&first)
    };
    Scan::from_dicom_buffers(&[&first, &moved], &ScanOptions::default())
}

fn higher(bytes: &[u8]) -> Vec<u8> {
    moved(bytes, b"\\4.700000", b"\\9.700000")
}

/// The file with another position.
fn moved(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    let mut moved = bytes.to_vec();
    moved[at..at + to.len()].copy_from_slice(to);
    moved
}

/// JPEG with 12 bits: decoders round differently, by a step of 1 HU here.
#[test]
fn lossy_volumes_are_right_within_rounding() {
    let Some(data) = shared_data() else { return };
    for (name, expected) in truth()["lossy"].as_object().unwrap() {
        let scan = Scan::open(data.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let volume = scan.volume();
        assert_near(name, "dims", &volume.dims().map(|d| d as f64), &expected["dims"], 0.0);
        assert_near(name, "spacing", &volume.spacing_mm(), &expected["spacing_mm"], 1e-4);
        assert_near(name, "origin", &volume.origin_mm(), &expected["origin_mm"], 1e-4);
        assert_near(name, "direction", &volume.direction().concat(), &expected["direction"], 1e-6);
        let places = numbers(&expected["places"]);
        let values: Vec<f64> = places.iter().map(|p| volume.voxels_hu()[*p as usize] as f64).collect();
        assert_near(name, "values", &values, &expected["values"], 1.0);
        let mean = volume.voxels_hu().iter().map(|v| *v as f64).sum::<f64>() / volume.voxels_hu().len() as f64;
        let should = expected["sum"].as_f64().unwrap() / volume.voxels_hu().len() as f64;
        assert!((mean - should).abs() < 0.05, "{name}: mean {mean}, should be {should}");
        assert!(scan.warnings().iter().any(|w| w.code == WarningCode::LossyCompression), "{name}");
    }
}

/// Private elements of VR UN, JPEG 2000, columns that run to the front.
#[test]
fn a_slice_with_unknown_vrs_is_exact() {
    let Some(data) = shared_data() else { return };
    let name = "dicom/explicit_VR-UN.dcm";
    let first = std::fs::read(data.join(name)).unwrap();
    let second = moved(&first, b"0\\0\\-121", b"0\\0\\-123");
    let scan = Scan::from_dicom_buffers(&[&second, &first], &ScanOptions::default()).unwrap();
    let volume = scan.volume();
    // Row to the left, column to the front: the normal runs to the feet, and the upper slice comes first.
    assert_eq!(volume.direction(), [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]);
    assert_eq!((volume.origin_mm()[2], volume.spacing_mm()[2]), (-121.0, 2.0));
    assert_voxels(name, &volume.voxels_hu()[..512 * 512], &truth()["slices"][name]);
}

#[test]
fn every_transfer_syntax_is_decoded_or_refused_by_name() {
    let Some(data) = shared_data() else { return };
    let folder = data.join("dicom/transfer_syntaxes");
    let raw = doubled(&folder.join("CTImage.dcm"), false).unwrap();
    let slice = raw.volume().voxels_hu().len() / 2;
    assert_voxels("raw", &raw.volume().voxels_hu()[..slice], &truth()["slices"]["dicom/transfer_syntaxes/CTImage.dcm"]);
    assert_eq!(raw.volume().voxels_hu()[..slice], raw.volume().voxels_hu()[slice..]);

    // JPEG with 8 bits has steps of 32.12 HU here, and decoders may differ by rounding: two steps are allowed.
    // Largest difference in HU that each encoding may make; `None` where no decoder is built in.
    let limits: [(&str, Option<f32>); 15] = [
        ("1.2", Some(0.0)),
        ("1.2.1", Some(0.0)),
        ("1.2.1.99", Some(0.0)),
        ("1.2.2", Some(0.0)),
        ("1.2.5", Some(0.0)),
        ("1.2.4.57", Some(0.0)),
        ("1.2.4.70", Some(0.0)),
        ("1.2.4.90", Some(0.0)),
        ("1.2.4.91", Some(5.0)),
        ("1.2.4.50", Some(64.3)),
        ("1.2.4.51", Some(36.0)),
        ("1.2.4.53", None),
        ("1.2.4.55", None),
        ("1.2.4.80", Some(0.0)),
        ("1.2.4.81", Some(1.0)),
    ];
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some((_, syntax)) = name.trim_end_matches(".dcm").rsplit_once("_1.2.840.10008.") else {
            continue;
        };
        let limit = limits.iter().find(|l| l.0 == syntax).unwrap_or_else(|| panic!("{syntax} is not listed")).1;
        match (doubled(&path, syntax.ends_with(".99")), limit) {
            (Ok(scan), Some(limit)) => {
                let pairs = scan.volume().voxels_hu().iter().zip(raw.volume().voxels_hu());
                let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off <= limit, "{syntax}: off by {off} HU");
                let lossy = scan.warnings().iter().any(|w| w.code == WarningCode::LossyCompression);
                assert_eq!(lossy, limit > 0.0, "{syntax}");
            }
            (Err(Error::Unsupported { detail }), None) => {
                assert!(detail.contains(syntax), "{detail}")
            }
            (result, _) => panic!("{syntax}: {:?}", result.map(|scan| scan.warnings().to_vec())),
        }
        seen += 1;
    }
    assert_eq!(seen, limits.len());
}
