//! `diffvp doctor`.

use std::path::PathBuf;

use diffvp::{Result, runtime};

/// Examine the installation.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The ONNX Runtime library to examine instead of the one that would be found.
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
}

/// Prints line by line, so that what was found is seen even where a later line fails.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    super::output::print(&format!("diffvp           {}", env!("CARGO_PKG_VERSION")))?;
    let cache =
        runtime::cache_dir().map_or_else(|| "none (no home folder)".to_owned(), |dir| dir.display().to_string());
    super::output::print(&format!("cache folder     {cache}"))?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    super::output::print(&format!("cores            {cores}"))?;
    let info = runtime::info(arguments.library.as_deref())?;
    let library = info.library.as_ref().map_or_else(|| "linked at build time".to_owned(), |p| p.display().to_string());
    super::output::print(&format!("ONNX Runtime     {} (tested with {})", info.version, runtime::LIBRARY_VERSION))?;
    super::output::print(&format!("  library        {library}"))?;
    super::output::print(&format!("  found by       {}", info.found_by))?;
    super::output::print(&format!("  build          {}", info.build))?;
    super::output::print(&format!("  providers      {}", info.providers.join(", ")))?;
    let telemetry = runtime::telemetry_state().unwrap_or_else(|state| state);
    super::output::print(&format!("  telemetry      {telemetry}"))
}
