//! `diffvp inspect`.

use std::fmt::Write;
use std::path::PathBuf;

use diffvp::report::write_preview_png;
use diffvp::scan::{ScanSource, SeriesSummary, write_nifti};
use diffvp::{Result, Scan, Warning};
use serde::Serialize;

use super::report::Intake;

/// Show what a scan is: geometry, series, warnings. Needs neither a model nor ONNX Runtime.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A NIfTI file, a DICOM file, or a folder of DICOM files.
    scan: PathBuf,
    /// Print JSON (docs/inspect-json.md) instead of text.
    #[arg(long)]
    json: bool,
    /// Write the volume in Hounsfield units as it was loaded.
    #[arg(long, value_name = "FILE.nii.gz")]
    export: Option<PathBuf>,
    /// Write a picture of the three planes through the middle.
    #[arg(long, value_name = "FILE.png")]
    preview: Option<PathBuf>,
    #[command(flatten)]
    intake: Intake,
}

/// The JSON of `diffvp inspect --json`.
#[derive(Serialize)]
struct Inspection<'a> {
    schema: &'static str,
    dims: [usize; 3],
    spacing_mm: [f64; 3],
    origin_mm: [f64; 3],
    direction: [[f64; 3]; 3],
    range_hu: [f32; 2],
    source: &'a ScanSource,
    warnings: &'a [Warning],
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let scan = arguments.intake.open(&arguments.scan)?;
    if let Some(path) = &arguments.export {
        write_nifti(scan.volume(), path)?;
    }
    if let Some(path) = &arguments.preview {
        write_preview_png(path, scan.volume())?;
    }
    let text = if arguments.json { json(&scan) } else { text(&scan) };
    super::output::print(&text)
}

fn json(scan: &Scan) -> String {
    let volume = scan.volume();
    let (low, high) = volume.range_hu();
    let inspection = Inspection {
        schema: "diffvp-inspection/1",
        dims: volume.dims(),
        spacing_mm: volume.spacing_mm(),
        origin_mm: volume.origin_mm(),
        direction: volume.direction(),
        range_hu: [low, high],
        source: scan.source(),
        warnings: scan.warnings(),
    };
    serde_json::to_string_pretty(&inspection).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

fn text(scan: &Scan) -> String {
    let volume = scan.volume();
    let [x, y, z] = volume.dims();
    let spacing = volume.spacing_mm();
    let origin = volume.origin_mm();
    let (low, high) = volume.range_hu();
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(text, "size       {x} × {y} × {z} voxels");
    let _ = writeln!(text, "spacing    {:.4} × {:.4} × {:.4} mm", spacing[0], spacing[1], spacing[2]);
    let extent: Vec<String> = volume.dims().iter().zip(spacing).map(|(n, s)| format!("{:.0}", *n as f64 * s)).collect();
    let _ = writeln!(text, "extent     {} mm", extent.join(" × "));
    let _ = writeln!(text, "origin     {:.2}, {:.2}, {:.2} mm (LPS)", origin[0], origin[1], origin[2]);
    for (axis, name) in ["x", "y", "z"].iter().enumerate() {
        let column = volume.direction().map(|row| row[axis]);
        let label = if axis == 0 { "direction" } else { "" };
        let _ = writeln!(text, "{label:<10} {name} = ({:.4}, {:.4}, {:.4})", column[0], column[1], column[2]);
    }
    let _ = writeln!(text, "values     {low:.0} to {high:.0} HU");
    let _ = writeln!(text, "files      {}", scan.source().files);
    if !scan.source().series.is_empty() {
        let _ = writeln!(text, "series");
        for series in &scan.source().series {
            let _ = writeln!(text, "  {}", series_line(series));
        }
    }
    for warning in scan.warnings() {
        let _ = writeln!(text, "note: {warning}");
    }
    text.truncate(text.trim_end().len());
    text
}

fn series_line(series: &SeriesSummary) -> String {
    let mut line = format!(
        "{} {} slices {} × {}",
        if series.chosen { "*" } else { " " },
        series.slices,
        series.slice_size[0],
        series.slice_size[1]
    );
    if let Some([x, y, z]) = series.spacing_mm {
        let _ = write!(line, ", {x:.3} × {y:.3} × {z:.3} mm");
    }
    if let Some(kernel) = &series.kernel {
        let _ = write!(line, ", kernel {kernel}");
    }
    let _ = write!(line, ", {:?}, score {:.2}", series.orientation, series.score);
    if let Some(reason) = &series.refused {
        let _ = write!(line, ", refused: {reason}");
    }
    if let Some(uid) = &series.series_instance_uid {
        let _ = write!(line, "\n      {uid}");
    }
    line
}
