//! Rules of the house that can be checked by reading the sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const LONGEST_FILE: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Text files of the repository: path from the root with `/`, and content.
fn sources(extensions: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    let wanted = |path: &Path| path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        (name, std::fs::read_to_string(&path).unwrap())
    };
    let mut found: Vec<_> = files.into_iter().filter(|path| wanted(path)).map(read).collect();
    found.sort();
    found
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name();
        // Folders of tools, and of cargo: CACHEDIR.TAG marks a target folder of any name.
        if name.to_string_lossy().starts_with('.') || name == "target" || entry.path().join("CACHEDIR.TAG").exists() {
            continue;
        }
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => walk(&entry.path(), files),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

/// Lines of Rust sources that hold one of the words, outside the given places.
fn lines_with(words: &[&str], may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources(&["rs"]) {
        if may(&name) {
            continue;
        }
        let lines = text.lines().enumerate().filter(|(_, line)| words.iter().any(|word| holds(line, word)));
        found.extend(lines.map(|(index, line)| format!("{name}:{}: {}", index + 1, line.trim())));
    }
    found
}

/// Whether a line holds a word that is not the end of a longer name.
fn holds(line: &str, word: &str) -> bool {
    let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(part_of_a_name))
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

fn this_file(name: &str) -> bool {
    name == "tests/tests/tidy.rs"
}

#[test]
fn the_walk_sees_the_sources() {
    let names: Vec<String> = sources(&["rs"]).into_iter().map(|(name, _)| name).collect();
    for expected in ["diffvp/src/lib.rs", "diffvp/src/runtime/mod.rs", "xtask/src/main.rs", "tests/tests/tidy.rs"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not among {} files", names.len());
    }
    assert!(holds("use ort::session;", "ort::") && holds("ort::init()", "ort::"));
    assert!(!holds("use crate::report::x; sort::by(); support::y", "ort::"));
}

#[test]
fn only_the_runtime_room_speaks_to_onnx_runtime() {
    // Tests may, to look at graphs without our own code between.
    let may = |name: &str| name.starts_with("diffvp/src/runtime/") || name.starts_with("tests/");
    let words = ["ort::", "use ort;", "extern crate ort", "use ort as", "ort_sys"];
    assert!(!lines_with(&words, |name| !name.starts_with("diffvp/src/runtime/")).is_empty());
    assert_none(&lines_with(&words, may), "only diffvp/src/runtime/ imports ort");
}

#[test]
fn rooms_know_only_what_they_should() {
    let outside = |room: &'static str| move |name: &str| !name.starts_with(room);
    let formats = ["dicom_object", "dicom_core", "dicom_pixeldata", "dicom_encoding", "nifti::", "use crate::scan"];
    assert_none(&lines_with(&formats, outside("diffvp/src/volume/")), "volume/ knows no file format");
    let model =
        ["use crate::package", "use crate::vision", "use crate::decode", "use crate::report", "use crate::runtime"];
    assert_none(&lines_with(&model, outside("diffvp/src/scan/")), "scan/ knows no model");
    assert_none(&lines_with(&model, outside("diffvp/src/volume/")), "volume/ knows no model");
    let network = ["std::net::", "TcpStream", "UdpSocket", "reqwest", "ureq::", "hyper::"];
    assert_none(&lines_with(&network, outside("diffvp/src/")), "the library never touches the network");
}

#[test]
fn files_are_short() {
    let long = |(name, text): (String, String)| {
        let count = text.lines().count();
        (count > LONGEST_FILE).then(|| format!("{name}: {count} lines"))
    };
    let found: Vec<String> = sources(&["rs"]).into_iter().filter_map(long).collect();
    assert_none(&found, "no file is longer than 400 lines");
}

#[test]
fn nothing_is_left_to_be_done() {
    let words = ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "XXX", "//! placeholder", "//! (room)"];
    assert_none(&lines_with(&words, this_file), "nothing unfinished is committed");
}

#[test]
fn sources_name_no_path_of_one_machine() {
    let words = ["/work/", "/home/", "/root/", "/Users/"];
    let mut found = lines_with(&words, this_file);
    for (name, text) in sources(&["md", "toml", "py", "json", "sh"]) {
        let lines = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
        found.extend(lines.map(|line| format!("{name}: {}", line.trim())));
    }
    assert_none(&found, "paths of one machine");
}

#[test]
fn every_room_says_what_it_is() {
    let silent = |(name, text): (String, String)| {
        let module = name.ends_with(".rs") && name.contains("/src/");
        (module && !text.starts_with("//! ") && !text.starts_with("#!")).then_some(name)
    };
    let found: Vec<String> = sources(&["rs"]).into_iter().filter_map(silent).collect();
    assert_none(&found, "each source file begins with a line that says what it is for");
}

/// Names in `[workspace.dependencies]` that are not of the workspace itself.
fn shared_dependencies() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let lines = table.lines().filter(|line| !line.contains("path ="));
    lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim().to_owned()).collect()
}

/// What each member depends on, as cargo sees it: member, dependency, whether by path.
fn dependencies() -> Vec<(String, String, bool)> {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args("metadata --no-deps --offline --format-version 1".split(' ')).current_dir(root()).output();
    let metadata: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
            found.push((name(package), name(dependency), dependency["path"].is_string()));
        }
    }
    found
}

#[test]
fn every_dependency_has_its_reason() {
    let document = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let mut listed = BTreeSet::new();
    for (name, rest) in rows {
        let cells: Vec<&str> = rest.trim_end_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 3 && cells.iter().all(|cell| cell.len() > 2), "{name}: licence, use and reason");
        assert!(listed.insert(name.to_owned()), "{name} is listed twice");
    }
    assert_eq!(listed, shared_dependencies(), "docs/dependencies.md (left) and Cargo.toml (right) differ");
    let direct = dependencies();
    assert!(direct.len() > 20, "cargo metadata gave {direct:?}");
    for (member, dependency, own) in direct {
        assert!(own || listed.contains(&dependency), "{member} depends on {dependency}, which has no line");
    }
}

#[test]
fn packages_depend_one_way() {
    let allowed = |member: &str| match member {
        "diffvp" | "xtask" => &[][..],
        "diffvp-ffi" | "diffvp-exporter" => &["diffvp"],
        "diffvp-train" => &["diffvp", "diffvp-exporter"],
        _ => &["diffvp", "diffvp-exporter", "diffvp-train", "diffvp-ffi"],
    };
    for (member, dependency, own) in dependencies() {
        assert!(!own || allowed(&member).contains(&dependency.as_str()), "{member} must not depend on {dependency}");
    }
}

#[test]
fn xtask_and_library_agree_on_the_runtime() {
    let xtask = std::fs::read_to_string(root().join("xtask/src/runtime.rs")).unwrap();
    let version = diffvp::runtime::LIBRARY_VERSION;
    assert!(xtask.contains(&format!("const VERSION: &str = \"{version}\";")), "xtask fetches another version");
    // The library looks where xtask puts it.
    let places = diffvp::runtime::search_places();
    let Some(cache) = diffvp::runtime::cache_dir() else {
        println!("skipped: the environment names no cache folder");
        return;
    };
    let folder = cache.join(format!("onnxruntime-{version}"));
    let place = places.iter().find(|place| place.starts_with(&folder)).expect("the cache is searched");
    let file = place.file_name().unwrap().to_string_lossy().replace(version, "1.31.1");
    assert!(xtask.contains(&format!("library: \"{file}\"")), "xtask unpacks no {file}");
}
