//! Drafts change how fast a report is written, never what is written.

use std::path::{Path, PathBuf};

use diffvp::package::{Package, PhraseBank};
use diffvp::runtime::Kernels;
use diffvp::{Flow, Report, ReportOptions, Reporter, Sampling, SectionOrder};
use diffvp_exporter::package::add_phrases;
use diffvp_tests::demo::{package, package_f32, scan, work_folder};
use tokenizers::Tokenizer;

/// Scans that are reported; all of them with `DIFFVP_HEAVY`.
fn scans() -> u64 {
    if std::env::var_os("DIFFVP_HEAVY").is_some() { 200 } else { 4 }
}

fn copy(package: &Path, name: &str) -> PathBuf {
    let target = work_folder().join(name);
    let _ = std::fs::remove_dir_all(&target);
    std::fs::create_dir_all(&target).unwrap();
    for entry in std::fs::read_dir(package).unwrap().flatten() {
        std::fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
    }
    target
}

fn report(reporter: &Reporter, index: u64, options: ReportOptions) -> Report {
    reporter.report_with(&scan(index), &options.max_new_tokens(120), |_| Flow::Continue).unwrap()
}

/// A package with phrases that are right half of the time: what its model writes for some scans, some of it changed.
fn with_phrases(package: &Path, name: &str) -> PathBuf {
    let target = copy(package, name);
    let opened = Package::open(&target).unwrap();
    let manifest = opened.manifest();
    let tokenizer = Tokenizer::from_file(target.join("tokenizer.json")).unwrap();
    let reporter = Reporter::builder(&target).threads(1).build().unwrap();
    let mut phrases = Vec::new();
    for index in 0..3 {
        let written = report(&reporter, index, ReportOptions::default().drafting(false));
        for (section, text) in written.sections().iter().enumerate() {
            let text = format!(" {}", text.text);
            let mut ids = tokenizer.encode(text, false).unwrap().get_ids().to_vec();
            if ids.len() > 12 && index == 1 {
                ids[9] = 7;
            }
            ids.push(manifest.decoder.end_token_ids[0]);
            phrases.push((section, ids));
        }
    }
    let bank = PhraseBank::new(phrases, manifest.decoder.vocab_size, 100_000).unwrap();
    assert!(!bank.is_empty());
    add_phrases(&target, &bank).unwrap();
    assert_eq!(Package::open(&target).unwrap().phrases(), Some(&bank));
    target
}

/// Every report of both, and how many tokens a run of the decoder gave with drafts; `None` where this machine has no kernels
/// whose rows agree.
fn compare(reporter: &Reporter, options: &ReportOptions) -> Option<f64> {
    let (mut runs, mut tokens) = (0, 0);
    for index in 0..scans() {
        let plain = report(reporter, index, options.clone().seed(index).drafting(false));
        let drafted = report(reporter, index, options.clone().seed(index));
        assert_eq!(drafted.text(), plain.text(), "scan {index}");
        assert_eq!(drafted.provenance(), plain.provenance(), "scan {index}");
        assert!(plain.drafting().is_none());
        let Some(counts) = drafted.drafting() else {
            eprintln!("skipped: this processor has no kernels whose rows agree");
            return None;
        };
        assert!(counts.accepted <= counts.proposed && counts.decoder_runs > 0, "{counts:?}");
        runs += counts.decoder_runs;
        tokens += drafted.provenance().generated_tokens;
    }
    Some(tokens as f64 / runs as f64)
}

#[test]
fn greedy_reports_are_those_without_drafts() {
    for (package, name) in [(package(), "int4"), (package_f32(), "float32")] {
        let package = with_phrases(package, &format!("{name}-phrases"));
        let reporter = Reporter::builder(&package).threads(1).build().unwrap();
        if let Some(rate) = compare(&reporter, &ReportOptions::default()) {
            println!("{name}: {rate:.2} tokens a run");
            assert!(rate > 1.0, "{rate:.2} tokens a run");
        }
    }
}

/// Sections that are written at once share the rows of a run, and limits end them where they end without drafts.
#[test]
fn sections_at_once_are_those_without_drafts() {
    for (package, name) in [(package(), "int4-at-once"), (package_f32(), "float32-at-once")] {
        let package = with_phrases(package, &format!("{name}-phrases"));
        let reporter = Reporter::builder(&package).threads(1).build().unwrap();
        for sampling in [Sampling::Greedy, Sampling::Random { temperature: 0.4, top_k: 20, top_p: 0.95 }] {
            let (mut runs, mut tokens, mut accepted) = (0, 0, 0);
            for index in 0..scans() {
                for most in [9, 23, 60, 200, 640] {
                    let options = ReportOptions::default().sections(SectionOrder::Parallel).sampling(sampling);
                    let options = options.seed(index).max_new_tokens(most);
                    let written = |options: &ReportOptions| {
                        reporter.report_with(&scan(index), options, |_| Flow::Continue).unwrap()
                    };
                    let (plain, drafted) = (written(&options.clone().drafting(false)), written(&options));
                    assert_eq!(drafted.text(), plain.text(), "scan {index}, at most {most}");
                    assert_eq!(drafted.provenance(), plain.provenance(), "scan {index}, at most {most}");
                    if let Some(counts) = drafted.drafting() {
                        accepted += counts.accepted;
                        runs += counts.decoder_runs;
                        tokens += drafted.provenance().generated_tokens;
                    }
                }
            }
            println!("{name}, {sampling:?}: {tokens} tokens in {runs} runs, {accepted} of them proposed");
        }
    }
}

/// ONNX Runtime rounds activations of a row by the company it is in: no drafts, rather than another text.
#[test]
fn decoders_whose_rows_do_not_agree_have_no_drafts() {
    let reporter = Reporter::builder(package()).threads(1).kernels(Kernels::OnnxRuntime).build().unwrap();
    assert!(report(&reporter, 0, ReportOptions::default()).drafting().is_none());
}

#[test]
fn sampled_reports_are_those_without_drafts() {
    let package = with_phrases(package(), "sampled-phrases");
    let reporter = Reporter::builder(&package).threads(1).build().unwrap();
    for temperature in [0.3, 1.0] {
        let sampling = Sampling::Random { temperature, top_k: 20, top_p: 0.9 };
        let rate = compare(&reporter, &ReportOptions::default().sampling(sampling));
        println!("temperature {temperature}: {rate:.2?} tokens a run");
    }
}

/// The trained demo model, whose reports are of phrases that it was trained with.
#[test]
fn the_demo_model_writes_several_tokens_a_run() {
    let reporter = Reporter::demo_with(|builder| builder.threads(1)).unwrap();
    let options = ReportOptions::default();
    let scan = |index| diffvp::Scan::from_voxels(diffvp_tests::demo::chest(100 + index));
    let (mut runs, mut tokens) = (0, 0);
    for index in 0..scans() {
        let plain = reporter.report_with(&scan(index), &options.clone().drafting(false), |_| Flow::Continue).unwrap();
        let drafted = reporter.report_with(&scan(index), &options, |_| Flow::Continue).unwrap();
        assert_eq!(drafted.text(), plain.text(), "scan {index}");
        let Some(counts) = drafted.drafting() else {
            eprintln!("skipped: this processor has no kernels whose rows agree");
            return;
        };
        runs += counts.decoder_runs;
        tokens += drafted.provenance().generated_tokens;
    }
    let rate = tokens as f64 / runs as f64;
    println!("{rate:.2} tokens a run");
    assert!(rate > 2.0, "{rate:.2} tokens a run");
}
