//! Slices that are moved onto a regular grid, and series that are taken apart.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::*;

fn put_pixels(object: &mut InMemDicomObject, pixels: Vec<u16>) {
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
}

fn warning(scan: &Scan, code: WarningCode) -> String {
    scan.warnings().iter().find(|w| w.code == code).map(|w| w.message.clone()).unwrap_or_default()
}

#[test]
fn a_tilted_gantry_is_corrected() {
    // One row of 0.5 mm for every 2 mm: 14°. Feet first the shift goes the other way.
    for forward in [true, false] {
        let files = series(&[0.0, 2.0, 4.0, 6.0], |object, i| {
            let y = if forward { 0.5 * i as f64 } else { -0.5 * i as f64 };
            text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("-10\\{y}\\{}", 2 * i));
        });
        let scan = open(&files).unwrap();
        let volume = scan.volume();
        assert_eq!(volume.dims(), [COLUMNS, ROWS + 3, 4]);
        assert_eq!(volume.spacing_mm(), [0.25, 0.5, 2.0]);
        assert_eq!(volume.origin_mm(), [-10.0, if forward { 0.0 } else { -1.5 }, 0.0]);
        for k in 0..4 {
            let first = if forward { k } else { 3 - k };
            for row in 0..ROWS + 3 {
                let found = volume.voxels_hu()[(k * (ROWS + 3) + row) * COLUMNS + 1];
                let expected = match row.checked_sub(first) {
                    Some(j) if j < ROWS => (200 * k + j * COLUMNS + 1) as f32 - 1024.0,
                    _ => -1024.0,
                };
                assert_eq!(found, expected, "slice {k}, row {row}");
            }
        }
        let told = warning(&scan, WarningCode::TiltCorrected);
        assert!(told.contains("14.0°") && told.contains("1.50 mm"), "{told}");
    }
}

#[test]
fn uneven_distances_are_resampled_with_a_warning() {
    // The first pixel holds 100 · z: it must do so at its new place too.
    let scan = open(&series(&[0.0, 2.0, 4.5, 6.0], |_, _| {})).unwrap();
    assert_eq!(scan.volume().spacing_mm()[2], 2.0);
    let first: Vec<f32> = scan.volume().voxels_hu().chunks(ROWS * COLUMNS).map(|slice| slice[0]).collect();
    assert_eq!(first, [-1024.0, -824.0, -624.0, -424.0]);
    let told = warning(&scan, WarningCode::SlicesResampled);
    assert!(told.contains("from 1.500 to 2.500 mm") && told.contains("0.500 mm off"), "{told}");
    assert!(!has(&scan, WarningCode::UnevenSpacing));
    for gap in [&[0.0, 2.0, 5.2, 7.2, 9.2][..], &[0.0, 2.0, 2.8, 4.8, 6.8]] {
        assert!(matches!(open(&series(gap, |_, _| {})), Err(Error::Geometry { .. })), "{gap:?}");
    }
}

#[test]
fn a_regular_series_is_preferred_to_one_that_needs_repair() {
    let mut files = series(&[0.0, 2.0, 4.5, 6.0], |_, _| {});
    files.extend(series(&[0.0, 2.0, 4.0, 6.0], |object, _| text(object, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.4")));
    let scan = open(&files).unwrap();
    assert!(!has(&scan, WarningCode::SlicesResampled));
    assert_eq!(scan.source().series[0].series_instance_uid.as_deref(), Some("1.2.4"));
}

/// Twice the same four places in one series; what differs is told by an element.
fn doubled(change: impl Fn(&mut InMemDicomObject, bool)) -> Vec<Vec<u8>> {
    series(&[0.0, 2.0, 4.0, 6.0, 0.0, 2.0, 4.0, 6.0], |object, i| {
        put_pixels(object, vec![if i < 4 { 1000 } else { 1100 }; ROWS * COLUMNS]);
        change(object, i < 4);
    })
}

#[test]
fn reconstructions_and_phases_in_one_series_are_told_apart() {
    type Change = fn(&mut InMemDicomObject, bool);
    let cases: [(&str, Change, Option<f32>); 6] = [
        // The soft kernel is the second one.
        ("kernel", |o, a| text(o, tags::CONVOLUTION_KERNEL, VR::SH, if a { "B70f" } else { "B30f" }), Some(76.0)),
        ("unknown kernels", |o, a| text(o, tags::CONVOLUTION_KERNEL, VR::SH, if a { "X" } else { "Y" }), None),
        ("phase", |o, a| text(o, tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, if a { "1" } else { "2" }), None),
        ("trigger", |o, a| text(o, tags::TRIGGER_TIME, VR::DS, if a { "300" } else { "600" }), None),
        ("thickness", |o, a| text(o, tags::SLICE_THICKNESS, VR::DS, if a { "2" } else { "5" }), None),
        // The original pixels are the second ones.
        (
            "derived",
            |o, a| {
                let kind = if a { "DERIVED\\SECONDARY\\AXIAL" } else { "ORIGINAL\\PRIMARY\\AXIAL" };
                text(o, tags::IMAGE_TYPE, VR::CS, kind);
            },
            Some(76.0),
        ),
    ];
    for (name, change, expected) in cases {
        let scan = open(&doubled(change)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(scan.volume().dims()[2], 4, "{name}");
        assert_eq!(scan.source().series.len(), 2, "{name}");
        assert!(has(&scan, WarningCode::SeriesChosen), "{name}");
        let found = scan.volume().voxels_hu()[0];
        assert!(expected.is_none_or(|hu| hu == found), "{name}: {found}");
        assert!(scan.volume().voxels_hu().iter().all(|v| *v == found), "{name}: slices are mixed");
    }
    assert!(matches!(open(&doubled(|_, _| {})), Err(Error::Geometry { .. })), "nothing tells them apart");
}

#[test]
fn other_planes_and_scouts_inside_a_series_are_set_aside() {
    let files = series(&[0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0], |object, i| match i {
        4 => text(object, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER"),
        5 => text(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1"),
        6 => {
            object.put(DataElement::new(tags::COLUMNS, VR::US, PrimitiveValue::from(COLUMNS as u16 / 2)));
            put_pixels(object, vec![7; ROWS * COLUMNS / 2]);
        }
        _ => {}
    });
    let scan = open(&files).unwrap();
    assert_eq!(scan.volume().dims(), [COLUMNS, ROWS, 4]);
    let summaries = &scan.source().series;
    assert_eq!((summaries.len(), summaries.iter().filter(|s| s.refused.is_some()).count()), (4, 3));
    assert!(warning(&scan, WarningCode::SeriesChosen).contains("3 cannot be used"), "{:?}", scan.warnings());
}

#[test]
fn a_dicomdir_is_no_slice_and_stands_for_its_study() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("DICOM/PA0");
    std::fs::create_dir_all(&inside).unwrap();
    for (i, file) in series(&[0.0, 2.0, 4.0], |_, _| {}).iter().enumerate() {
        std::fs::write(inside.join(format!("I{i}")), file).unwrap();
    }
    let mut object = InMemDicomObject::new_empty();
    object.put(DataElement::new(tags::FILE_SET_ID, VR::CS, "STUDY"));
    object.put(DataElement::new(tags::FILE_SET_CONSISTENCY_FLAG, VR::US, PrimitiveValue::from(0u16)));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(EXPLICIT)
        .media_storage_sop_class_uid("1.2.840.10008.1.3.10")
        .media_storage_sop_instance_uid("1.2.3.5");
    let mut index = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut index).unwrap();
    for name in ["DICOMDIR", "index.dcm"] {
        let path = folder.path().join(name);
        std::fs::write(&path, &index).unwrap();
        assert_eq!(Scan::open(folder.path()).unwrap().volume().dims()[2], 3, "{name}");
        assert_eq!(Scan::open(&path).unwrap().volume().dims()[2], 3, "{name} itself");
        std::fs::remove_file(&path).unwrap();
    }
    let mut buffers = series(&[0.0, 2.0], |_, _| {});
    buffers.push(index);
    assert!(has(&open(&buffers).unwrap(), WarningCode::FilesSkipped));
}

/// A series of 40 × 30 pixels of 10 mm: a body, with lungs up to a height.
fn torso(heights: &[f64], uid: &str, lungs: std::ops::Range<f64>) -> Vec<Vec<u8>> {
    series(heights, |object, i| {
        let inside = |x: f64, y: f64, cx: f64, a: f64, b: f64| ((x - cx) / a).powi(2) + ((y - 15.0) / b).powi(2) < 1.0;
        let pixel = |p: usize| {
            let (x, y) = ((p % 40) as f64 + 0.5, (p / 40) as f64 + 0.5);
            let lung = lungs.contains(&heights[i]) && (inside(x, y, 12.0, 5.5, 8.0) || inside(x, y, 28.0, 5.5, 8.0));
            let noise = (p * 7 + i * 5) % 11;
            (if lung {
                174
            } else if inside(x, y, 20.0, 16.0, 11.0) {
                1064
            } else {
                24
            }) + noise as u16
        };
        put_pixels(object, (0..1200).map(pixel).collect());
        object.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(30u16)));
        object.put(DataElement::new(tags::COLUMNS, VR::US, PrimitiveValue::from(40u16)));
        text(object, tags::PIXEL_SPACING, VR::DS, "10\\10");
        text(object, tags::SERIES_INSTANCE_UID, VR::UI, uid);
    })
}

#[test]
fn the_series_that_shows_the_lungs_is_chosen_over_a_longer_one() {
    let heights = |count: usize, step: f64| -> Vec<f64> { (0..count).map(|i| i as f64 * step).collect() };
    let mut files = torso(&heights(80, 5.0), "1.2.10", 350.0..1e4);
    files.extend(torso(&heights(45, 5.0), "1.2.11", 20.0..200.0));
    let scan = open(&files).unwrap();
    let [chest, abdomen] = &scan.source().series[..] else { panic!("{:?}", scan.source()) };
    assert_eq!(chest.series_instance_uid.as_deref(), Some("1.2.11"));
    assert!(chest.chosen && abdomen.coverage_mm > chest.coverage_mm);
    assert!(chest.lungs.unwrap().right_left_ml[0] > 1000.0);
    assert_eq!(scan.content().not_chest, None);
    let options = ScanOptions { series_instance_uid: Some("1.2.10".into()), ..Default::default() };
    let other = open_with(&files, &options).unwrap();
    assert!(other.content().not_chest.as_ref().is_some_and(|why| why.contains("abdomen")), "{:?}", other.content());
}
