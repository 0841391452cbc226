//! Geometry and the choice of a series.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;

use super::*;

#[test]
fn geometry_that_does_not_fit_is_refused() {
    let missing = series(&[0.0, 2.0, 4.0, 8.0, 10.0], |_, _| {});
    let bent = series(&[0.0, 2.0, 4.0], |object, i| {
        let y = [0.0, 0.6, 2.4][i];
        text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\{y}\\{}", i * 2));
    });
    let coronal = series(&[0.0, 2.0], |object, i| {
        text(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
        text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\{}\\0", i * 2));
    });
    let unplaced = series(&[0.0, 2.0], |object, _| {
        object.remove_element(tags::IMAGE_POSITION_PATIENT);
    });
    let differing = series(&[0.0, 2.0, 2.0], |object, i| {
        if i == 2 {
            let pixels = vec![9u16; ROWS * COLUMNS];
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
        }
    });
    for (name, files) in
        [("missing", missing), ("bent", bent), ("coronal", coronal), ("unplaced", unplaced), ("differing", differing)]
    {
        let result = open(&files);
        assert!(matches!(result, Err(Error::Geometry { .. })), "{name}: {result:?}");
    }
    assert!(matches!(open(&series(&[0.0], |_, _| {})), Err(Error::NotAVolume { .. })));
}

#[test]
fn doubled_slices_are_dropped_with_a_warning() {
    let scan = open(&series(&[0.0, 2.0, 2.0, 4.0], |_, _| {})).unwrap();
    assert_eq!(scan.volume().dims()[2], 3);
    assert!(has(&scan, WarningCode::DuplicateSlices));
}

#[test]
fn phases_of_one_series_are_told_apart_by_acquisition() {
    let files = series(&[0.0, 2.0, 4.0, 0.0, 2.0, 4.0, 6.0], |object, i| {
        text(object, tags::ACQUISITION_NUMBER, VR::IS, if i < 3 { "1" } else { "2" });
        text(object, tags::RESCALE_INTERCEPT, VR::DS, if i < 3 { "-1000" } else { "-900" });
    });
    let scan = open(&files).unwrap();
    assert_eq!(scan.volume().dims()[2], 4);
    assert_eq!(scan.volume().voxels_hu()[0], -900.0);
    assert_eq!(scan.source().series.len(), 2);
    assert!(has(&scan, WarningCode::SeriesChosen));
}

#[test]
fn chance_look_alikes_in_a_folder_are_left_out() {
    let mut files = series(&[0.0, 2.0], |_, _| {});
    files.push(b"\x08\0\x05\0\x0a\0\0\0something that is no data set".to_vec());
    let scan = open(&files).unwrap();
    assert!(has(&scan, WarningCode::FilesSkipped));
    assert!(matches!(open(&files[2..]), Err(Error::Corrupt { .. })));
    let cut = files[0][..200].to_vec();
    assert!(matches!(open(&[files[1].clone(), cut]), Err(Error::Corrupt { .. })));
}

#[test]
fn other_pictures_are_refused() {
    let changed = |tag, value: &'static str| series(&[0.0, 2.0], move |object, _| text(object, tag, VR::CS, value));
    for (name, files) in
        [("modality", changed(tags::MODALITY, "MR")), ("colour", changed(tags::PHOTOMETRIC_INTERPRETATION, "RGB"))]
    {
        let result = open(&files);
        assert!(matches!(result, Err(Error::Unsupported { .. })), "{name}: {result:?}");
    }
    let scout = changed(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER");
    assert!(matches!(open(&scout), Err(Error::NotAVolume { .. })));
    let report = series(&[0.0], |object, _| {
        object.remove_element(tags::PIXEL_DATA);
    });
    assert!(matches!(open(&report), Err(Error::NotAVolume { .. })));
}

#[test]
fn missing_headers_are_inferred_with_a_warning() {
    let files = series(&[0.0, 2.0], |object, _| {
        for tag in [tags::MODALITY, tags::INSTANCE_NUMBER, tags::FRAME_OF_REFERENCE_UID, tags::HIGH_BIT] {
            object.remove_element(tag);
        }
    });
    let scan = open(&files).unwrap();
    assert_eq!(scan.warnings().iter().filter(|w| w.code == WarningCode::InferredHeader).count(), 3);
}

#[test]
fn the_best_series_is_chosen_and_explained() {
    let mut files = series(&[0.0, 5.0, 10.0], |_, _| {});
    files.extend(series(&[0.0, 1.0, 2.0, 3.0], |object, _| {
        text(object, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.4");
        text(object, tags::CONVOLUTION_KERNEL, VR::SH, "B70f");
    }));
    files.extend(series(&[0.0], |object, _| {
        text(object, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.5");
        text(object, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
    }));
    let scan = open(&files).unwrap();
    let source = scan.source();
    assert!(has(&scan, WarningCode::SeriesChosen));
    assert_eq!(source.files, 8);
    assert_eq!(source.series.len(), 3);
    assert!(source.series[0].chosen && !source.series[1].chosen && source.series[2].refused.is_some());
    assert!(source.series[0].score >= source.series[1].score);

    let wanted = |uid: &str| ScanOptions { series_instance_uid: Some(uid.into()), ..Default::default() };
    let other = open_with(&files, &wanted("1.2.4")).unwrap();
    assert_eq!(other.volume().dims()[2], 4);
    assert!(matches!(open_with(&files, &wanted("1.2.5")), Err(Error::NotAVolume { .. })));
    assert!(matches!(open_with(&files, &wanted("9.9")), Err(Error::NoUsableSeries { .. })));
}
