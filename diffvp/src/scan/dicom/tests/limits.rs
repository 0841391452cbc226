//! Small files that would take much memory or time.

use dicom_core::value::{DataSetSequence, PixelFragmentSequence};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::*;

fn size(object: &mut InMemDicomObject, rows: u16, columns: u16) {
    object.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(rows)));
    object.put(DataElement::new(tags::COLUMNS, VR::US, PrimitiveValue::from(columns)));
}

/// Two slices with this code for their pixels.
fn packed(syntax: &str, code: &[u8], change: impl Fn(&mut InMemDicomObject)) -> Result<Scan> {
    open(&[0.0, 2.0].map(|z| {
        let mut object = slice(z);
        change(&mut object);
        let fragments = PixelFragmentSequence::new_fragments(vec![code.to_vec()]);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
        bytes(object, syntax)
    }))
}

fn limit_of(result: Result<Scan>) -> String {
    match result {
        Err(Error::LimitExceeded { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn frames_of_all_files_are_counted() {
    let frames = |count: usize| {
        let mut object = slice(0.0);
        let items = vec![InMemDicomObject::new_empty(); count];
        let sequence = DataSetSequence::from(items);
        object.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, sequence));
        text(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, &count.to_string());
        bytes(object, "1.2.840.10008.1.2.1.99")
    };
    let file = frames(100_000);
    assert!(file.len() < 50_000, "{}", file.len());
    assert_eq!(limit_of(open(&vec![file; 3])), "number of frames of all files");
}

#[test]
fn slices_that_are_there_twice_count_twice() {
    let files = series(&[0.0, 0.0, 2.0, 2.0], |object, _| {
        let pixels = vec![7u16; ROWS * COLUMNS];
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    });
    let with = |pixels: usize| open_with(&files, &ScanOptions { max_voxels: pixels as u64, ..Default::default() });
    assert!(has(&with(4 * ROWS * COLUMNS).unwrap(), WarningCode::DuplicateSlices));
    assert_eq!(limit_of(with(2 * ROWS * COLUMNS)), "number of voxels");
}

#[test]
fn large_compressed_frames_are_refused_before_they_are_decoded() {
    let large = |object: &mut InMemDicomObject| size(object, 4097, 4096);
    assert_eq!(limit_of(packed("1.2.840.10008.1.2.5", &[0; 64], large)), "number of pixels of a compressed frame");
}

#[test]
fn scans_of_a_jpeg_frame_are_counted() {
    let mut code = vec![0xff, 0xd8, 0xff, 0xc2, 0, 11, 8, 0, ROWS as u8, 0, COLUMNS as u8, 1, 1, 0x11, 0];
    code.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0].repeat(300));
    assert_eq!(limit_of(packed("1.2.840.10008.1.2.4.50", &code, |_| {})), "number of scans of a JPEG frame");
}

/// The decoder skips what stands between segments, so it would find the second size.
#[test]
fn a_second_size_of_a_jpeg_frame_cannot_be_hidden() {
    let sof = |rows: u16| [0xff, 0xc3, 0, 11, 16, (rows >> 8) as u8, rows as u8, 0, COLUMNS as u8, 1, 1, 0x11, 0];
    for marker in [0x00, 0x01, 0xbf, 0xd0] {
        let mut code = vec![0xff, 0xd8, 0xff, marker, 0, 15];
        code.extend(sof(65_000));
        code.extend(sof(ROWS as u16));
        let result = packed("1.2.840.10008.1.2.4.70", &code, |_| {});
        assert!(
            matches!(&result, Err(Error::Corrupt { detail }) if detail.contains("without a frame header")),
            "{result:?}"
        );
    }
}
