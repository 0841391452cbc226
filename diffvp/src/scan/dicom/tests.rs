//! Synthetic studies, written by the `dicom` crates, which read nothing here.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use proptest::prelude::*;

use super::*;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const ROWS: usize = 3;
const COLUMNS: usize = 4;

/// A slice of 3 × 4 pixels at height `z`; pixel `i` holds `100 · z + i`, intercept −1024.
fn slice(z: f64) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, CT),
        (tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4"),
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
        (tags::MODALITY, VR::CS, "CT"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.9"),
        (tags::INSTANCE_NUMBER, VR::IS, "1"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        (tags::PIXEL_SPACING, VR::DS, "0.5\\0.25"),
        (tags::RESCALE_SLOPE, VR::DS, "1"),
        (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        object.put(DataElement::new(tag, vr, value));
    }
    object.put(DataElement::new(tags::IMAGE_POSITION_PATIENT, VR::DS, format!("-10\\-20\\{z}")));
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1u16),
        (tags::ROWS, ROWS as u16),
        (tags::COLUMNS, COLUMNS as u16),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let pixels: Vec<u16> = (0..(ROWS * COLUMNS) as u16).map(|i| (100.0 * z) as u16 + i).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    object
}

fn text(object: &mut InMemDicomObject, tag: dicom_core::Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, value));
}

fn bytes(object: InMemDicomObject, syntax: &str) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .media_storage_sop_class_uid(CT)
        .media_storage_sop_instance_uid("1.2.3.4");
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

fn open(files: &[Vec<u8>]) -> Result<Scan> {
    open_with(files, &ScanOptions::default())
}

fn open_with(files: &[Vec<u8>], options: &ScanOptions) -> Result<Scan> {
    let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    Scan::from_dicom_buffers(&slices, options)
}

/// A series at the given heights, each slice changed.
fn series(heights: &[f64], change: impl Fn(&mut InMemDicomObject, usize)) -> Vec<Vec<u8>> {
    heights
        .iter()
        .enumerate()
        .map(|(i, z)| {
            let mut object = slice(*z);
            change(&mut object, i);
            bytes(object, EXPLICIT)
        })
        .collect()
}

fn has(scan: &Scan, code: WarningCode) -> bool {
    scan.warnings().iter().any(|w| w.code == code)
}

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
fn geometry_that_does_not_fit_is_refused() {
    let missing = series(&[0.0, 2.0, 4.0, 8.0, 10.0], |_, _| {});
    let tilted = series(&[0.0, 2.0, 4.0], |object, i| {
        text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\{}\\{}", i as f64 * 0.6, i * 2));
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
    for (name, files) in [
        ("missing", missing),
        ("tilted", tilted),
        ("coronal", coronal),
        ("unplaced", unplaced),
        ("differing", differing),
    ] {
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

#[test]
fn sizes_are_not_believed() {
    let sized = |rows: u16, columns: u16| {
        series(&[0.0, 2.0], move |object, _| {
            object.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(rows)));
            object.put(DataElement::new(tags::COLUMNS, VR::US, PrimitiveValue::from(columns)));
        })
    };
    assert!(matches!(open(&sized(65_535, 65_535)), Err(Error::Corrupt { .. })));
    assert!(matches!(open(&sized(0, 4)), Err(Error::Corrupt { .. })));
    let many = series(&[0.0, 2.0], |object, _| text(object, tags::NUMBER_OF_FRAMES, VR::IS, "2000000000"));
    assert!(matches!(open(&many), Err(Error::LimitExceeded { .. })));
    let limit = ScanOptions { max_voxels: 20, ..Default::default() };
    assert!(matches!(open_with(&series(&[0.0, 2.0], |_, _| {}), &limit), Err(Error::LimitExceeded { .. })));
    let mut cut = series(&[0.0, 2.0], |_, _| {});
    let length = cut[1].len();
    cut[1].truncate(length - 6);
    let error = open(&cut).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { detail } if detail.contains("file 2 of 2")), "{error}");
}

#[test]
fn unknown_and_damaged_packing_is_typed() {
    let packed = |syntax: &str, code: &[u8]| {
        let code = code.to_vec();
        [0.0, 2.0].map(|z| {
            let mut object = slice(z);
            object.put(DataElement::new(
                tags::PIXEL_DATA,
                VR::OB,
                dicom_core::value::PixelFragmentSequence::new_fragments(vec![code.clone()]),
            ));
            bytes(object, syntax)
        })
    };
    let mpeg = open(&packed("1.2.840.10008.1.2.4.102", &[0; 16]));
    assert!(
        matches!(&mpeg, Err(Error::Unsupported { detail }) if detail.contains("1.2.840.10008.1.2.4.102")),
        "{mpeg:?}"
    );
    for syntax in ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90"] {
        let soup = [0xff, 0xd8, 0xff, 0xc3, 0, 11, 16, 0, 3, 0, 4, 1, 0, 0x11, 0, 0xff, 0xda, 0, 0];
        let result = open(&packed(syntax, &soup));
        assert!(matches!(result, Err(Error::Corrupt { .. })), "{syntax}: {result:?}");
    }
}

#[test]
fn nothing_of_the_patient_gets_out() {
    const MARKER: &str = "MARKERNAME";
    let plant = |object: &mut InMemDicomObject, _| {
        for (tag, vr) in [
            (tags::PATIENT_NAME, VR::PN),
            (tags::PATIENT_ID, VR::LO),
            (tags::STUDY_DESCRIPTION, VR::LO),
            (tags::SERIES_DESCRIPTION, VR::LO),
            (tags::CONVOLUTION_KERNEL, VR::SH),
            (tags::STATION_NAME, VR::SH),
            (tags::IMAGE_COMMENTS, VR::LT),
            (tags::BODY_PART_EXAMINED, VR::CS),
            (tags::STUDY_INSTANCE_UID, VR::UI),
            (tags::RESCALE_TYPE, VR::LO),
        ] {
            text(object, tag, vr, MARKER);
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, file: &[u8]| std::fs::write(folder.path().join(format!("{MARKER}{name}")), file).unwrap();
    let seen = |result: Result<Scan>| match result {
        Ok(scan) => format!("{:?} {}", scan.warnings(), serde_json::to_string(scan.source()).unwrap()),
        Err(error) => format!("{error} {error:?}"),
    };
    let check = || {
        let text = seen(Scan::open(folder.path()));
        assert!(!text.contains(MARKER), "{text}");
    };
    for (i, file) in series(&[0.0, 2.0], plant).iter().enumerate() {
        write(&i.to_string(), file);
    }
    check();
    let without_type = |object: &mut InMemDicomObject, i: usize| {
        plant(object, i);
        object.remove_element(tags::RESCALE_TYPE);
    };
    let good = series(&[0.0, 2.0, 4.0], without_type);
    for (i, file) in good.iter().enumerate() {
        write(&i.to_string(), file);
    }
    check();
    for modality in [MARKER, "SR"] {
        let odd = series(&[0.0], |object, i| {
            plant(object, i);
            text(object, tags::MODALITY, VR::CS, modality);
            text(object, tags::SERIES_INSTANCE_UID, VR::UI, MARKER);
        });
        write("odd", &odd[0]);
        check();
    }
    for length in [200, 300, good[0].len() - 4] {
        write("0", &good[0][..length]);
        check();
    }
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
    for syntax in ["1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2"] {
        let scan = open(&[bytes(object.clone(), syntax)]).unwrap();
        assert_eq!(scan.source().format, ScanFormat::DicomMultiFrame);
        assert_eq!(scan.volume().spacing_mm(), [0.25, 0.5, 3.0]);
        let voxels = scan.volume().voxels_hu();
        assert_eq!([voxels[0], voxels[12], voxels[24]], [12.0 - 500.0, 24.0 - 1024.0, -1000.0], "{syntax}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_never_panic(
        changes in prop::collection::vec((0usize..2000, any::<u8>()), 1..8),
        cut in 0usize..3000,
        deflated: bool,
    ) {
        let syntax = if deflated { "1.2.840.10008.1.2.1.99" } else { EXPLICIT };
        let mut files: Vec<Vec<u8>> = [0.0, 2.0].iter().map(|z| bytes(slice(*z), syntax)).collect();
        let length = files[0].len();
        for (at, value) in changes {
            files[0][132 + at % (length - 132)] = value;
        }
        files[1].truncate(cut.max(140));
        let _ = open(&files);
        let _ = open(&files[..1]);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = open(&[bytes.clone()]);
        let mut framed = vec![0; 128];
        framed.extend(b"DICM");
        framed.extend(bytes);
        let _ = open(&[framed]);
    }
}
