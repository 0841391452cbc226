//! `cargo xtask msrv`: is the stated rust-version true?

use std::process::Command;

use serde_json::Value;

use crate::process::{cargo, output, root, run as execute};
use crate::{Failure, Result, fail, say};

/// Major, minor and patch number.
type Version = [u32; 3];

pub(crate) fn run() -> Result<()> {
    let bytes = output(cargo().args("metadata --format-version 1 --all-features --locked".split(' ')))?;
    let metadata: Value =
        serde_json::from_slice(&bytes).map_err(|e| Failure::Sentence(format!("cargo metadata gave no JSON: {e}")))?;
    let stated = check(&metadata).map_err(Failure::Sentence)?;
    compile(&stated)
}

/// Compares every package with the version that the workspace states, which is returned.
fn check(metadata: &Value) -> std::result::Result<String, String> {
    let members: Vec<&Value> = list(&metadata["workspace_members"]).collect();
    let packages: Vec<&Value> = list(&metadata["packages"]).collect();
    let (own, others): (Vec<&Value>, Vec<&Value>) = packages.into_iter().partition(|p| members.contains(&&p["id"]));
    let stated = own.first().and_then(|p| p["rust_version"].as_str()).ok_or("the workspace states no rust-version")?;
    if let Some(other) = own.iter().find(|p| p["rust_version"] != stated) {
        return Err(format!("package {} does not state rust-version {stated}", other["name"]));
    }
    let ours = parse(stated).ok_or_else(|| format!("rust-version {stated:?} is not a version"))?;
    let mut newer = Vec::new();
    let mut silent = 0;
    for package in &others {
        match package["rust_version"].as_str().map(|v| (v, parse(v))) {
            None => silent += 1,
            Some((_, Some(theirs))) if theirs <= ours => {}
            Some((text, _)) => newer.push(format!("{} {} needs {text}", package["name"], package["version"])),
        }
    }
    if !newer.is_empty() {
        return Err(format!("rust-version is {stated}, but {}", newer.join("; ")));
    }
    say(&format!(
        "rust-version {stated}: none of {} dependencies needs a newer one ({silent} of them state nothing)",
        others.len()
    ));
    Ok(stated.to_owned())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn parse(text: &str) -> Option<Version> {
    let mut version = [0; 3];
    let core = text.split(['-', '+']).next()?;
    let parts: Vec<&str> = core.split('.').collect();
    if parts.len() > 3 {
        return None;
    }
    for (number, part) in version.iter_mut().zip(parts) {
        *number = part.parse().ok()?;
    }
    Some(version)
}

/// Compiles everything with the stated version, where rustup has it.
fn compile(stated: &str) -> Result<()> {
    let installed = Command::new("rustup").args(["toolchain", "list"]).output();
    let installed = installed.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let has = |line: &str| line.starts_with(&format!("{stated}-")) || line.starts_with(&format!("{stated}."));
    let Some(name) = installed.lines().filter_map(|line| line.split_whitespace().next()).find(|name| has(name)) else {
        say(&format!("toolchain {stated} is not installed, so nothing is compiled with it"));
        return Ok(());
    };
    // The cargo that runs this program would ignore `+toolchain`; rustup's own does not.
    let mut command = Command::new("rustup");
    command.args(["run", name, "cargo", "check", "--workspace", "--all-targets", "--features", "diffvp/cli"]);
    // Another compiler's files beside ours would make each build throw the other's away.
    command.arg("--target-dir").arg(root().join("target").join("msrv")).current_dir(root());
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    match execute(&mut command) {
        Err(Failure::Said(_)) => fail(format!("this does not compile with Rust {stated}")),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse("1.92"), Some([1, 92, 0]));
        assert!(parse("1.9.1") < parse("1.10"));
        assert_eq!(parse("1.x"), None);
        assert_eq!(parse("1.2.3.4"), None);
    }

    #[test]
    fn a_dependency_that_needs_more_is_named() {
        let package = |name: &str, version: Value| json!({ "id": name, "name": name, "version": "1.0.0", "rust_version": version });
        let metadata = |theirs: Value, second: &str| {
            json!({ "workspace_members": ["a", "b"],
                    "packages": [package("a", json!("1.92")), package("b", json!(second)), package("dep", theirs)] })
        };
        assert_eq!(check(&metadata(json!("1.92.0"), "1.92")), Ok("1.92".to_owned()));
        assert_eq!(check(&metadata(Value::Null, "1.92")), Ok("1.92".to_owned()));
        assert!(check(&metadata(json!("1.93"), "1.92")).unwrap_err().contains("\"dep\" \"1.0.0\" needs 1.93"));
        assert!(check(&metadata(json!("1.80"), "1.91")).unwrap_err().contains("\"b\""));
    }
}
