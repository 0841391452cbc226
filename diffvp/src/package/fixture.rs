//! The smallest package that opens: for tests of the package itself, which need no graph that runs.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::manifest::{FileEntry, Manifest};
use super::{Package, ReferenceBank, names};
use crate::Result;

/// `[references, n, d]` of the fixture's bank.
pub(super) const BANK_SHAPE: [usize; 3] = [2, 4, 3];

/// A package folder that is removed when dropped.
pub(super) struct Fixture {
    pub(super) folder: TempDir,
    pub(super) manifest: Value,
}

impl Fixture {
    /// A valid package.
    pub(super) fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        for (index, graph) in names::GRAPHS.iter().enumerate() {
            std::fs::write(folder.path().join(graph), onnx_bytes(graph, index)).unwrap();
        }
        std::fs::write(folder.path().join(names::TOKENIZER), tokenizer_json().to_string()).unwrap();
        let mut fixture = Fixture { folder, manifest: manifest_json() };
        fixture.write_bank(BANK_SHAPE, None);
        fixture.seal();
        fixture
    }

    /// Writes a bank of some shape; `encoder` names another encoder than the packaged one.
    pub(super) fn write_bank(&self, [r, n, d]: [usize; 3], encoder: Option<&str>) {
        let tokens: Vec<f32> = (0..r * n * d).map(|i| i as f32 / 8.0).collect();
        let ids: Vec<String> = (0..r).map(|i| format!("normal-{i}")).collect();
        let own = FileEntry::of(self.path(names::ENCODER)).unwrap().sha256;
        ReferenceBank::write(self.path(names::BANK), &tokens, n, d, &ids, encoder.unwrap_or(&own)).unwrap();
    }

    /// Takes sizes and hashes of the files into the manifest, and writes it.
    pub(super) fn seal(&mut self) {
        let entries = names::REQUIRED.map(|name| (name.to_owned(), json!(FileEntry::of(self.path(name)).unwrap())));
        self.manifest["files"] = Value::Object(entries.into_iter().collect());
        self.manifest["reference_bank"]["encoder_sha256"] = self.manifest["files"][names::ENCODER]["sha256"].clone();
        self.write_manifest();
    }

    /// Writes the manifest as it stands.
    pub(super) fn write_manifest(&self) {
        std::fs::write(self.path(names::MANIFEST), self.manifest.to_string()).unwrap();
    }

    /// Writes the manifest with one value replaced, found by JSON pointer, and opens the package.
    pub(super) fn open_with(&self, pointer: &str, value: Value) -> Result<Package> {
        let mut manifest = self.manifest.clone();
        set(&mut manifest, pointer, value);
        std::fs::write(self.path(names::MANIFEST), manifest.to_string()).unwrap();
        self.open()
    }

    pub(super) fn open(&self) -> Result<Package> {
        Package::open(self.folder.path())
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        Path::join(self.folder.path(), name)
    }

    pub(super) fn typed(&self) -> Manifest {
        serde_json::from_value(self.manifest.clone()).unwrap()
    }
}

fn set(manifest: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match manifest.pointer_mut(parent).unwrap() {
        Value::Object(object) => drop(object.insert(key.to_owned(), value)),
        Value::Array(array) => array[key.parse::<usize>().unwrap()] = value,
        other => panic!("{pointer} leads into {other}"),
    }
}

/// `ir_version`, a producer that makes the files differ, and an empty graph with a name.
fn onnx_bytes(name: &str, index: usize) -> Vec<u8> {
    let mut bytes =
        vec![0x08, 10, 0x12, 2, b'p', b'0' + index as u8, 0x3a, name.len() as u8 + 2, 0x12, name.len() as u8];
    bytes.extend(name.as_bytes());
    bytes
}

fn tokenizer_json() -> Value {
    let special = |id: usize, content: &str| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "unk_token": "<unk>",
                   "vocab": { "<unk>": 0, "<s>": 1, "</s>": 2, "Write": 3, "the": 4, "report": 5, ".": 6 } }
    })
}

fn manifest_json() -> Value {
    json!({
        "format": "diffvp-package", "format_version": 1, "required_features": ["guided_sections"],
        "model": { "id": "fixture", "version": "1", "description": "", "trained": false, "created_by": "test" },
        "intended_use": { "clinical_use": false, "statement": "Not for clinical use." },
        "preprocessing": { "channels": 1, "steps": [
            { "op": "orient", "axes": "LPS" },
            { "op": "crop_foreground", "above": -1000.0, "margin_voxels": 0 },
            { "op": "resize", "size": [8, 16, 16], "interpolation": "area" },
            { "op": "clip", "min": -1000.0, "max": 200.0 },
            { "op": "scale", "shift": 400.0, "divisor": 600.0 }
        ] },
        "vision": { "input": [1, 8, 16, 16], "tokens": 4, "token_dim": 3, "feature_grid": [1, 2, 2], "prefix_tokens": 2 },
        "findings": [{ "name": "Cardiomegaly", "threshold": 0.5 }, { "name": "Lung nodule", "threshold": 0.25 }],
        "findings_text": { "prefix": "Findings: ", "separator": ", ", "suffix": ".", "none": "Findings: none." },
        "sections": [{ "region": "heart", "heading": "Heart" }, { "region": "lung", "heading": "Lung" }],
        "prompt": [{ "kind": "token", "token": "<s>" }, { "kind": "difference" }, { "kind": "visual" },
                   { "kind": "findings" }, { "kind": "text", "text": "Write the report." }],
        "decoder": { "hidden_size": 8, "layers": 1, "key_value_heads": 1, "head_dim": 4, "vocab_size": 7,
                     "context_length": 64, "end_token_ids": [2] },
        "generation": { "max_new_tokens": 32, "form": { "kind": "guided_sections", "before_heading": "\n",
                        "after_heading": ":", "max_section_tokens": 8 } },
        "reference_bank": { "references": 2, "encoder_sha256": "" }
    })
}
