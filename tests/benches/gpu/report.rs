//! Whole reports, as an application makes them.

use std::path::PathBuf;
use std::time::Instant;

use diffvp::runtime::GpuOptions;
use diffvp::{Device, Flow, ReportOptions, Reporter, Scan};
use diffvp_exporter::graphs::DecoderOptions;

use crate::models;
use crate::table::{Table, gpu_memory};
use crate::{AnyError, Setting};
use diffvp_tests::decoders::Shape;

const TOKENS: usize = 400;

/// A package whose reports have [`TOKENS`] tokens, and a scan for it.
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    scan: PathBuf,
}

pub(crate) fn package(setting: &Setting, table: &mut Table, shape: Shape) -> Result<Made, AnyError> {
    let folder = setting.folder.join("report");
    std::fs::create_dir_all(&folder)?;
    let begin = Instant::now();
    let options = DecoderOptions::int4(128).f16();
    let (path, scan) = models::package(&folder, shape, setting.sizes, options, TOKENS)?;
    let time = format!("{:.1} s", begin.elapsed().as_secs_f64());
    table.row(
        &format!("{} package, int4, block 128: made", shape.name()),
        time,
        "with one reference, encoded by the processor",
    );
    Ok(Made { path, scan })
}

pub(crate) fn run(setting: &Setting, table: &mut Table, shape: Shape, made: &Made) -> Result<(), AnyError> {
    let name = format!("report of {TOKENS} tokens, {} int4", shape.name());
    let scan = Scan::open(&made.scan)?;
    // The largest decoder takes minutes of a processor.
    let mut devices = vec![setting.device];
    if setting.device != Device::Cpu && shape == Shape::Small {
        devices.push(Device::Cpu);
    }
    for device in devices {
        let before = gpu_memory();
        let begin = Instant::now();
        let reporter = Reporter::builder(&made.path).device(device).build()?;
        let load = begin.elapsed().as_secs_f64();
        for which in ["first", "second"] {
            let report = reporter.report_with(&scan, &ReportOptions::default(), |_| Flow::Continue)?;
            let (timings, by) = (report.timings(), report.provenance());
            let memory =
                before.zip(gpu_memory()).map_or(String::new(), |(a, b)| format!("; {:.0} MB of GPU memory", b - a));
            let note = format!("{} tokens; verify and load {load:.1} s; {timings}{memory}", by.generated_tokens);
            let what = format!("{name}, {}, {which}", by.device);
            table.row(&what, format!("{:.2} s", timings.total.as_secs_f64()), &note);
        }
    }
    Ok(())
}

/// Largest difference of a finding's probability from the processor's.
const PROBABILITY: f32 = 1e-3;

/// The demo package's decoder is float32, whose attention has no kernel on a GPU: without the option it is refused. With it
/// the findings are the processor's. The text need not be: with eight-bit weights the processor rounds activations too.
pub(crate) fn demo(setting: &Setting, table: &mut Table) -> Result<(), AnyError> {
    let scan = diffvp::demo::scan()?;
    let expected = Reporter::demo()?.report(&scan)?;
    let strict = Reporter::demo_with(|b| b.device(setting.device)).err();
    if setting.device != Device::Cpu {
        let text = strict.as_ref().map_or("taken".into(), |e| e.to_string().chars().take(160).collect::<String>());
        table.row("demo package, everything on the GPU", text.replace(['\n', '|'], " "), "");
    }
    let gpu = GpuOptions { cpu_operators: true, ..GpuOptions::default() };
    let begin = Instant::now();
    let reporter = Reporter::demo_with(|b| b.device(setting.device).gpu(gpu))?;
    let load = begin.elapsed().as_secs_f64();
    let found = reporter.report(&scan)?;
    let again = reporter.report(&scan)?;
    let what = format!("demo package, {}", found.provenance().device);
    let pairs = found.findings().iter().zip(expected.findings());
    let largest = pairs.map(|(a, b)| (a.probability - b.probability).abs()).fold(0.0, f32::max);
    let note = format!("load {load:.1} s; {}; then {}", found.timings(), again.timings());
    table.check(&format!("{what}: probabilities"), format!("{largest:.1e}"), largest <= PROBABILITY, &note);
    let repeats = found.text() == again.text();
    table.check(&format!("{what}: the same text twice"), repeats, repeats, "");
    let sections = found.sections().iter().filter(|a| expected.sections().iter().any(|b| a.text == b.text)).count();
    let of = format!("{sections} of {} sections", expected.sections().len());
    table.row(&format!("{what}: as the processor writes them"), of, "");
    Ok(())
}
