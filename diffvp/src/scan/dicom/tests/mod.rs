//! Synthetic studies, written by the `dicom` crates, which read nothing here.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::*;

mod choice;
mod damaged;
mod hostile;
mod limits;
mod parts;
mod pixels;
mod repair;

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
