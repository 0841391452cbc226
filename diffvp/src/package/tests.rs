//! Each way in which a package can be wrong, and the error that it gives.

use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture::{BANK_SHAPE, Fixture};
use super::manifest::SUPPORTED_FEATURES;
use super::{Package, names, read, validate};
use crate::{Error, WarningCode};

fn manifest_detail<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Manifest { detail } => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_valid_package_opens() {
    let fixture = Fixture::new();
    let package = fixture.open().unwrap();
    assert_eq!(package.manifest(), &fixture.typed());
    assert_eq!(package.sha256(), crate::files::sha256(&fs::read(fixture.path(names::MANIFEST)).unwrap()));
    assert_eq!(package.bank().shape(), BANK_SHAPE);
    assert_eq!(package.bank().ids(), ["normal-0", "normal-1"]);
    assert_eq!(package.bank().tokens(1)[0], 12.0 / 8.0);
    assert_eq!(package.path(names::DECODER), fixture.path(names::DECODER));
    assert!(package.warnings().is_empty(), "{:?}", package.warnings());
    package.verify().unwrap();
    assert!(format!("{package:?}").contains("fixture"));
}

#[test]
fn every_feature_of_the_list_is_accepted() {
    let fixture = Fixture::new();
    fixture.open_with("/required_features", json!(SUPPORTED_FEATURES)).unwrap();
}

#[test]
fn the_manifest_writes_what_it_read() {
    let fixture = Fixture::new();
    let bytes = fixture.typed().to_json().unwrap();
    assert_eq!(read::parse(&bytes).unwrap(), (fixture.typed(), vec![]));
    assert_eq!(bytes.last(), Some(&b'\n'));
}

#[test]
fn a_flipped_byte_in_any_file_is_found() {
    let fixture = Fixture::new();
    for name in names::REQUIRED {
        let whole = fs::read(fixture.path(name)).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(fixture.path(name), &bytes).unwrap();
            let error = fixture.open().unwrap_err();
            assert!(matches!(&error, Error::PackageFileChanged { file, .. } if file == name), "{error}");
        }
        fs::write(fixture.path(name), &whole[..whole.len() - 1]).unwrap();
        let error = fixture.open().unwrap_err();
        assert!(matches!(&error, Error::PackageFileChanged { file, .. } if file == name), "{error}");
        fs::write(fixture.path(name), whole).unwrap();
    }
    fixture.open().unwrap();
}

#[test]
fn a_change_after_opening_is_found() {
    let fixture = Fixture::new();
    let package = fixture.open().unwrap();
    let mut bytes = fs::read(fixture.path(names::DECODER)).unwrap();
    bytes[3] ^= 1;
    fs::write(fixture.path(names::DECODER), bytes).unwrap();
    assert!(matches!(package.verify(), Err(Error::PackageFileChanged { file, .. }) if file == names::DECODER));
    fixture.open_with("/model/version", json!("2")).unwrap_err();
    assert!(matches!(package.verify(), Err(Error::PackageFileChanged { file, .. }) if file == names::MANIFEST));
}

#[test]
fn missing_things() {
    let fixture = Fixture::new();
    assert!(matches!(Package::open(fixture.path("absent")), Err(Error::NotFound { .. })));
    assert!(manifest_detail(Package::open(fixture.path(names::BANK))).contains("folder"));
    for name in names::REQUIRED {
        let whole = fs::read(fixture.path(name)).unwrap();
        fs::remove_file(fixture.path(name)).unwrap();
        assert!(matches!(fixture.open(), Err(Error::PackageFileMissing { file }) if file == name));
        fs::create_dir(fixture.path(name)).unwrap();
        assert!(matches!(fixture.open(), Err(Error::PackageFileChanged { file, .. }) if file == name));
        fs::remove_dir(fixture.path(name)).unwrap();
        fs::write(fixture.path(name), whole).unwrap();
    }
    fs::remove_file(fixture.path(names::MANIFEST)).unwrap();
    assert!(manifest_detail(fixture.open()).contains("no file manifest.json"));
}

#[test]
fn a_newer_version_says_so_whatever_else_it_holds() {
    let fixture = Fixture::new();
    let write = |text: &str| fs::write(fixture.path(names::MANIFEST), text).unwrap();
    write(r#"{"format":"diffvp-package","format_version":2,"required_features":7,"files":[],"vision":null}"#);
    assert!(matches!(fixture.open(), Err(Error::PackageVersion { found: 2, supported: 1 })));
    write(r#"{"format":"diffvp-package","format_version":99999999999}"#);
    assert!(matches!(fixture.open(), Err(Error::PackageVersion { found: u32::MAX, .. })));
    write(r#"{"format":"diffvp-package","format_version":0}"#);
    assert!(manifest_detail(fixture.open()).contains("format_version"));
    write(r#"{"format":"other-package","format_version":2}"#);
    assert!(manifest_detail(fixture.open()).contains("other-package"));
    // A feature of the same version is named before the fields that come with it are judged.
    write(r#"{"format":"diffvp-package","format_version":1,"required_features":["int2_weights"],"vision":{}}"#);
    assert!(matches!(fixture.open(), Err(Error::PackageFeature { feature }) if feature == "int2_weights"));
}

#[test]
fn broken_or_giant_json() {
    let fixture = Fixture::new();
    let whole = fs::read(fixture.path(names::MANIFEST)).unwrap();
    for length in [0, 1, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(fixture.path(names::MANIFEST), &whole[..length]).unwrap();
        manifest_detail(fixture.open());
    }
    fs::write(fixture.path(names::MANIFEST), "[".repeat(100_000)).unwrap();
    manifest_detail(fixture.open());
    let file = fs::File::create(fixture.path(names::MANIFEST)).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(matches!(fixture.open(), Err(Error::LimitExceeded { found: 0x100_0000_0000, .. })));
}

#[test]
fn names_that_leave_the_package_are_refused() {
    let fixture = Fixture::new();
    for name in ["../evil", "/etc/passwd", "a/../../b", "a\\b", "manifest.json"] {
        let mut files = fixture.manifest["files"].clone();
        files[name] = files[names::ENCODER].clone();
        assert!(manifest_detail(fixture.open_with("/files", files)).contains("files: the name"));
    }
    let mut files = fixture.manifest["files"].clone();
    files["Encoder.onnx"] = files[names::ENCODER].clone();
    assert!(manifest_detail(fixture.open_with("/files", files)).contains("twice"));
}

#[cfg(unix)]
#[test]
fn links_may_not_leave_the_package() {
    let fixture = Fixture::new();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("encoder.onnx");
    fs::rename(fixture.path(names::ENCODER), &target).unwrap();
    std::os::unix::fs::symlink(&target, fixture.path(names::ENCODER)).unwrap();
    assert!(matches!(fixture.open(), Err(Error::PackageContent { file, .. }) if file == names::ENCODER));
    fs::remove_file(fixture.path(names::ENCODER)).unwrap();
    fs::rename(&target, fixture.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", fixture.path(names::ENCODER)).unwrap();
    fixture.open().unwrap();
}

#[test]
fn a_bank_that_does_not_fit() {
    let mut fixture = Fixture::new();
    fixture.write_bank(BANK_SHAPE, Some(&"b".repeat(64)));
    fixture.seal();
    assert!(matches!(fixture.open(), Err(Error::BankMismatch { detail }) if detail.contains(&"b".repeat(64))));
    fixture.write_bank([2, 3, 4], None);
    fixture.seal();
    assert!(matches!(fixture.open(), Err(Error::BankMismatch { detail }) if detail.contains("[2, 3, 4]")));
    fixture.write_bank(BANK_SHAPE, None);
    fixture.seal();
    let other = fixture.open_with("/reference_bank/encoder_sha256", json!("c".repeat(64)));
    assert!(matches!(other, Err(Error::BankMismatch { .. })));
    fs::write(fixture.path(names::BANK), b"not a bank").unwrap();
    fixture.seal();
    assert!(matches!(fixture.open(), Err(Error::PackageContent { file, .. }) if file == names::BANK));
}

#[test]
fn a_graph_that_is_not_onnx_or_reads_elsewhere() {
    let external = |location: &str| {
        let mut entry = vec![0x0a, 8];
        entry.extend(b"location");
        entry.extend([0x12, location.len() as u8]);
        entry.extend(location.as_bytes());
        let wrap = |tag: u8, inner: Vec<u8>| [vec![tag, inner.len() as u8], inner].concat();
        [vec![0x08, 10], wrap(0x3a, wrap(0x2a, wrap(0x6a, entry)))].concat()
    };
    let mut fixture = Fixture::new();
    for bytes in [b"hello, I am text".to_vec(), external("decoder.onnx.data"), external("../bank")] {
        fs::write(fixture.path(names::DECODER), bytes).unwrap();
        fixture.seal();
        assert!(matches!(fixture.open(), Err(Error::PackageContent { file, .. }) if file == names::DECODER));
    }
    // A file that is listed may be read.
    fs::write(fixture.path(names::DECODER), external("tokenizer.json")).unwrap();
    fixture.seal();
    fixture.open().unwrap();
}

#[test]
fn a_tokenizer_that_does_not_fit() {
    let mut fixture = Fixture::new();
    let content = |result| matches!(result, Err(Error::PackageContent { file, .. }) if file == names::TOKENIZER);
    assert!(content(fixture.open_with("/prompt/0/token", json!("<absent>"))));
    assert!(content(fixture.open_with("/decoder/vocab_size", json!(6))));
    let prompt_of_12 = json!(11);
    fixture.manifest["generation"]["max_new_tokens"] = json!(8);
    assert!(manifest_detail(fixture.open_with("/decoder/context_length", prompt_of_12)).contains("prompt takes"));
    fixture.open_with("/decoder/context_length", json!(13)).unwrap();
    fs::write(fixture.path(names::TOKENIZER), b"{}").unwrap();
    fixture.seal();
    assert!(content(fixture.open()));
}

#[test]
fn manifests_that_contradict_themselves() {
    let fixture = Fixture::new();
    let cases = [
        ("/model/id", json!(" "), "model.id"),
        ("/intended_use/statement", json!(""), "statement"),
        ("/scope", json!({ "body_part": "head" }), "scope"),
        ("/scope", json!({ "bodypart": "any" }), "scope"),
        ("/files/encoder.onnx/sha256", json!("ABC"), "sha256"),
        ("/files", json!({ "a": { "bytes": 1, "sha256": "0".repeat(64) } }), "not listed"),
        ("/vision/input/1", json!(0), "vision.input"),
        ("/vision/input", json!([1, 4096, 4096, 4096]), "vision.input"),
        ("/vision/token_dim", json!(0), "token_dim"),
        ("/vision/prefix_tokens", json!(1u64 << 40), "prefix_tokens"),
        ("/vision/feature_grid", json!([9, 2, 2]), "finer"),
        ("/reference_bank/references", json!(0), "references"),
        ("/preprocessing/steps", json!([]), "no step fixes the size"),
        ("/preprocessing/steps/2/size", json!([8, 16, 17]), "vision.input"),
        ("/preprocessing/channels", json!(3), "vision.input"),
        ("/preprocessing/steps/3/max", json!(-1000.5), "step 4"),
        ("/preprocessing/steps/4/divisor", json!(0.0), "step 5"),
        ("/preprocessing/steps/4/shift", json!(1e39), "step 5"),
        ("/preprocessing/steps/3", json!({ "op": "orient", "axes": "LPS" }), "no step fixes the size"),
        ("/preprocessing/steps/3", json!({ "op": "min_max", "surprise": 1 }), "surprise"),
        ("/preprocessing/steps/3", json!({ "op": "sharpen" }), "sharpen"),
        (
            "/preprocessing/steps/4",
            json!({ "op": "windows", "windows": [{ "min": -1000, "max": 200 }] }),
            "channel_windows",
        ),
        ("/preprocessing/steps/3", json!({ "op": "windows", "windows": [{ "min": -1000, "max": 200 }] }), "last step"),
        ("/findings", json!([]), "findings"),
        ("/findings/1/name", json!("cardiomegaly"), "twice"),
        ("/findings/0/threshold", json!(1e39), "threshold"),
        ("/findings/0/threshold", json!(-0.5), "threshold"),
        ("/sections", json!([]), "sections"),
        ("/sections/1/heading", json!("Heart"), "twice"),
        ("/sections/1/region", json!(""), "empty"),
        ("/prompt", json!([]), "prompt"),
        ("/prompt/4", json!({ "kind": "difference" }), "twice"),
        ("/prompt/4/text", json!(""), "prompt[4]"),
        ("/decoder/layers", json!(0), "layers"),
        ("/decoder/end_token_ids", json!([]), "end_token_ids"),
        ("/decoder/end_token_ids/0", json!(7), "end_token_ids"),
        ("/decoder/context_length", json!(7), "prompt takes"),
        ("/generation/max_new_tokens", json!(65), "max_new_tokens"),
        ("/generation/form/max_section_tokens", json!(0), "max_section_tokens"),
        ("/generation/form/orders", json!([]), "orders"),
        ("/generation/form/orders", json!(["sequential", "sequential"]), "twice"),
        ("/generation/form/orders", json!(["sequential", "parallel"]), "parallel_sections"),
        ("/generation/form/orders", json!(["backwards"]), "backwards"),
        ("/required_features", json!([]), "required_features"),
        ("/vision/tokens", json!("four"), "four"),
    ];
    for (pointer, value, expected) in cases {
        let detail = manifest_detail(fixture.open_with(pointer, value.clone()));
        assert!(detail.contains(expected), "{pointer} = {value}: {detail}");
    }
}

#[test]
fn unknown_fields_and_files_are_told() {
    let fixture = Fixture::new();
    fs::write(fixture.path("notes.txt"), "x").unwrap();
    fs::create_dir(fixture.path("more")).unwrap();
    fs::write(fixture.path("more/notes.txt"), "x").unwrap();
    let mut findings = fixture.manifest["findings"].clone();
    findings[1]["snomed"] = json!("1");
    let package = fixture.open_with("/findings", findings).unwrap();
    let told = |code| package.warnings().iter().find(|w| w.code == code).unwrap().message.clone();
    assert!(told(WarningCode::UnknownManifestField).contains("findings[1].snomed"));
    assert!(told(WarningCode::UnlistedFile).contains("more/notes.txt, notes.txt"));
    let package = fixture.open_with("/sampling_hint", json!({ "deep": [1, 2] })).unwrap();
    assert!(package.warnings().iter().any(|w| w.message.contains("sampling_hint")));
}

/// Replaces the value that a walk of indices leads to.
fn mutate(value: &mut Value, walk: &[prop::sample::Index], replacement: &Value) {
    let inner = walk.split_first().and_then(|(first, rest)| match value {
        Value::Object(object) if !object.is_empty() => {
            let at = first.index(object.len());
            object.values_mut().nth(at).map(|inner| (inner, rest))
        }
        Value::Array(array) if !array.is_empty() => {
            let at = first.index(array.len());
            Some((&mut array[at], rest))
        }
        _ => None,
    });
    match inner {
        Some((inner, rest)) => mutate(inner, rest, replacement),
        None => *value = replacement.clone(),
    }
}

fn replacement() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn random_bytes_are_no_manifest(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read::parse(&bytes).is_err());
    }

    #[test]
    fn mutated_manifests_never_panic(
        walk in proptest::collection::vec(any::<prop::sample::Index>(), 1..6),
        value in replacement(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let fixture = MUTATED.get_or_init(|| Fixture::new().manifest);
        let mut manifest = fixture.clone();
        mutate(&mut manifest, &walk, &value);
        let mut bytes = manifest.to_string().into_bytes();
        for _ in 0..2 {
            if let Ok((manifest, _)) = read::parse(&bytes) {
                let _ = validate::check(&manifest);
            }
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
    }
}

static MUTATED: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
