//! The telemetry of ONNX Runtime is off.
//!
//! Official builds of the library open a database of events in the user's cache folder when their environment
//! is created with telemetry on. Each case runs in a child process with a home of its own, so that the
//! file is seen where it appears. A control, which leaves telemetry on, shows that this test can fail.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

/// Tells the test binary that it is the child, and what to do.
const ROLE: &str = "DIFFVP_TELEMETRY_CHILD";

/// Runs one role in a child process and returns the files below its home afterwards.
fn files_after(role: &str) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let library = diffvp::runtime::info(None).expect("run `cargo xtask test`").library.unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env_clear()
        .env(ROLE, role)
        .env("HOME", home.path())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("ORT_DYLIB_PATH", library)
        .status()
        .unwrap();
    assert!(status.success(), "{role}: {status}");
    let mut found = Vec::new();
    list(home.path(), &mut found);
    found
}

fn list(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), found);
        } else {
            found.push(entry.path().display().to_string());
        }
    }
}

/// Does nothing in the parent; in a child, what its role says.
#[test]
fn child() {
    match std::env::var(ROLE).as_deref() {
        Ok("diffvp") => {
            let info = diffvp::runtime::info(None).unwrap();
            assert!(info.library.is_some());
            assert!(diffvp::runtime::telemetry_state().is_ok(), "{:?}", diffvp::runtime::telemetry_state());
            // The uploader works in the background.
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        Ok("control") => {
            let library = std::env::var_os("ORT_DYLIB_PATH").unwrap();
            let environment = ort::init_from(library).unwrap().with_telemetry(true).build().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(500));
            drop(environment);
        }
        _ => {}
    }
}

#[test]
fn nothing_is_recorded() {
    assert_eq!(files_after("diffvp"), Vec::<String>::new());
}

#[test]
fn the_control_records() {
    let found = files_after("control");
    assert!(
        found.iter().any(|path| path.contains("onnxruntime")),
        "with telemetry on nothing was recorded, so that its absence proves nothing: {found:?}"
    );
}
