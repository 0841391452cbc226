//! `diffvp demo`.

use std::path::{Path, PathBuf};

use clap::Parser;
use diffvp::{Error, Result};

use super::report;

/// Report a synthetic scan with the model inside this program, or write both to a folder.
///
/// The model was trained on synthetic scans only: of a patient's scan it knows nothing, and its report says so.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A scan of yours instead of the synthetic one: a NIfTI file, a DICOM file, or a folder of DICOM files.
    scan: Option<PathBuf>,
    /// Write the model package (demo.diffvp) and the scan (chest.nii.gz) to this folder, and report nothing.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scan", "map"])]
    write: Option<PathBuf>,
    /// Write a picture of where the scan differs from the normal reference.
    #[arg(long, value_name = "FILE.png")]
    map: Option<PathBuf>,
}

/// `diffvp report` with what the demo brings.
#[derive(Parser)]
struct Reporting {
    #[command(flatten)]
    arguments: report::Arguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(folder) = &arguments.write {
        let (package, scan) = write(folder)?;
        return super::output::print(&format!("diffvp report {} --package {}", scan.display(), package.display()));
    }
    let folder = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let (package, scan) = write(folder.path())?;
    let mut line: Vec<std::ffi::OsString> = vec!["diffvp".into()];
    line.push(arguments.scan.clone().unwrap_or(scan).into());
    line.extend(["--package".into(), package.into()]);
    if let Some(map) = &arguments.map {
        line.extend(["--map".into(), map.into()]);
    }
    match Reporting::try_parse_from(line) {
        Ok(reporting) => report::run(&reporting.arguments),
        Err(error) => error.exit(),
    }
}

fn write(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (package, scan) = (folder.join("demo.diffvp"), folder.join("chest.nii.gz"));
    diffvp::demo::write_package(&package)?;
    diffvp::demo::write_scan(&scan)?;
    Ok((package, scan))
}
