//! Promises of `Reporter`: whole reports, repeatable, streaming, stoppable, shared by threads, swappable.

use std::time::{Duration, Instant};

use diffvp::{CancelToken, Device, Error, Event, Flow, ReferencePolicy, ReportOptions, Reporter, Sampling, Stage};
use diffvp_tests::demo::{
    package, package_other, package_own_reference, package_pixel_level, package_without_difference, scan,
};
use serde_json::Value;

fn open() -> Reporter {
    Reporter::builder(package()).threads(1).build().unwrap()
}

/// JSON without what may differ between runs.
fn without_timings(json: &str) -> Value {
    let mut value: Value = serde_json::from_str(json).unwrap();
    assert!(value.as_object_mut().unwrap().remove("timings_ms").is_some());
    value.as_object_mut().unwrap().remove("drafting");
    value
}

#[test]
fn a_report_has_ten_sections_and_its_provenance() {
    let report = open().report(&scan(0)).unwrap();
    assert_eq!(report.sections().len(), 10);
    assert_eq!(report.findings().len(), 18);
    assert_eq!(report.importance().len(), 16);
    assert!(report.importance().iter().all(|s| *s >= 0.0));
    assert!(!report.clinical_use());
    let provenance = report.provenance();
    assert_eq!(provenance.package_sha256, diffvp::files::sha256_file(package().join("manifest.json")).unwrap());
    assert_eq!(provenance.device, "cpu");
    assert_eq!(provenance.scan.dims, [48, 48, 32]);
    assert!(provenance.prompt_tokens > 16 + 8);
    let text = report.to_string();
    assert!(text.contains("\nTrachea and bronchi: ") && text.ends_with("Not for clinical use."), "{text}");
    assert!(text.contains("not trained"), "{text}");
    let map = report.difference_map().on_scan_grid().unwrap();
    assert_eq!(map.len(), 48 * 48 * 32);
    assert!(map.iter().all(|v| v.is_finite() && *v >= 0.0) && map.iter().any(|v| *v > 0.0));
}

/// Models of the ablation are packages like others.
#[test]
fn models_without_a_difference_and_without_a_reference_report() {
    for (path, prefix) in [(package_without_difference(), 0), (package_own_reference(), 8)] {
        let reporter = Reporter::builder(path).threads(1).build().unwrap();
        let report = reporter.report(&scan(0)).unwrap();
        assert_eq!(report.sections().len(), 10);
        let whole = open().report(&scan(0)).unwrap().provenance().prompt_tokens;
        assert_eq!(report.provenance().prompt_tokens, whole - 8 + prefix);
        let nothing_differs = report.importance().iter().all(|s| *s == 0.0);
        assert_eq!(nothing_differs, prefix == 8, "{:?}", report.importance());
    }
}

#[test]
fn a_model_that_compares_voxels_has_its_reference_inside() {
    let reporter = Reporter::builder(package_pixel_level()).threads(1).build().unwrap();
    let report =
        |seed| reporter.report_with(&scan(0), &ReportOptions::default().seed(seed), |_| Flow::Continue).unwrap();
    let (one, other) = (report(1), report(2));
    assert_eq!(one.sections().len(), 10);
    assert_ne!(one.provenance().reference_id, other.provenance().reference_id);
    assert_eq!(one.importance(), other.importance());
    assert!(one.importance().iter().all(|s| *s > 0.0), "{:?}", one.importance());
}

#[test]
fn the_same_inputs_give_the_same_report() {
    let (first, second) = (open(), open());
    for options in [
        ReportOptions::default(),
        ReportOptions::default().seed(5).sampling(Sampling::Random { temperature: 1.0, top_k: 0, top_p: 0.9 }),
    ] {
        let a = first.report_with(&scan(1), &options, |_| Flow::Continue).unwrap();
        let b = second.report_with(&scan(1), &options, |_| Flow::Continue).unwrap();
        let again = first.report_with(&scan(1), &options, |_| Flow::Continue).unwrap();
        assert_eq!(without_timings(&a.to_json()), without_timings(&b.to_json()));
        assert_eq!(without_timings(&a.to_json()), without_timings(&again.to_json()));
    }
}

#[test]
fn seeds_choose_references_and_tokens() {
    let reporter = open();
    let report = |options: &ReportOptions| reporter.report_with(&scan(1), options, |_| Flow::Continue).unwrap();
    let chosen = |seed| report(&ReportOptions::default().seed(seed)).provenance().reference_id.clone();
    let ids: std::collections::BTreeSet<String> = (0..12).map(chosen).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    let named = ReportOptions::default().reference(ReferencePolicy::Id("reference-002".into()));
    assert_eq!(report(&named).provenance().reference_index, 2);
    let other = ReportOptions::default().reference(ReferencePolicy::Index(0));
    assert_ne!(report(&named).importance(), report(&other).importance());
    let missing = ReportOptions::default().reference(ReferencePolicy::Index(3));
    assert!(matches!(
        reporter.report_with(&scan(1), &missing, |_| Flow::Continue),
        Err(Error::InvalidOption { name: "reference", .. })
    ));
    let random = Sampling::Random { temperature: 2.0, top_k: 0, top_p: 1.0 };
    let fixed = |seed| ReportOptions::default().seed(seed).sampling(random).reference(ReferencePolicy::Index(0));
    assert_ne!(report(&fixed(1)).text(), report(&fixed(2)).text());
}

#[test]
fn the_stream_is_the_text_and_stages_come_in_order() {
    let mut text = String::new();
    let mut stages = Vec::new();
    let mut shares = Vec::new();
    let report = open()
        .report_with(&scan(2), &ReportOptions::default(), |event| {
            match event {
                Event::Text(new) => text.push_str(new),
                Event::Stage { stage, done } => {
                    stages.push(stage);
                    shares.push(done);
                }
                _ => {}
            }
            Flow::Continue
        })
        .unwrap();
    assert_eq!(text, report.text());
    assert_eq!(stages, Stage::ALL);
    assert!(shares.windows(2).all(|pair| pair[0] < pair[1]) && shares[0] == 0.0 && shares[5] < 1.0);
}

#[test]
fn a_listener_can_stop_at_every_stage() {
    let reporter = open();
    for stop_at in Stage::ALL {
        let mut after = 0;
        let result = reporter.report_with(&scan(0), &ReportOptions::default(), |event| match event {
            Event::Stage { stage, .. } if stage == stop_at => Flow::Stop,
            Event::Stage { stage, .. } => {
                after += usize::from(stage as usize > stop_at as usize);
                Flow::Continue
            }
            _ => Flow::Continue,
        });
        assert!(matches!(result, Err(Error::Cancelled)), "{stop_at:?}");
        assert_eq!(after, 0, "{stop_at:?}");
    }
    // The reporter is unharmed.
    reporter.report(&scan(0)).unwrap();
}

#[test]
fn a_token_stops_from_another_thread() {
    let reporter = open();
    let cancel = CancelToken::default();
    let options = ReportOptions::default().cancel(cancel.clone());
    let mut begin = None;
    let result = reporter.report_with(&scan(0), &options, |event| {
        if let Event::Stage { stage: Stage::Decode, .. } = event {
            begin = Some(Instant::now());
            cancel.cancel();
        }
        Flow::Continue
    });
    assert!(matches!(result, Err(Error::Cancelled)));
    assert!(begin.unwrap().elapsed() < Duration::from_millis(200));
    assert!(matches!(reporter.report_with(&scan(0), &options, |_| Flow::Continue), Err(Error::Cancelled)));
}

#[test]
fn limits_of_tokens_are_kept_and_told() {
    let options = ReportOptions::default().max_new_tokens(20);
    let report = open().report_with(&scan(0), &options, |_| Flow::Continue).unwrap();
    assert_eq!(report.provenance().generated_tokens, 20);
    assert_eq!(report.provenance().stop_reason, diffvp::StopReason::MaxTokens);
    assert!(report.warnings().iter().any(|w| w.code == diffvp::WarningCode::ReportTruncated));
    let none = ReportOptions::default().max_new_tokens(0);
    let report = open().report_with(&scan(0), &none, |_| Flow::Continue).unwrap();
    assert!(report.sections().is_empty());
}

#[test]
fn threads_share_a_reporter() {
    let reporter = open();
    let alone: Vec<Value> = (0..4).map(|i| without_timings(&reporter.report(&scan(i)).unwrap().to_json())).collect();
    std::thread::scope(|scope| {
        for (index, expected) in alone.iter().enumerate() {
            for _ in 0..2 {
                let reporter = &reporter;
                scope.spawn(move || {
                    let report = reporter.report(&scan(index as u64)).unwrap();
                    assert_eq!(&without_timings(&report.to_json()), expected);
                });
            }
        }
    });
}

#[test]
fn a_swap_changes_new_reports_and_lets_running_ones_finish() {
    let reporter = open();
    let before = without_timings(&reporter.report(&scan(0)).unwrap().to_json());
    let mut swapped = false;
    let running = reporter
        .report_with(&scan(0), &ReportOptions::default(), |event| {
            if let (Event::Text(_), false) = (event, swapped) {
                reporter.swap(package_other()).unwrap();
                swapped = true;
            }
            Flow::Continue
        })
        .unwrap();
    assert!(swapped);
    assert_eq!(without_timings(&running.to_json()), before);
    let after = reporter.report(&scan(0)).unwrap();
    assert_ne!(after.provenance().package_sha256, running.provenance().package_sha256);
    assert_ne!(after.text(), running.text());
    // A swap that fails changes nothing.
    assert!(reporter.swap("/nonexistent/package").is_err());
    assert_eq!(reporter.report(&scan(0)).unwrap().text(), after.text());
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_and_not_the_processor() {
    let providers = diffvp::runtime::info(None).unwrap().providers;
    for (device, provider) in
        [(Device::Cuda(0), "CUDAExecutionProvider"), (Device::TensorRt(0), "TensorrtExecutionProvider")]
    {
        if providers.iter().any(|p| p == provider) {
            println!("skipped: the loaded ONNX Runtime has {provider}");
            continue;
        }
        let result = Reporter::builder(package()).device(device).build();
        assert!(matches!(result, Err(Error::DeviceUnavailable { .. })), "{device}: {:?}", result.err());
    }
}

#[test]
fn absurd_thread_counts_are_refused() {
    let result = Reporter::builder(package()).threads(1_000_000).build();
    assert!(matches!(result, Err(Error::InvalidOption { name: "threads", .. })));
}
