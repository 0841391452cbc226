//! The specification of the model package, its schema, and the library agree.

use std::path::{Path, PathBuf};

use diffvp::package::manifest::{FileEntry, Manifest};
use diffvp::package::{Package, ReferenceBank, names};
use diffvp::volume::Preprocessing;
use serde_json::{Value, json};

fn docs(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join("docs").join(name)).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&docs("model-package.schema.json")).unwrap()
}

/// Whether a value is what the schema, or one of its definitions, describes.
fn check(definition: Option<&str>, value: &Value) -> Result<(), String> {
    let mut schema = schema();
    if let Some(name) = definition {
        schema = json!({ "$ref": format!("#/$defs/{name}"), "$defs": schema["$defs"] });
    }
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    validator.validate(value).map_err(|error| format!("{}: {error}", error.instance_path()))
}

/// The JSON examples of the specification.
fn examples() -> Vec<Value> {
    let text = docs("model-package.md");
    let blocks = text.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

fn example_manifest() -> Value {
    examples().into_iter().find(|example| example.get("format").is_some()).unwrap()
}

#[test]
fn the_schema_is_one() {
    jsonschema::draft202012::meta::validate(&schema()).unwrap();
}

#[test]
fn every_example_fits_schema_and_types() {
    let mut preparations = Vec::new();
    for example in examples() {
        if example.get("format").is_some() {
            check(None, &example).unwrap();
            let typed: Manifest = serde_json::from_value(example).unwrap();
            check(None, &serde_json::to_value(typed).unwrap()).unwrap();
        } else {
            check(Some("preprocessing"), &example).unwrap_or_else(|error| panic!("{error} in {example}"));
            let typed: Preprocessing = serde_json::from_value(example).unwrap();
            check(Some("preprocessing"), &serde_json::to_value(&typed).unwrap()).unwrap();
            preparations.push(typed);
        }
    }
    let presets = [
        Preprocessing::reg2rg(),
        Preprocessing::ct2rep(),
        Preprocessing::ct_clip(),
        Preprocessing::merlin(),
        Preprocessing::m3d(),
        Preprocessing::medicalnet(),
    ];
    assert_eq!(preparations, presets, "the published preparations, in this order");
}

#[test]
fn the_specification_names_every_field() {
    let text = docs("model-package.md");
    for (key, value) in example_manifest().as_object().unwrap() {
        assert!(text.contains(&format!("| `{key}")), "{key}");
        for inner in value.as_object().into_iter().flatten().map(|(inner, _)| inner).filter(|_| key != "files") {
            assert!(
                text.contains(&format!("`{key}.{inner}`")) || text.contains(&format!("`.{inner}`")),
                "{key}.{inner}"
            );
        }
    }
    for feature in diffvp::package::manifest::SUPPORTED_FEATURES {
        assert!(text.contains(&format!("| `{feature}` |")), "{feature}");
        assert!(
            schema()["properties"]["required_features"]["items"]["enum"].as_array().unwrap().contains(&json!(feature))
        );
    }
}

/// What both the schema and the library must refuse: field (or the removal of it), value.
fn broken() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("/format", Some(json!("other"))),
        ("/format_version", Some(json!(2))),
        ("/required_features", Some(json!(["time_travel"]))),
        ("/model", None),
        ("/model/id", Some(json!(""))),
        ("/model/trained", Some(json!("no"))),
        ("/intended_use/statement", None),
        ("/scope", Some(json!({ "body_part": "head" }))),
        ("/scope", Some(json!({ "suspicious": "warn" }))),
        ("/files/encoder.onnx", None),
        ("/files/..~1encoder.onnx", Some(json!({ "bytes": 1, "sha256": "0".repeat(64) }))),
        ("/files/encoder.onnx/sha256", Some(json!("6".repeat(63)))),
        ("/files/encoder.onnx/bytes", Some(json!(-1))),
        ("/preprocessing/steps/0/op", Some(json!("sharpen"))),
        ("/preprocessing/steps/0/strength", Some(json!(1))),
        ("/preprocessing/steps/2/size", Some(json!([16, 64]))),
        ("/preprocessing/steps/2/interpolation", Some(json!("cubic"))),
        ("/preprocessing/steps/3/min", None),
        ("/preprocessing/steps/4/divisor", Some(json!(0))),
        ("/vision/input", Some(json!([1, 16, 64]))),
        ("/vision/tokens", Some(json!(0))),
        ("/vision/feature_grid", Some(json!([2, 8, 8000]))),
        ("/findings", Some(json!([]))),
        ("/findings/0/threshold", Some(json!(-0.1))),
        ("/findings_text/none", None),
        ("/sections/0/heading", Some(json!(" "))),
        ("/prompt", Some(json!([]))),
        ("/prompt/0/kind", Some(json!("picture"))),
        ("/prompt/1/count", Some(json!(4))),
        ("/decoder/layers", Some(json!(1.5))),
        ("/decoder/end_token_ids", Some(json!([]))),
        ("/generation/max_new_tokens", Some(json!(0))),
        ("/generation/form/kind", Some(json!("song"))),
        ("/generation/form/max_section_tokens", None),
        ("/reference_bank/encoder_sha256", Some(json!("x"))),
    ]
}

fn change(manifest: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let parent = manifest.pointer_mut(parent).unwrap().as_object_mut();
    match (parent, value) {
        (Some(object), Some(value)) => drop(object.insert(key, value)),
        (Some(object), None) => assert!(object.remove(&key).is_some(), "{pointer}"),
        (None, _) => panic!("{pointer} is not in an object"),
    }
}

#[test]
fn schema_and_library_refuse_the_same() {
    let package = ExamplePackage::new();
    for (pointer, value) in broken() {
        let mut manifest = package.manifest.clone();
        change(&mut manifest, pointer, value.clone());
        assert!(check(None, &manifest).is_err(), "the schema accepts {pointer} = {value:?}");
        std::fs::write(package.folder.path().join(names::MANIFEST), manifest.to_string()).unwrap();
        let error = Package::open(package.folder.path()).unwrap_err();
        assert!((30..=32).contains(&error.code()), "{pointer} = {value:?}: {error}");
    }
}

/// The specification followed to the letter by someone who has only the text: with its example as manifest,
/// and graphs that are ONNX but empty, which is as far as a package is looked at without a runtime.
struct ExamplePackage {
    folder: tempfile::TempDir,
    manifest: Value,
}

impl ExamplePackage {
    fn new() -> ExamplePackage {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        let mut manifest = example_manifest();
        for (index, graph) in names::GRAPHS.iter().enumerate() {
            // ir_version 10, producer_name, graph { name }.
            std::fs::write(path(graph), [8, 10, 18, 1, b'0' + index as u8, 58, 3, 18, 1, b'g']).unwrap();
        }
        std::fs::write(path("decoder.onnx.data"), [0; 64]).unwrap();
        let vocabulary = json!({ "<unk>": 0, "<s>": 1, "</s>": 2, "Write": 3, "the": 4, "report": 5 });
        let special = json!({ "id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                              "normalized": false, "special": true });
        let tokenizer = json!({ "version": "1.0", "added_tokens": [special], "pre_tokenizer": { "type": "Whitespace" },
                                "model": { "type": "WordLevel", "unk_token": "<unk>", "vocab": vocabulary } });
        std::fs::write(path(names::TOKENIZER), tokenizer.to_string()).unwrap();
        let encoder = FileEntry::of(path(names::ENCODER)).unwrap().sha256;
        let size = |pointer: &str| manifest.pointer(pointer).unwrap().as_u64().unwrap() as usize;
        let (r, n, d) = (size("/reference_bank/references"), size("/vision/tokens"), size("/vision/token_dim"));
        let ids: Vec<String> = (0..r).map(|i| format!("normal-{i}")).collect();
        ReferenceBank::write(path(names::BANK), &vec![0.25; r * n * d], n, d, &ids, &encoder).unwrap();
        manifest["reference_bank"]["encoder_sha256"] = json!(encoder);
        for (name, entry) in manifest["files"].as_object_mut().unwrap() {
            *entry = json!(FileEntry::of(path(name)).unwrap());
        }
        std::fs::write(path(names::MANIFEST), manifest.to_string()).unwrap();
        ExamplePackage { folder, manifest }
    }
}

#[test]
fn the_example_is_a_package() {
    let example = ExamplePackage::new();
    check(None, &example.manifest).unwrap();
    let package = Package::open(example.folder.path()).unwrap();
    assert!(package.warnings().is_empty(), "{:?}", package.warnings());
    assert_eq!(package.bank().len(), 4);
    check(None, &serde_json::from_slice(&package.manifest().to_json().unwrap()).unwrap()).unwrap();
}
