//! `cargo xtask sanitize-threads`: the tests with threads under ThreadSanitizer.

use crate::process::{cargo, root, run as execute};
use crate::{Result, runtime};

/// Triple that the sanitizer's runtime comes with; naming one keeps build scripts free of the sanitizer.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds everything anew in `target/tsan`, which takes minutes, and runs the tests.
///
/// `-Z` needs a nightly compiler, or a stable one that is told to take it. The standard library stays as it is shipped,
/// without the sanitizer, and so does ONNX Runtime: what they do among themselves is left out.
pub(crate) fn run() -> Result<()> {
    let library = runtime::chosen(None)?;
    let folder = root().join("target").join("tsan");
    let mut command = cargo();
    command.args(["test", "--target", TARGET, "--package", "diffvp-tests", "--test", "c_threads"]);
    command.env("CARGO_TARGET_DIR", folder).env("RUSTC_BOOTSTRAP", "1");
    command.env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
    let suppressions = root().join("tests").join("c").join("tsan.supp");
    let options = format!("halt_on_error=1 suppressions={}", suppressions.display());
    execute(command.env("TSAN_OPTIONS", options).env("ORT_DYLIB_PATH", library))
}
