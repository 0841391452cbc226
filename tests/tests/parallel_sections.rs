//! Sections that are written at once: each says what it says alone behind the prompt.

use std::path::Path;

use diffvp::decode::{Decoder, LogitRows};
use diffvp::package::Package;
use diffvp::runtime::{CancelToken, Kernels, SessionOptions, Tensor};
use diffvp::{Error, Event, Flow, Report, ReportOptions, Reporter, Sampling, SectionOrder};
use diffvp_exporter::graphs::{self, DecoderOptions};
use diffvp_exporter::onnx::{WriteOptions, write};
use diffvp_tests::decoders::sizes;
use diffvp_tests::demo::{package, package_f32, scan};
use diffvp_tests::golden::{Golden, relative_error};

/// Rows of a text, some of them random.
fn text(golden: &[f32], width: usize, seed: usize, rows: usize) -> Vec<f32> {
    (0..rows * width).map(|i| golden[(i * 7 + seed * 131) % golden.len()]).collect()
}

/// Branches of unequal lengths that grow in turns, and leave off one after the other, have the logits that each text has alone in a
/// decoder without branches, whose logits are compared with `transformers`.
#[test]
fn a_branch_has_the_logits_of_its_text_alone() {
    let golden = Golden::open("decoder_f32");
    let (c, cancel) = (&golden.config.decoder, CancelToken::default());
    let values = golden.tensor("inputs.inputs_embeds").into_f32().unwrap();
    let width = c.hidden_size;
    let lengths = [3, 1, 6];
    let prompt = text(&values, width, 0, 5);
    let texts: Vec<Vec<f32>> = lengths.iter().enumerate().map(|(i, n)| text(&values, width, i + 1, *n)).collect();
    for (options, kernels, tolerance) in [
        (DecoderOptions::f32(), Kernels::Best, 1e-5),
        (DecoderOptions::int4(32), Kernels::Best, 1e-5),
        // Rounds the activations of a row by the company it is in.
        (DecoderOptions::int4(32), Kernels::OnnxRuntime, 0.06),
        (DecoderOptions::f32().f16(), Kernels::Best, 5e-3),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str, branches| {
            let path = folder.path().join(name);
            let graph = graphs::decoder(&golden.config, &golden, &DecoderOptions { branches, ..options }).unwrap();
            write(graph, &path, &WriteOptions { external_above_bytes: u64::MAX }).unwrap();
            let options = SessionOptions { threads: 1, kernels, ..SessionOptions::default() };
            Decoder::open(&path, &sizes(c), &options).unwrap()
        };
        let (plain, branched) = (open("plain.onnx", false), open("branched.onnx", true));
        assert!(branched.branches() && !plain.branches());

        let mut cache = branched.new_cache(c.context_length, &cancel).unwrap();
        let mut found: Vec<Vec<f32>> = vec![Vec::new(); texts.len()];
        // The prompt and the first row of each at once, then one row of each that has more.
        for step in 0..*lengths.iter().max().unwrap() {
            let (mut rows, mut places) = (Vec::new(), Vec::new());
            if step == 0 {
                rows.extend(&prompt);
                places.resize(5, 0);
            }
            let first = places.len();
            let active: Vec<usize> = (0..texts.len()).filter(|&i| step < lengths[i]).collect();
            for &i in &active {
                rows.extend(&texts[i][step * width..(step + 1) * width]);
                places.push(i + 1);
            }
            let logits = branched.forward_on(&mut cache, rows, &places, LogitRows::From(first), &cancel).unwrap();
            for (at, &i) in active.iter().enumerate() {
                found[i].extend(&logits[at * c.vocab_size..(at + 1) * c.vocab_size]);
            }
        }
        assert_eq!(cache.len(), 5 + lengths.iter().sum::<usize>());
        for (i, text) in texts.iter().enumerate() {
            let mut alone = plain.new_cache(c.context_length, &cancel).unwrap();
            let rows = [prompt.clone(), text.clone()].concat();
            let expected = plain.forward(&mut alone, rows, LogitRows::From(5), &cancel).unwrap();
            let rows = |values: &[f32]| Tensor::f32(&[lengths[i], c.vocab_size], values.to_vec()).unwrap();
            let error = relative_error(&rows(&found[i]), &rows(&expected));
            println!("{options:?} {kernels:?}, branch {i}: relative error {error:e}");
            assert!(error <= tolerance, "branch {i}: {error:e}");
        }
    }
}

#[test]
fn a_decoder_without_branches_refuses_them() {
    let golden = Golden::open("decoder_f32");
    let (c, cancel) = (&golden.config.decoder, CancelToken::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decoder.onnx");
    let graph = graphs::decoder(&golden.config, &golden, &DecoderOptions::f32()).unwrap();
    write(graph, &path, &WriteOptions { external_above_bytes: u64::MAX }).unwrap();
    let decoder = Decoder::open(&path, &sizes(c), &SessionOptions::default()).unwrap();
    let mut cache = decoder.new_cache(4, &cancel).unwrap();
    let rows = vec![0.5; 2 * c.hidden_size];
    let error = decoder.forward_on(&mut cache, rows, &[0, 1], LogitRows::All, &cancel).unwrap_err();
    assert!(error.to_string().contains("branches"), "{error}");
    assert!(cache.is_empty());
}

fn parallel(reporter: &Reporter, index: u64, options: ReportOptions) -> Report {
    reporter.report_with(&scan(index), &options.sections(SectionOrder::Parallel), |_| Flow::Continue).unwrap()
}

/// The text of one section by plain greedy decoding of the prompt and its heading, with nothing but the package's graphs.
fn alone(package: &Path, report: &Report, index: u64) -> Vec<String> {
    let opened = Package::open(package).unwrap();
    let manifest = opened.manifest().clone();
    let headings = &manifest.sections;
    // One section a package: sections in sequence see what was before, and the first sees nothing.
    headings
        .iter()
        .map(|heading| {
            let folder = tempfile::tempdir().unwrap();
            for entry in std::fs::read_dir(package).unwrap().flatten() {
                std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
            let mut single = manifest.clone();
            single.sections = vec![heading.clone()];
            std::fs::write(folder.path().join("manifest.json"), single.to_json().unwrap()).unwrap();
            let reporter = Reporter::builder(folder.path()).threads(1).build().unwrap();
            let reference = diffvp::ReferencePolicy::Id(report.provenance().reference_id.clone());
            let options = ReportOptions::default().reference(reference).sections(SectionOrder::Sequential);
            let report = reporter.report_with(&scan(index), &options, |_| Flow::Continue).unwrap();
            report.sections().first().map(|section| section.text.clone()).unwrap_or_default()
        })
        .collect()
}

#[test]
fn sections_are_those_of_packages_with_one_section() {
    let reporter = Reporter::builder(package_f32()).threads(1).build().unwrap();
    let report = parallel(&reporter, 3, ReportOptions::default());
    assert_eq!(report.provenance().section_order, SectionOrder::Parallel);
    let texts: Vec<String> = alone(package_f32(), &report, 3).into_iter().filter(|text| !text.is_empty()).collect();
    let found: Vec<String> = report.sections().iter().map(|section| section.text.clone()).collect();
    assert!(found.len() > 5, "{found:?}");
    assert_eq!(found, texts);
}

#[test]
fn pieces_come_in_the_order_of_the_text_and_reports_repeat() {
    for package in [package(), package_f32()] {
        let reporter = Reporter::builder(package).threads(1).build().unwrap();
        for sampling in [Sampling::Greedy, Sampling::Random { temperature: 0.8, top_k: 20, top_p: 0.95 }] {
            let options = ReportOptions::default().seed(5).sampling(sampling).sections(SectionOrder::Parallel);
            let mut pieces = String::new();
            let listen = |event: Event<'_>| {
                if let Event::Text(text) = event {
                    pieces.push_str(text);
                }
                Flow::Continue
            };
            let report = reporter.report_with(&scan(1), &options, listen).unwrap();
            assert_eq!(pieces, report.text());
            let headings: Vec<usize> =
                report.sections().iter().map(|s| pieces.find(&format!("{}:", s.heading)).unwrap()).collect();
            assert!(headings.is_sorted(), "{headings:?}");
            let again = parallel(&reporter, 1, options.clone());
            assert_eq!((again.text(), again.provenance()), (report.text(), report.provenance()));
            let undrafted = parallel(&reporter, 1, options.drafting(false));
            assert_eq!((undrafted.text(), undrafted.provenance()), (report.text(), report.provenance()));
        }
    }
}

#[test]
fn limits_end_all_sections_with_a_reason() {
    let reporter = Reporter::builder(package()).threads(1).build().unwrap();
    let whole = parallel(&reporter, 2, ReportOptions::default());
    for most in [1, 7, 30] {
        let report = parallel(&reporter, 2, ReportOptions::default().max_new_tokens(most));
        assert_eq!(report.provenance().generated_tokens, most);
        assert_eq!(report.provenance().stop_reason, diffvp::StopReason::MaxTokens);
        let codes: Vec<String> = report.warnings().iter().map(|w| format!("{:?}", w.code)).collect();
        assert!(codes.iter().any(|code| code == "ReportTruncated"), "{codes:?}");
        for section in report.sections() {
            let full = whole.sections().iter().find(|s| s.region == section.region).unwrap();
            let certain = section.text.trim_end_matches('\u{FFFD}').trim();
            assert!(full.text.starts_with(certain), "{:?} of {:?}", section.text, full.text);
        }
    }
}

/// The default is the package's first order, and another than it offers is refused before any work.
#[test]
fn orders_are_those_of_the_package() {
    let reporter = Reporter::builder(package()).threads(1).build().unwrap();
    let report = reporter.report_with(&scan(0), &ReportOptions::default(), |_| Flow::Continue).unwrap();
    assert_eq!(report.provenance().section_order, SectionOrder::Sequential);
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(package()).unwrap().flatten() {
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let opened = Package::open(package()).unwrap();
    let mut manifest = opened.manifest().clone();
    manifest.generation = manifest.generation.with_orders(&[SectionOrder::Sequential]);
    std::fs::write(folder.path().join("manifest.json"), manifest.to_json().unwrap()).unwrap();
    let reporter = Reporter::builder(folder.path()).threads(1).build().unwrap();
    let options = ReportOptions::default().sections(SectionOrder::Parallel);
    let error = reporter.report_with(&scan(0), &options, |_| panic!("no stage begins")).unwrap_err();
    assert!(matches!(error, Error::InvalidOption { name: "sections", .. }), "{error}");
}
