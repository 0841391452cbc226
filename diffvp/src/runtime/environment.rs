//! The process's one ONNX Runtime environment, created silent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use ort::environment::Environment;
use ort::logging::LogLevel;

use super::library;
use crate::{Error, Result};

/// Variable that official builds read when their environment is created.
const TELEMETRY_SWITCH: &str = "ORT_DISABLE_TELEMETRY";

/// What is known of the loaded library.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeInfo {
    /// The file that was loaded; `None` where the library was linked at build time.
    pub library: Option<PathBuf>,
    /// How the file was found.
    pub found_by: &'static str,
    /// Version, such as `1.31.1`.
    pub version: String,
    /// The library's own description of its build.
    pub build: String,
    /// Execution providers compiled into the library.
    pub providers: Vec<String>,
}

pub(super) struct Runtime {
    pub(super) environment: Environment,
    info: RuntimeInfo,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// Loads ONNX Runtime if that has not happened yet, and tells what was loaded.
///
/// # Errors
/// [`Error::RuntimeNotFound`] with every place tried; [`Error::RuntimeUnusable`] for a file that is no
/// library, is too old, or differs from the one already loaded in this process.
pub fn info(library: Option<&Path>) -> Result<RuntimeInfo> {
    runtime(library).map(|r| r.info.clone())
}

/// Whether the telemetry of ONNX Runtime is off, and by what, in one sentence.
///
/// `Ok` only where the switch was set before this crate created the environment.
pub fn telemetry_state() -> std::result::Result<String, String> {
    match std::env::var(TELEMETRY_SWITCH) {
        Ok(value) if value == "1" => Ok(format!("off ({TELEMETRY_SWITCH}=1 and DisableTelemetryEvents)")),
        Ok(value) => Err(format!("not off: {TELEMETRY_SWITCH} is {value:?}")),
        Err(_) => Err(format!("not off: {TELEMETRY_SWITCH} is not set; ONNX Runtime is not loaded yet")),
    }
}

pub(super) fn runtime(library: Option<&Path>) -> Result<&'static Runtime> {
    let _guard = STARTING.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(runtime) = RUNTIME.get() {
        check_same_library(runtime, library)?;
        return Ok(runtime);
    }
    silence_telemetry();
    let runtime = start(library)?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// One process can hold one ONNX Runtime: asking for another one later must not be answered with the first.
fn check_same_library(runtime: &Runtime, asked: Option<&Path>) -> Result<()> {
    let (Some(asked), Some(loaded)) = (asked, &runtime.info.library) else {
        return Ok(());
    };
    // A path that leads nowhere is told as such, whatever is loaded.
    library::find(Some(asked))?;
    if std::fs::canonicalize(asked).ok() == std::fs::canonicalize(loaded).ok() {
        return Ok(());
    }
    Err(Error::RuntimeUnusable {
        path: asked.to_path_buf(),
        detail: format!("this process has already loaded {}", loaded.display()),
    })
}

/// Must happen before the library creates its environment, because the uploader starts there.
fn silence_telemetry() {
    if std::env::var_os(TELEMETRY_SWITCH).is_some_and(|v| v == "1") {
        return;
    }
    // SAFETY: `set_var` can race with C code that reads the environment on another thread. There is no
    // other switch that acts before the uploader starts. Hosts that run such threads set the variable
    // themselves before starting them, and then this line is not reached.
    unsafe { std::env::set_var(TELEMETRY_SWITCH, "1") };
}

#[cfg(feature = "load-dynamic")]
fn start(library: Option<&Path>) -> Result<Runtime> {
    let found = library::find(library)?;
    let unusable = |detail: String| Error::RuntimeUnusable { path: found.path.clone(), detail };
    let version = library::version(&found.path)?;
    // The loader of `ort` asserts on libraries that break the protocol; that must not take the host down.
    let builder = catch_unwind(AssertUnwindSafe(|| ort::init_from(&found.path)))
        .map_err(|_| unusable("the library broke the protocol of ONNX Runtime".into()))?
        .map_err(|error| unusable(error.to_string()))?;
    finish(builder, Some(found.path.clone()), found.how, version)
}

#[cfg(not(feature = "load-dynamic"))]
fn start(_library: Option<&Path>) -> Result<Runtime> {
    finish(ort::init(), None, "linked at build time", format!("1.{} or later", ort::MINOR_VERSION))
}

fn finish(
    builder: ort::environment::EnvironmentBuilder,
    library: Option<PathBuf>,
    found_by: &'static str,
    version: String,
) -> Result<Runtime> {
    let path = library.clone().unwrap_or_default();
    let unusable = |detail: String| Error::RuntimeUnusable { path: path.clone(), detail };
    let environment = catch_unwind(AssertUnwindSafe(|| {
        builder.with_name("diffvp").with_telemetry(false).with_logger(Arc::new(forward_log)).build()
    }))
    .map_err(|_| unusable("it does not offer the interface that this program needs".into()))?
    .map_err(|error| unusable(error.to_string()))?;
    environment.set_log_level(LogLevel::Warning);
    let build = ort::info().to_owned();
    let providers = super::device::compiled_providers();
    Ok(Runtime { environment, info: RuntimeInfo { library, found_by, version, build, providers } })
}

/// Runtime messages go where the host's own `tracing` messages go; by default that is nowhere.
fn forward_log(level: LogLevel, category: &str, _id: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Fatal | LogLevel::Error => {
            tracing::error!(target: "diffvp::runtime", category, "{message}")
        }
        LogLevel::Warning => tracing::warn!(target: "diffvp::runtime", category, "{message}"),
        _ => tracing::debug!(target: "diffvp::runtime", category, "{message}"),
    }
}
