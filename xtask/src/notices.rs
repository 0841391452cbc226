//! `cargo xtask notices`: the licences of what is linked into libdiffvp, as one file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::process::{cargo, output, root};
use crate::{Failure, Result, fail, say};

/// Write THIRD-PARTY-NOTICES.md, or check that it is what Cargo.lock gives.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail where the committed file differs.
    #[arg(long)]
    check: bool,
}

const FILE: &str = "THIRD-PARTY-NOTICES.md";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let line = "metadata --format-version 1 --locked --filter-platform x86_64-unknown-linux-gnu";
    let bytes = output(cargo().args(line.split(' ')))?;
    let metadata: Value =
        serde_json::from_slice(&bytes).map_err(|e| Failure::Sentence(format!("cargo metadata gave no JSON: {e}")))?;
    let fresh = text(&metadata)?;
    let path = root().join(FILE);
    let committed = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    if committed == fresh {
        say(&format!("{FILE} is what Cargo.lock gives"));
        return Ok(());
    }
    if arguments.check {
        return fail(format!("{FILE} is not what Cargo.lock gives: run `cargo xtask notices` and commit it"));
    }
    fs::write(&path, fresh).map_err(|error| Failure::Sentence(format!("{}: {error}", path.display())))?;
    say(&format!("wrote {}", path.display()));
    Ok(())
}

/// A table of the crates, then each licence text once with the crates that carry it.
fn text(metadata: &Value) -> Result<String> {
    let linked = linked(metadata)?;
    let packages: BTreeMap<&str, &Value> =
        list(&metadata["packages"]).filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let mut found: Vec<&Value> = linked.iter().filter_map(|id| packages.get(id.as_str()).copied()).collect();
    found.retain(|package| package["source"].is_string());
    found.sort_by_key(|package| (string(&package["name"]), string(&package["version"])));
    let mut table = String::new();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &found {
        let name = format!("{} {}", string(&package["name"]), string(&package["version"]));
        let licence = string(&package["license"]);
        if licence.is_empty() && package["license_file"].is_null() {
            return fail(format!("{name} states no licence"));
        }
        let _ = writeln!(table, "| {name} | {licence} | {} |", string(&package["repository"]));
        let manifest = string(&package["manifest_path"]);
        for file in licence_files(Path::new(&manifest))? {
            texts.entry(file).or_default().insert(name.clone());
        }
    }
    let mut out = String::from(
        "# Third-party notices\n\nThese crates are linked into libdiffvp (x86_64 Linux). ONNX Runtime (MIT) is loaded at run time and is \
         not part of it; whoever ships it ships its notices. Written by `cargo xtask notices`.\n\n\
         | crate | licence | source |\n|---|---|---|\n",
    );
    out.push_str(&table);
    for (text, names) in texts {
        let names: Vec<String> = names.into_iter().collect();
        let _ = write!(out, "\n## {}\n\n````text\n{}\n````\n", names.join(", "), text);
    }
    Ok(out)
}

/// Ids of the packages that `diffvp-ffi` needs at run time: no build scripts' and no tests' dependencies.
fn linked(metadata: &Value) -> Result<BTreeSet<String>> {
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"]["nodes"]).filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let own = list(&metadata["packages"]).find(|package| package["name"] == "diffvp-ffi");
    let Some(first) = own.and_then(|package| package["id"].as_str()) else {
        return fail("the workspace has no package diffvp-ffi");
    };
    let mut seen = BTreeSet::new();
    let mut waiting = vec![first];
    while let Some(id) = waiting.pop() {
        if !seen.insert(id.to_owned()) {
            continue;
        }
        for dependency in nodes.get(id).into_iter().flat_map(|node| list(&node["deps"])) {
            let normal = list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
            if let (true, Some(package)) = (normal, dependency["pkg"].as_str()) {
                waiting.push(package);
            }
        }
    }
    Ok(seen)
}

/// Texts of the licence and notice files beside a manifest.
fn licence_files(manifest: &Path) -> Result<Vec<String>> {
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).map_err(|e| Failure::Sentence(format!("{}: {e}", folder.display())))?;
    let mut files: Vec<_> = entries.flatten().filter(|entry| entry.path().is_file()).collect();
    files.sort_by_key(|entry| entry.file_name());
    let mut texts = Vec::new();
    for entry in files {
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        if ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE"]
            .iter()
            .any(|word| name.starts_with(word))
        {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
            texts.push(lines.join("\n"));
        }
    }
    Ok(texts)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_linked_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("LICENSE-MIT"), "the text  \r\nof it\n\n").unwrap();
        let manifest = folder.path().join("Cargo.toml");
        let package = |id: &str, source: Value| {
            json!({ "id": id, "name": id, "version": "1.0.0", "license": "MIT", "license_file": null,
                    "repository": "", "source": source, "manifest_path": manifest })
        };
        let dependency = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("diffvp-ffi", Value::Null), package("used", json!("registry")),
                         package("tool", json!("registry")), package("deep", json!("registry"))],
            "resolve": { "nodes": [
                { "id": "diffvp-ffi", "deps": [dependency("used", Value::Null), dependency("tool", json!("build"))] },
                { "id": "used", "deps": [dependency("deep", Value::Null)] } ] }
        });
        let text = text(&metadata).unwrap();
        assert!(text.contains("| used 1.0.0 | MIT |") && text.contains("| deep 1.0.0 |"), "{text}");
        assert!(!text.contains("tool") && !text.contains("| diffvp-ffi"), "{text}");
        assert!(text.contains("## deep 1.0.0, used 1.0.0\n\n````text\nthe text\nof it\n````"), "{text}");
    }
}
