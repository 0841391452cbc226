//! Damaged files among sound ones, and headers that ask for more than there is.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;

use super::*;

/// A slice of a series, cut off behind its SeriesInstanceUID.
fn cut(uid: &'static str) -> Vec<u8> {
    let whole = series(&[8.0], |object, _| text(object, tags::SERIES_INSTANCE_UID, VR::UI, uid)).remove(0);
    let pixels = whole.windows(4).rposition(|w| w == [0xe0, 0x7f, 0x10, 0x00]).unwrap();
    whole[..pixels - 30].to_vec()
}

#[test]
fn a_damaged_file_of_another_series_does_not_spoil_the_scan() {
    let good = series(&[0.0, 2.0, 4.0], |_, _| {});
    let scan = open(&[good.clone(), vec![cut("1.2.9")]].concat()).unwrap();
    let told = scan.warnings().iter().find(|w| w.code == WarningCode::FilesSkipped).unwrap();
    assert!(told.message.contains("file 4 of 4") && told.message.contains("breaks off"), "{}", told.message);
    // One of the series itself does.
    let error = open(&[good.clone(), vec![cut("1.2.3")]].concat()).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { detail } if detail.contains("file 4 of 4")), "{error}");
    assert!(matches!(open(&[cut("1.2.3")]), Err(Error::Corrupt { .. })));
    // However it is damaged: a delimiter where an element should be, behind its SeriesInstanceUID.
    let mut stray = good[2].clone();
    let at = stray.windows(4).rposition(|w| w == [0x28, 0, 0x10, 0]).unwrap();
    stray[at..at + 8].copy_from_slice(&[0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0]);
    let error = open(&[&good[..2], &[stray]].concat()).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { detail } if detail.contains("file 3 of 3")), "{error}");
}

#[test]
fn files_without_pixels_may_end_untidily_or_be_large() {
    let report = |behind: &[u8]| {
        let mut object = slice(0.0);
        object.remove_element(tags::PIXEL_DATA);
        [&bytes(object, EXPLICIT)[..], behind].concat()
    };
    let good = series(&[0.0, 2.0, 4.0], |_, _| {});
    // Zeros behind the end; raw data of a manufacturer that is announced and not there.
    let raw = [&[0xe1, 0x7f, 0x10, 0x10][..], b"OB\0\0", &[0, 0, 0, 0x40], &[1, 2, 3]].concat();
    for behind in [&[0u8; 5][..], &raw] {
        let scan = open(&[good.clone(), vec![report(behind)]].concat()).unwrap();
        let told = scan.warnings().iter().find(|w| w.code == WarningCode::FilesSkipped).unwrap();
        assert!(told.message.contains("without a DICOM image"), "{}", told.message);
    }
}

#[test]
fn pixel_spacings_that_no_scanner_has_are_refused() {
    for spacing in ["0\\0", "2\\0", "1e-9\\1e-9", "-1\\1", "1e9\\1"] {
        let tilted = series(&[0.0, 2.0, 4.0], |object, i| {
            text(object, tags::PIXEL_SPACING, VR::DS, spacing);
            text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\{}\\{}", 0.5 * i as f64, 2 * i));
        });
        let result = open(&tilted);
        assert!(
            matches!(&result, Err(Error::Geometry { detail }) if detail.contains("spacing")),
            "{spacing}: {result:?}"
        );
    }
}

#[test]
fn sizes_of_compressed_frames_are_not_believed_when_series_are_compared() {
    let huge = |uid: &'static str| {
        [0.0, 2.0, 4.0].map(|z| {
            let mut object = slice(z);
            text(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, uid);
            for tag in [tags::ROWS, tags::COLUMNS] {
                object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(4096u16)));
            }
            object.put(DataElement::new(
                tags::PIXEL_DATA,
                VR::OB,
                dicom_core::value::PixelFragmentSequence::new_fragments(vec![vec![0u8; 70]]),
            ));
            bytes(object, "1.2.840.10008.1.2.5")
        })
    };
    let result = open(&[huge("1.2.3"), huge("1.2.4")].concat());
    assert!(matches!(result, Err(Error::LimitExceeded { .. } | Error::Corrupt { .. })), "{result:?}");
}

#[test]
fn a_file_of_frames_without_places_is_no_volume_and_costs_nothing() {
    let many = series(&[0.0], |object, _| text(object, tags::NUMBER_OF_FRAMES, VR::IS, "100000"));
    assert!(matches!(open(&many), Err(Error::Corrupt { .. } | Error::NotAVolume { .. })));
}
