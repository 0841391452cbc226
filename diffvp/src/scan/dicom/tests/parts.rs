//! Several scans, phases, studies and patients in one folder or file.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::*;

/// Slices at heights, each with its AcquisitionNumber and RescaleIntercept.
fn acquisitions(slices: &[(f64, &'static str, &'static str)]) -> Vec<Vec<u8>> {
    let heights: Vec<f64> = slices.iter().map(|s| s.0).collect();
    series(&heights, |object, i| {
        text(object, tags::ACQUISITION_NUMBER, VR::IS, slices[i].1);
        text(object, tags::RESCALE_INTERCEPT, VR::DS, slices[i].2);
    })
}

#[test]
fn breath_holds_that_follow_each_other_are_one_scan() {
    let slices = |second: [f64; 3]| {
        let first = [0.0, 2.0, 4.0].map(|z| (z, "1", "-1024"));
        acquisitions(&[&first[..], &second.map(|z| (z, "2", "-1024"))].concat())
    };
    let scan = open(&slices([6.8, 8.8, 10.8])).unwrap();
    assert_eq!(scan.volume().dims()[2], 6);
    assert!(has(&scan, WarningCode::SlicesResampled) && scan.source().series.len() == 1);
    // What is missing between them is not hidden by reporting one of them.
    let missing = open(&slices([10.0, 12.0, 14.0]));
    assert!(matches!(&missing, Err(Error::Geometry { detail }) if detail.contains("missing")), "{missing:?}");
}

#[test]
fn scans_among_each_other_are_told_apart_also_where_one_is_incomplete() {
    let (a, b) = (|z: f64| (z, "1", "-1024"), |z: f64| (z, "2", "-900"));
    let interleaved = acquisitions(&[a(0.0), a(2.0), a(4.0), a(6.0), b(0.9), b(2.9), b(4.9)]);
    let stray = acquisitions(&[a(0.0), a(2.0), a(4.0), a(6.0), b(2.0)]);
    let incomplete = acquisitions(&[a(0.0), a(2.0), a(4.0), a(6.0), b(0.0), b(2.0), b(6.0)]);
    for (name, files) in [("interleaved", interleaved), ("stray", stray), ("incomplete", incomplete)] {
        let scan = open(&files).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(scan.volume().dims()[2], 4, "{name}");
        assert_eq!(scan.volume().voxels_hu()[0], -1024.0, "{name}");
        assert_eq!(scan.source().series.len(), 2, "{name}");
    }
    // Breath-holds that overlap by a slice are not halved.
    let overlapping = acquisitions(&[a(0.0), a(2.0), a(4.0), a(6.0), a(8.0), b(8.0), b(10.0), b(12.0)]);
    assert!(matches!(open(&overlapping), Err(Error::Geometry { .. })));
    // Blocks of a few slices that overlap are no scan each.
    let blocks = acquisitions(&[a(0.0), a(2.0), b(2.0), b(4.0), (4.0, "3", "-800"), (6.0, "3", "-800")]);
    assert!(matches!(open(&blocks), Err(Error::Geometry { .. })));
}

/// An enhanced file of slices at heights, each with something in its FrameContentSequence.
fn enhanced(frames: &[(f64, Tag, VR, PrimitiveValue)]) -> Vec<u8> {
    let sequence = |tag, items: Vec<InMemDicomObject>| DataElement::new(tag, VR::SQ, DataSetSequence::from(items));
    let mut object = slice(0.0);
    object.remove_element(tags::IMAGE_POSITION_PATIENT);
    let frame = |(z, tag, vr, value): &(f64, Tag, VR, PrimitiveValue)| {
        let position = DataElement::new(tags::IMAGE_POSITION_PATIENT, VR::DS, format!("0\\0\\{z}"));
        let content = DataElement::new(*tag, *vr, value.clone());
        InMemDicomObject::from_element_iter([
            sequence(tags::FRAME_CONTENT_SEQUENCE, vec![InMemDicomObject::from_element_iter([content])]),
            sequence(tags::PLANE_POSITION_SEQUENCE, vec![InMemDicomObject::from_element_iter([position])]),
        ])
    };
    object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.iter().map(frame).collect()));
    text(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, &frames.len().to_string());
    let pixels: Vec<u16> = (0..(frames.len() * ROWS * COLUMNS) as u16).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    bytes(object, EXPLICIT)
}

#[test]
fn phases_and_stacks_of_one_enhanced_file_are_told_apart() {
    let phase = |z: f64, n: u32| (z, tags::TEMPORAL_POSITION_INDEX, VR::UL, PrimitiveValue::from(n));
    let acquisition = |z: f64, n: u16| (z, tags::FRAME_ACQUISITION_NUMBER, VR::US, PrimitiveValue::from(n));
    let stack = |z: f64, n: &str| (z, tags::STACK_ID, VR::SH, PrimitiveValue::from(n));
    let files = [
        enhanced(&[phase(0.0, 1), phase(2.0, 1), phase(4.0, 1), phase(0.0, 2), phase(2.0, 2), phase(4.0, 2)]),
        enhanced(&[
            acquisition(0.0, 1),
            acquisition(2.0, 1),
            acquisition(0.0, 2),
            acquisition(2.0, 2),
            acquisition(4.0, 1),
            acquisition(4.0, 2),
        ]),
        enhanced(&[
            stack(0.0, "a"),
            stack(2.0, "a"),
            stack(4.0, "a"),
            stack(0.0, "b"),
            stack(2.0, "b"),
            stack(4.0, "b"),
        ]),
    ];
    for file in files {
        let scan = open(&[file]).unwrap();
        assert_eq!(scan.volume().dims()[2], 3);
        assert_eq!(scan.source().series.len(), 2);
    }
    // The better part need not hold the first frame; stacks one behind the other are one scan.
    let second = enhanced(&[phase(0.0, 1), phase(2.0, 1), phase(0.0, 2), phase(2.0, 2), phase(4.0, 2), phase(6.0, 2)]);
    assert_eq!(open(&[second]).unwrap().volume().dims()[2], 4);
    let behind = enhanced(&[stack(0.0, "a"), stack(2.0, "a"), stack(4.0, "b"), stack(6.0, "b")]);
    assert_eq!(open(&[behind]).unwrap().volume().dims()[2], 4);
}

#[test]
fn series_without_proper_uids_stay_apart_and_studies_are_counted() {
    let of = |uid: &'static str, patient: &'static str, study: &'static str| {
        series(&[0.0, 2.0, 4.0], move |object, _| {
            text(object, tags::SERIES_INSTANCE_UID, VR::UI, uid);
            text(object, tags::PATIENT_ID, VR::LO, patient);
            text(object, tags::STUDY_INSTANCE_UID, VR::UI, study);
            let intercept = if uid == "ANON-2" { "-900" } else { "-1024" };
            text(object, tags::RESCALE_INTERCEPT, VR::DS, intercept);
        })
    };
    let one = open(&[of("ANON-1", "p", "1.1"), of("ANON-2", "p", "1.1")].concat()).unwrap();
    assert_eq!((one.volume().dims()[2], one.source().series.len()), (3, 2));
    assert!(!has(&one, WarningCode::SeveralStudies));
    for files in
        [[of("1.2.3", "p", "1.1"), of("1.2.4", "q", "1.1")], [of("1.2.3", "p", "1.1"), of("1.2.4", "p", "1.2")]]
    {
        assert!(has(&open(&files.concat()).unwrap(), WarningCode::SeveralStudies));
    }
}

#[test]
fn thick_slices_and_projections_do_not_win() {
    let of = |uid: &'static str, heights: &[f64], thickness: &'static str, image_type: &'static str| {
        series(heights, move |object, _| {
            text(object, tags::SERIES_INSTANCE_UID, VR::UI, uid);
            text(object, tags::SLICE_THICKNESS, VR::DS, thickness);
            text(object, tags::IMAGE_TYPE, VR::CS, image_type);
        })
    };
    let plain = of("1.2.3", &[0.0, 3.0, 6.0, 9.0], "3", "ORIGINAL\\PRIMARY\\AXIAL");
    let thick = of("1.2.4", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], "10", "ORIGINAL\\PRIMARY\\AXIAL");
    let mip = of("1.2.5", &[0.0, 1.0, 2.0, 3.0], "10", "DERIVED\\SECONDARY\\AXIAL\\MIP");
    let scan = open(&[plain.clone(), thick, mip.clone()].concat()).unwrap();
    assert_eq!(scan.volume().dims()[2], 4);
    assert!(!has(&scan, WarningCode::SliceGaps));
    assert!(matches!(open(&mip), Err(Error::Unsupported { .. })));
    let gaps = open(&of("1.2.3", &[0.0, 10.0, 20.0], "1", "ORIGINAL\\PRIMARY\\AXIAL")).unwrap();
    assert!(has(&gaps, WarningCode::SliceGaps));
}
