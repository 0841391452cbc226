//! Encodings and values of pixels.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::*;

#[test]
fn every_uncompressed_syntax_gives_the_same_volume() {
    for syntax in ["1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"] {
        let files: Vec<Vec<u8>> = [4.0, 0.0, 2.0].iter().map(|z| bytes(slice(*z), syntax)).collect();
        let scan = open(&files).unwrap_or_else(|e| panic!("{syntax}: {e}"));
        let volume = scan.volume();
        assert_eq!(volume.dims(), [COLUMNS, ROWS, 3]);
        assert_eq!(volume.spacing_mm(), [0.25, 0.5, 2.0], "{syntax}");
        assert_eq!(volume.origin_mm(), [-10.0, -20.0, 0.0]);
        assert_eq!(volume.voxels_hu()[12], 200.0 - 1024.0, "{syntax}");
        assert_eq!(volume.voxels_hu()[35], 411.0 - 1024.0);
    }
}

#[test]
fn files_without_preamble_or_meta_are_read() {
    let strip = |file: Vec<u8>, from: usize| file[from..].to_vec();
    let meta_end = |file: &[u8]| 132 + 12 + u32::from_le_bytes(file[140..144].try_into().unwrap()) as usize;
    for syntax in ["1.2.840.10008.1.2", EXPLICIT] {
        let files: Vec<Vec<u8>> = [0.0, 2.0].iter().map(|z| bytes(slice(*z), syntax)).collect();
        let no_preamble: Vec<_> = files.iter().map(|f| strip(f.clone(), 128)).collect();
        assert_eq!(open(&no_preamble).unwrap().volume(), open(&files).unwrap().volume());
        if syntax == "1.2.840.10008.1.2" {
            let bare: Vec<_> = files.iter().map(|f| strip(f.clone(), meta_end(f))).collect();
            assert_eq!(open(&bare).unwrap().volume(), open(&files).unwrap().volume());
        }
    }
}

#[test]
fn signed_pixels_of_twelve_bits_ignore_the_bits_above() {
    let files = series(&[0.0, 2.0], |object, _| {
        object.put(DataElement::new(tags::BITS_STORED, VR::US, PrimitiveValue::from(12u16)));
        object.put(DataElement::new(tags::HIGH_BIT, VR::US, PrimitiveValue::from(11u16)));
        object.put(DataElement::new(tags::PIXEL_REPRESENTATION, VR::US, PrimitiveValue::from(1u16)));
        text(object, tags::RESCALE_INTERCEPT, VR::DS, "0");
        let pixels = vec![0x0fffu16, 0xf001, 0x0800, 0x07ff, 0, 0, 0, 0, 0, 0, 0, 0];
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    });
    let scan = open(&files).unwrap();
    assert_eq!(scan.volume().voxels_hu()[..4], [-1.0, 1.0, -1024.0, 2047.0]);
    assert!(has(&scan, WarningCode::PaddingReplaced));
}

#[test]
fn rescale_is_per_slice() {
    let files = series(&[0.0, 2.0], |object, i| {
        text(object, tags::RESCALE_SLOPE, VR::DS, ["1", "2"][i]);
        text(object, tags::RESCALE_INTERCEPT, VR::DS, ["-1000", "-900"][i]);
    });
    let scan = open(&files).unwrap();
    assert_eq!(scan.volume().voxels_hu()[1], -999.0);
    assert_eq!(scan.volume().voxels_hu()[13], 2.0 * 201.0 - 900.0);
}

#[test]
fn padding_becomes_air_but_tissue_does_not() {
    let pad = |value: u16| {
        series(&[0.0, 2.0], move |object, _| {
            object.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::US, PrimitiveValue::from(value)));
            let pixels = vec![63_536u16, 1024, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
        })
    };
    let scan = open(&pad(63_536)).unwrap();
    assert_eq!(scan.volume().voxels_hu()[..2], [-1024.0, 0.0]);
    let warning = scan.warnings().iter().find(|w| w.code == WarningCode::PaddingReplaced).unwrap();
    assert!(warning.message.starts_with("2 voxels"), "{warning}");
    let kept = open(&pad(1024)).unwrap();
    assert_eq!(kept.volume().voxels_hu()[1], 0.0);
}

#[test]
fn padding_may_lie_above_the_stored_bits() {
    // 63,536 in 16 bits would be 2096 in the 12 that are stored, which is bone.
    let files = series(&[0.0, 2.0], |object, _| {
        object.put(DataElement::new(tags::BITS_STORED, VR::US, PrimitiveValue::from(12u16)));
        object.put(DataElement::new(tags::HIGH_BIT, VR::US, PrimitiveValue::from(11u16)));
        object.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::US, PrimitiveValue::from(63_536u16)));
        let pixels = vec![63_536u16, 1024, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    });
    assert_eq!(open(&files).unwrap().volume().voxels_hu()[..2], [-1024.0, 0.0]);
}

/// An enhanced file: shared orientation and spacing, a position and a rescale for every frame.
#[test]
fn enhanced_frames_have_their_own_place_and_rescale() {
    let item = |elements: Vec<(dicom_core::Tag, VR, &str)>| {
        InMemDicomObject::from_element_iter(
            elements.into_iter().map(|(tag, vr, value)| DataElement::new(tag, vr, value)),
        )
    };
    let sequence = |tag, items: Vec<InMemDicomObject>| {
        DataElement::new(tag, VR::SQ, dicom_core::value::DataSetSequence::from(items))
    };
    let mut object = slice(0.0);
    for tag in [
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::RESCALE_SLOPE,
        tags::RESCALE_INTERCEPT,
    ] {
        object.remove_element(tag);
    }
    let shared = InMemDicomObject::from_element_iter([
        sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![item(vec![(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")])],
        ),
        sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![item(vec![(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25")])]),
    ]);
    let frame = |position: &str, intercept: &str| {
        InMemDicomObject::from_element_iter([
            sequence(tags::PLANE_POSITION_SEQUENCE, vec![item(vec![(tags::IMAGE_POSITION_PATIENT, VR::DS, position)])]),
            sequence(
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                vec![item(vec![(tags::RESCALE_INTERCEPT, VR::DS, intercept), (tags::RESCALE_SLOPE, VR::DS, "1")])],
            ),
        ])
    };
    object.put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
    object.put(sequence(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        vec![frame("0\\0\\6", "-1000"), frame("0\\0\\0", "-500"), frame("0\\0\\3", "-1024")],
    ));
    text(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, "3");
    let pixels: Vec<u16> = (0..(3 * ROWS * COLUMNS) as u16).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    for syntax in ["1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"] {
        let scan = open(&[bytes(object.clone(), syntax)]).unwrap();
        assert_eq!(scan.source().format, ScanFormat::DicomMultiFrame);
        assert_eq!(scan.volume().spacing_mm(), [0.25, 0.5, 3.0]);
        let voxels = scan.volume().voxels_hu();
        assert_eq!([voxels[0], voxels[12], voxels[24]], [12.0 - 500.0, 24.0 - 1024.0, -1000.0], "{syntax}");
    }
}
