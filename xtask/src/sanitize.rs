//! `cargo xtask sanitize-threads`: the tests with threads under ThreadSanitizer.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::{root, run as execute};
use crate::{Result, fail, runtime};

/// Triple that the sanitizer's runtime comes with; naming one keeps build scripts free of the sanitizer.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Toolchain that takes `-Z` and builds the standard library.
const TOOLCHAIN: &str = "nightly";

/// Builds everything anew in `target/tsan`, the standard library too, and runs the tests.
///
/// The shipped standard library is without the sanitizer, which would not see its locks and atomics and take what they
/// order for races. ONNX Runtime stays without: races inside it are not seen.
pub(crate) fn run() -> Result<()> {
    ready()?;
    let library = runtime::chosen(None)?;
    let folder = root().join("target").join("tsan");
    let mut command = nightly("cargo");
    command.args(["test", "-Zbuild-std", "--target", TARGET, "--package", "diffvp-ffi", "--package", "diffvp-tests"]);
    command.args(["--lib", "--test", "c_threads"]);
    command.env("CARGO_TARGET_DIR", folder).env("RUSTFLAGS", "-Zsanitizer=thread");
    let suppressions = root().join("tests").join("c").join("tsan.supp");
    // Tests ask for more memory than there is, and expect to be told.
    let options = format!("halt_on_error=1 allocator_may_return_null=1 suppressions={}", suppressions.display());
    execute(command.env("TSAN_OPTIONS", options).env("ORT_DYLIB_PATH", library))
}

/// A program of the nightly toolchain. Cargo names its own compiler to what it starts, which must not be used here.
fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", TOOLCHAIN, program]).current_dir(root());
    for own in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(own);
    }
    command
}

/// Whether there is what the build needs.
fn ready() -> Result<()> {
    let install = format!("rustup toolchain install {TOOLCHAIN} --component rust-src");
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return fail(format!("ThreadSanitizer is set up for {TARGET} only"));
    }
    let asked = nightly("rustc").args(["--print", "sysroot"]).stderr(Stdio::null()).output();
    let sysroot = match asked {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => return fail(format!("ThreadSanitizer needs a {TOOLCHAIN} toolchain under rustup: {install}")),
    };
    match Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file() {
        true => Ok(()),
        false => fail(format!("ThreadSanitizer needs the source of the standard library: {install}")),
    }
}
