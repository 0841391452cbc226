//! What the command says of scans: content, scope, choice of a volume, and nothing of the patient.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use diffvp::Volume;
use diffvp::scan::write_nifti;
use diffvp_tests::demo::{chest, package, package_copy, program};
use serde_json::{Value, json};

fn diffvp(arguments: &[&str]) -> Output {
    Command::new(program("diffvp")).args(arguments).env("DIFFVP_LOG", "trace").output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The phantom with every value changed.
fn changed(folder: &Path, name: &str, change: impl Fn(f32) -> f32) -> PathBuf {
    let volume = chest(3);
    let voxels = volume.voxels_hu().iter().map(|v| change(*v)).collect();
    let (spacing, origin) = (volume.spacing_mm(), volume.origin_mm());
    let volume = Volume::new(voxels, volume.dims(), spacing, origin, volume.direction()).unwrap();
    let path = folder.join(name);
    write_nifti(&volume, &path).unwrap();
    path
}

fn inspect(path: &Path) -> Value {
    let output = diffvp(&["inspect", text(path), "--json"]);
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_inspection_has_the_documented_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(folder.path(), "chest.nii.gz", |v| v);
    let picture = folder.path().join("planes.png");
    let found = inspect(&path);
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/inspect-json.md")).unwrap();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut all = fields(&found);
    all.extend(fields(&found["content"]));
    all.extend(fields(&found["content"]["lungs"]));
    for field in &all {
        assert!(document.contains(&format!("`{field}`")), "{field} is not documented");
    }
    assert_eq!(found["schema"], json!("diffvp-inspection/1"));
    assert_eq!(found["content"]["not_chest"], json!(null), "{found}");
    assert_eq!(found["content"]["not_hu"], json!(null));
    assert!(found["content"]["lungs"]["right_left_ml"][0].as_f64().unwrap() > 500.0, "{found}");

    let output = diffvp(&["inspect", text(&path), "--preview", text(&picture)]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("content    a chest"), "{}", told(&output));
    let png = std::fs::read(&picture).unwrap();
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert!(png.starts_with(b"\x89PNG") && size(16) > size(20) && size(20) > 100, "three planes beside each other");
}

#[test]
fn what_the_model_is_not_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    // Without lungs, as a belly: what was lung is now soft tissue.
    let belly = changed(folder.path(), "belly.nii.gz", |v| if (-965.0..-300.0).contains(&v) { 40.0 } else { v });
    let report = |scan: &Path, package: &Path, more: &[&str]| {
        let mut arguments = vec!["report", text(scan), "--package", text(package), "--json"];
        arguments.extend(more);
        diffvp(&arguments)
    };
    let refused = report(&belly, package(), &[]);
    assert_eq!(refused.status.code(), Some(21), "{}", told(&refused));
    assert!(told(&refused).contains("no lungs"), "{}", told(&refused));
    assert!(inspect(&belly)["content"]["not_chest"].is_string());
    let overruled = report(&belly, package(), &["--any-body-part"]);
    assert!(overruled.status.success(), "{}", told(&overruled));
    let printed: Value = serde_json::from_slice(&overruled.stdout).unwrap();
    assert!(printed["warnings"].to_string().contains("not_a_chest"), "{}", printed["warnings"]);

    // Values that are no Hounsfield units: the manifest says what is done.
    let shifted = changed(folder.path(), "shifted.nii.gz", |v| v + 1024.0);
    let warned = report(&shifted, package(), &["--any-body-part"]);
    assert!(warned.status.success(), "{}", told(&warned));
    assert!(String::from_utf8_lossy(&warned.stdout).contains("suspicious_hu"));
    let strict = package_copy(folder.path());
    let path = strict.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["scope"] = json!({ "body_part": "any", "suspicious_hu": "refuse" });
    std::fs::write(&path, manifest.to_string()).unwrap();
    assert!(report(&belly, &strict, &[]).status.success(), "the manifest takes any part of the body");
    let refused = report(&shifted, &strict, &["--any-body-part"]);
    assert_eq!(refused.status.code(), Some(21));
    assert!(told(&refused).contains("Hounsfield"), "{}", told(&refused));
}

const MARKER: &str = "MARKERNAME";

/// A slice whose every text element that the standard knows holds the marker, in sequences and private ones too.
fn marked(z: usize) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let mut planted = 0;
    for group in (0x0008u16..=0x0088).step_by(2).chain([0x2050, 0x3006, 0x3008, 0x300a, 0x300c, 0x4008, 0x4010]) {
        for element in 0..=u16::MAX {
            let tag = Tag(group, element);
            let Some(entry) = StandardDataDictionary.by_tag(tag) else { continue };
            let VirtualVr::Exact(vr) = entry.vr() else { continue };
            use VR::*;
            if matches!(vr, AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | TM | UC | UI | UR | UT) {
                object.put(DataElement::new(tag, vr, MARKER));
                planted += 1;
            }
        }
    }
    assert!(planted > 1000, "{planted} elements");
    let inner = InMemDicomObject::from_element_iter([DataElement::new(tags::PATIENT_NAME, VR::PN, MARKER)]);
    let sequence = dicom_core::value::DataSetSequence::from(vec![inner]);
    object.put(DataElement::new(tags::REFERENCED_IMAGE_SEQUENCE, VR::SQ, sequence));
    object.put(DataElement::new(Tag(0x0009, 0x0010), VR::LO, MARKER));
    object.put(DataElement::new(Tag(0x0009, 0x1001), VR::LO, MARKER));
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2"),
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
        (tags::MODALITY, VR::CS, "CT"),
        (tags::NUMBER_OF_FRAMES, VR::IS, "1"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        (tags::PIXEL_SPACING, VR::DS, "2\\2"),
        (tags::RESCALE_SLOPE, VR::DS, "1"),
        (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        (tags::RESCALE_TYPE, VR::LO, "HU"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        object.put(DataElement::new(tag, vr, value));
    }
    object.put(DataElement::new(tags::IMAGE_POSITION_PATIENT, VR::DS, format!("0\\0\\{}", 2 * z)));
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1u16),
        (tags::ROWS, 8),
        (tags::COLUMNS, 8),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(vec![1000; 64].into())));
    object
}

fn bytes(object: InMemDicomObject) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
        .media_storage_sop_instance_uid("1.2.3.4");
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

/// Everything that the command gives out for a folder, loaded or refused.
fn outputs(study: &Path, out: &Path) -> (bool, Vec<u8>) {
    let (picture, export) = (out.join("p.png"), out.join("v.nii"));
    let mut all = Vec::new();
    let mut loaded = false;
    for arguments in [
        &["inspect", text(study)][..],
        &["inspect", text(study), "--json", "--preview", text(&picture), "--export", text(&export)],
        &["report", text(study), "--package", text(package()), "--json", "--any-body-part"],
    ] {
        let output = diffvp(arguments);
        loaded |= output.status.success();
        all.extend(output.stdout);
        all.extend(output.stderr);
    }
    for file in [picture, export] {
        all.extend(std::fs::read(&file).unwrap_or_default());
        let _ = std::fs::remove_file(&file);
    }
    (loaded, all)
}

#[test]
fn nothing_of_the_patient_is_given_out() {
    let (study, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |name: usize, bytes: &[u8]| {
        std::fs::write(study.path().join(format!("{MARKER}{name}.dcm")), bytes).unwrap();
    };
    let slices: Vec<InMemDicomObject> = (0..4).map(marked).collect();
    let check = |what: &str| {
        let (loaded, all) = outputs(study.path(), out.path());
        assert!(all.len() > 20, "{what}: nothing was said");
        let found = all.windows(MARKER.len()).position(|window| window == MARKER.as_bytes());
        let around = found.map(|at| String::from_utf8_lossy(&all[at.saturating_sub(200)..(at + 50).min(all.len())]));
        assert!(found.is_none(), "{what}: {around:?}");
        loaded
    };
    slices.iter().enumerate().for_each(|(i, slice)| write(i, &bytes(slice.clone())));
    assert!(check("a sound study"));
    // Each element that is read holds the marker in its turn, in one slice.
    for (tag, vr) in [
        (tags::IMAGE_TYPE, VR::CS),
        (tags::MODALITY, VR::CS),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS),
        (tags::IMAGE_POSITION_PATIENT, VR::DS),
        (tags::PIXEL_SPACING, VR::DS),
        (tags::RESCALE_TYPE, VR::LO),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS),
    ] {
        let mut slice = slices[1].clone();
        slice.put(DataElement::new(tag, vr, MARKER));
        write(1, &bytes(slice));
        check(&format!("{tag}"));
    }
    let whole = bytes(slices[1].clone());
    for length in [150, 1000, whole.len() / 2, whole.len() - 7] {
        write(1, &whole[..length]);
        check(&format!("cut at {length}"));
    }
}
