//! The paper's full vision size (ResNet-18 of width 64 on 64 × 256 × 256, 32 tokens of 512, prefix of 16) with
//! seeded weights: it runs, in bounded memory, and it can be stopped inside the encoder.

use std::process::Command;
use std::time::{Duration, Instant};

use diffvp::{CancelToken, Error, Event, Flow, ReportOptions, Reporter, Stage};
use diffvp_tests::demo::{chest, package_paper_vision, program, scan};
use diffvp_tests::measure::run_measured;
use serde_json::Value;

/// 0.36 GB of weights are held twice while a session is made, and the largest activation is 0.27 GB. ONNX
/// Runtime's 3D convolution has taken tens of GB in other versions: this is what would show it.
const MEMORY_LIMIT: u64 = 2_000_000_000;

#[test]
fn a_report_at_full_vision_size_stays_within_two_gigabytes() {
    let folder = tempfile::tempdir().unwrap();
    let scan = folder.path().join("scan.nii.gz");
    diffvp::scan::write_nifti(&chest(5), &scan).unwrap();
    let mut command = Command::new(program("diffvp"));
    command.arg("report").arg(&scan).arg("--package").arg(package_paper_vision()).arg("--json");
    let (output, peak) = run_measured(&mut command).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["importance"].as_array().unwrap().len(), 32);
    assert_eq!(report["difference_map"]["feature_grid"], serde_json::json!([8, 32, 32]));
    match peak {
        Some(peak) => assert!(peak < MEMORY_LIMIT, "{} MB", peak / 1_000_000),
        None => println!("skipped the memory limit: this system does not tell the peak"),
    }
}

#[test]
fn cancelling_reaches_into_the_encoder_and_the_classifier() {
    let reporter = Reporter::open(package_paper_vision()).unwrap();
    for stage in [Stage::Encode, Stage::Classify] {
        let cancel = CancelToken::default();
        let options = ReportOptions::default().cancel(cancel.clone());
        let (to_timer, entered) = std::sync::mpsc::channel();
        let timer = std::thread::spawn(move || {
            entered.recv().unwrap();
            std::thread::sleep(Duration::from_millis(700));
            cancel.cancel();
            Instant::now()
        });
        let result = reporter.report_with(&scan(0), &options, |event| {
            if matches!(event, Event::Stage { stage: begun, .. } if begun == stage) {
                to_timer.send(()).unwrap();
            }
            Flow::Continue
        });
        let returned = Instant::now();
        assert!(matches!(result, Err(Error::Cancelled)), "{stage:?}: {result:?}");
        let latency = returned.saturating_duration_since(timer.join().unwrap());
        println!("{stage:?}: back {latency:?} after the cancel");
        // One operator may still end; the longest of them takes a small part of the stage.
        assert!(latency < Duration::from_millis(1000), "{stage:?}: {latency:?}");
    }
}
