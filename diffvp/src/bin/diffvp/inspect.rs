//! `diffvp inspect`.

use std::fmt::Write;
use std::path::PathBuf;

use diffvp::report::write_preview_png;
use diffvp::scan::{ScanContent, ScanSource, SeriesSummary, write_nifti};
use diffvp::{Result, Scan, Warning};
use serde::Serialize;

use super::report::Intake;

/// Show what a scan is: series, geometry, content, warnings. Needs neither a model nor ONNX Runtime.
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
    content: &'a ScanContent,
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
        content: scan.content(),
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
    let content = scan.content();
    let lungs = content.lungs;
    let [right, left] = lungs.right_left_ml;
    let shows = if content.not_chest.is_none() { "a chest" } else { "no chest that can be reported" };
    let _ = writeln!(
        text,
        "content    {shows}: {right:.0} ml of lung on the right, {left:.0} ml on the left, {:.0} mm high",
        lungs.height_mm
    );
    let _ = writeln!(text, "files      {}", scan.source().files);
    text += &table(&scan.source().series);
    for warning in scan.warnings() {
        let _ = writeln!(text, "note: {warning}");
    }
    text.truncate(text.trim_end().len());
    text
}

/// The series, best first; `*` marks the one that was loaded.
fn table(series: &[SeriesSummary]) -> String {
    let mut text = String::new();
    if series.is_empty() {
        return text;
    }
    let _ = writeln!(text, "series     score  slices       size   spacing mm  height mm  lungs mm  kernel  plane");
    for one in series {
        let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
        let _ = writeln!(
            text,
            "        {} {:>6}  {:>6}  {:>9}  {:>11}  {:>9}  {:>8}  {:<6}  {:?}",
            if one.chosen { "*" } else { " " },
            number(Some(one.score), 1),
            one.slices,
            format!("{}×{}", one.slice_size[0], one.slice_size[1]),
            one.spacing_mm.map_or("-".into(), |[x, _, z]| format!("{x:.3}×{z:.3}")),
            number(one.coverage_mm, 0),
            number(one.lungs.map(|lungs| lungs.height_mm), 0),
            one.kernel.as_deref().unwrap_or("-"),
            one.orientation,
        );
        if let Some(uid) = &one.series_instance_uid {
            let _ = writeln!(text, "           {uid}");
        }
        if let Some(reason) = &one.refused {
            let _ = writeln!(text, "           refused: {reason}");
        }
    }
    text
}
