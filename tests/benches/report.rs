//! Times and memory of whole reports, at the demo's size and at the paper's full vision size, as a user sees them:
//! each run is a process of its own.
//!
//! `cargo xtask bench report [-- SCAN …]`; without scans, a synthetic chest of 256 × 256 × 96 voxels.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use diffvp_tests::demo::{package, package_paper_vision, program};
use diffvp_tests::measure::run_measured;
use diffvp_train::synth::{PhantomOptions, Size, phantom};
use serde_json::Value;

const RUNS: usize = 5;

fn main() {
    let mut scans: Vec<PathBuf> =
        std::env::args().skip(1).filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    if scans.is_empty() {
        let options = PhantomOptions { size: Size::Full, ..PhantomOptions::default() };
        let path = folder.path().join("phantom.nii.gz");
        let made = phantom(0, 0, &options).expect("a phantom");
        diffvp::scan::write_nifti(&made.volume, &path).expect("a scan");
        scans.push(path);
    }
    println!("median of {RUNS} runs (lowest to highest); files in the page cache");
    for (name, package) in [("demo", package()), ("paper vision, demo decoder", package_paper_vision())] {
        for scan in &scans {
            println!("\n{name} package, {}", scan.file_name().unwrap_or_default().to_string_lossy());
            measure(scan, package);
        }
    }
}

fn measure(scan: &Path, package: &Path) {
    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    let mut add = |name: &str, value: f64| match rows.iter_mut().find(|row| row.0 == name) {
        Some(row) => row.1.push(value),
        None => rows.push((name.to_owned(), vec![value])),
    };
    for _ in 0..RUNS {
        let mut command = Command::new(program("diffvp"));
        command.arg("report").arg(scan).arg("--package").arg(package).arg("--json");
        let begin = Instant::now();
        let (output, peak) = run_measured(&mut command).expect("the program starts");
        let whole = begin.elapsed();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        for (stage, ms) in report["timings_ms"].as_object().expect("timings") {
            if stage != "total" {
                add(&format!("{stage} (ms)"), ms.as_f64().expect("a number"));
            }
        }
        add("whole process (ms)", 1e3 * whole.as_secs_f64());
        if let Some(bytes) = peak {
            add("peak memory (MB)", bytes as f64 / 1e6);
        }
    }
    for (name, mut values) in rows {
        values.sort_by(f64::total_cmp);
        println!("  {name:20} {:9.1}  ({:.1} to {:.1})", values[values.len() / 2], values[0], values[values.len() - 1]);
    }
}
