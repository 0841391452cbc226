//! Files that lie, and patients who must not be named.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use proptest::prelude::*;

use super::*;

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

/// Well-formed identifiers too, where they are compared. SeriesInstanceUID alone is shown: it is what a series is chosen by.
#[test]
fn identifiers_that_are_compared_are_not_shown() {
    let of = |number: &'static str| {
        series(&[0.0, 2.0, 4.0], move |object, _| {
            text(object, tags::PATIENT_ID, VR::LO, number);
            text(object, tags::STUDY_INSTANCE_UID, VR::UI, &format!("1.2.{number}"));
            text(object, tags::FRAME_OF_REFERENCE_UID, VR::UI, &format!("1.3.{number}"));
            text(object, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.4.{number}"));
        })
    };
    let scan = open(&[of("7351982640"), of("7351982641")].concat()).unwrap();
    assert!(has(&scan, WarningCode::SeveralStudies));
    let told = format!("{:?} {}", scan.warnings(), serde_json::to_string(scan.source()).unwrap());
    assert!(!told.contains("735198264"), "{told}");
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
        let _ = open(std::slice::from_ref(&bytes));
        let mut framed = vec![0; 128];
        framed.extend(b"DICM");
        framed.extend(bytes);
        let _ = open(&[framed]);
    }
}
