//! `diffvp report`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use diffvp::report::{Report, write_map_png};
use diffvp::runtime::GpuOptions;
use diffvp::{
    Device, Event, Flow, ReferencePolicy, ReportOptions, Reporter, Result, Sampling, Scan, ScanOptions, SectionOrder,
    Stage,
};

/// Write the report of a scan.
///
/// The report goes to standard output, progress and stage timings to standard error.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A NIfTI file, a DICOM file, or a folder of DICOM files.
    scan: PathBuf,
    /// Folder of the model package.
    #[arg(long, value_name = "DIR", env = "DIFFVP_PACKAGE")]
    package: PathBuf,
    /// Print JSON (docs/report-json.md) instead of text.
    #[arg(long)]
    json: bool,
    /// Write the report to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a picture of where the scan differs from the normal reference.
    #[arg(long, value_name = "FILE.png")]
    map: Option<PathBuf>,
    /// Write the difference map on the scan's own grid.
    #[arg(long, value_name = "FILE.nii.gz")]
    map_volume: Option<PathBuf>,
    /// Seed of everything drawn at random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Normal reference, by its name or position in the package's bank; drawn by the seed without this.
    #[arg(long, value_name = "NAME|N")]
    reference: Option<String>,
    /// Draw tokens at random with this temperature; the most probable token without this.
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
    /// With --temperature: only the K most probable tokens; 0 for all.
    #[arg(long, value_name = "K", default_value_t = 0, requires = "temperature")]
    top_k: usize,
    /// With --temperature: only the most probable tokens that together reach P.
    #[arg(long, value_name = "P", default_value_t = 1.0, requires = "temperature")]
    top_p: f32,
    /// Most tokens the model writes.
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// Write the sections one after the other (sequential) or all at once (parallel), where the package offers it; the package's
    /// first without this.
    #[arg(long, value_name = "ORDER")]
    sections: Option<SectionOrder>,
    /// Report the scan even if it does not show what the model is for, such as an abdomen.
    #[arg(long)]
    any_body_part: bool,
    #[command(flatten)]
    intake: Intake,
    /// cpu, cuda[:N] or tensorrt[:N]. A device that is not there is an error, never another device.
    #[arg(long, default_value = "cpu")]
    device: Device,
    #[command(flatten)]
    gpu: Gpu,
    /// Threads; 0 for all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// The ONNX Runtime library; see `diffvp doctor`.
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
    /// Print neither progress nor timings.
    #[arg(long, short)]
    quiet: bool,
}

/// How a GPU is used.
#[derive(clap::Args)]
struct Gpu {
    /// On a GPU: round the inputs of float32 products to TensorFloat-32, which is faster.
    #[arg(long)]
    tf32: bool,
    /// On a GPU: pick algorithms by timing them, at load and at the first run.
    #[arg(long)]
    tune: bool,
    /// On a GPU: let operators that it has no kernel for run on the processor instead of refusing the package.
    #[arg(long)]
    cpu_operators: bool,
}

/// How the scan is read.
#[derive(clap::Args)]
pub(crate) struct Intake {
    /// SeriesInstanceUID of the DICOM series to take, instead of the most suitable one.
    #[arg(long, value_name = "UID")]
    series: Option<String>,
    /// Spacing for volumes whose header has none.
    #[arg(long, value_name = "X,Y,Z mm", value_parser = parse_spacing)]
    spacing: Option<[f64; 3]>,
    /// Which volume of a NIfTI file with four dimensions to take, from 0 on.
    #[arg(long, value_name = "N")]
    volume: Option<usize>,
}

fn parse_spacing(text: &str) -> std::result::Result<[f64; 3], String> {
    let numbers: Vec<f64> = text
        .split([',', 'x'])
        .map(|part| part.trim().parse().map_err(|_| format!("{part:?} is not a number")))
        .collect::<std::result::Result<_, String>>()?;
    numbers.try_into().map_err(|_| "three numbers are needed, such as 0.75,0.75,1.5".into())
}

impl Intake {
    pub(crate) fn open(&self, path: &Path) -> Result<Scan> {
        let mut options = ScanOptions::default();
        options.series_instance_uid.clone_from(&self.series);
        options.spacing_mm = self.spacing;
        options.volume = self.volume;
        Scan::open_with(path, &options)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let say = |line: &str| {
        if !arguments.quiet {
            eprintln!("{line}");
        }
    };
    let begin = std::time::Instant::now();
    // The scan first: it is the likelier thing to be wrong, and the quicker to find out.
    let scan = arguments.intake.open(&arguments.scan)?;
    let loaded_scan = begin.elapsed();
    let gpu =
        GpuOptions { tf32: arguments.gpu.tf32, tune: arguments.gpu.tune, cpu_operators: arguments.gpu.cpu_operators };
    let mut builder =
        Reporter::builder(&arguments.package).device(arguments.device).gpu(gpu).threads(arguments.threads);
    if let Some(library) = &arguments.library {
        builder = builder.library(library);
    }
    let reporter = builder.build()?;
    say(&format!(
        "loaded the scan in {:.0} ms and the model in {:.0} ms",
        1e3 * loaded_scan.as_secs_f64(),
        1e3 * (begin.elapsed() - loaded_scan).as_secs_f64()
    ));
    let progress = !arguments.quiet && std::io::stderr().is_terminal();
    let report = reporter.report_with(&scan, &options(arguments), |event| {
        if let (true, Event::Stage { stage, done }) = (progress, event) {
            eprint!("\r\x1b[K{:3.0} % {}", 100.0 * done, stage_name(stage));
        }
        Flow::Continue
    });
    if progress {
        eprint!("\r\x1b[K");
    }
    let report = report?;
    write(arguments, &scan, &report)?;
    say(&report.timings().to_string());
    Ok(())
}

fn write(arguments: &Arguments, scan: &Scan, report: &Report) -> Result<()> {
    // Pictures before text: whoever sees the report can rely on them.
    if let Some(path) = &arguments.map {
        write_map_png(path, scan.volume(), report.difference_map(), report.clinical_use())?;
    }
    if let Some(path) = &arguments.map_volume {
        diffvp::scan::write_nifti(&report.difference_map().to_volume()?, path)?;
    }
    let text = if arguments.json { report.to_json() } else { report.to_string() };
    match &arguments.out {
        Some(path) => diffvp::files::write_atomic(path, |file| {
            use std::io::Write;
            writeln!(file, "{text}")
        }),
        None => super::output::print(&text),
    }
}

fn options(arguments: &Arguments) -> ReportOptions {
    let mut options = ReportOptions::default().seed(arguments.seed);
    if let Some(temperature) = arguments.temperature {
        options.sampling = Sampling::Random { temperature, top_k: arguments.top_k, top_p: arguments.top_p };
    }
    if let Some(reference) = &arguments.reference {
        options.reference =
            reference.parse().map_or_else(|_| ReferencePolicy::Id(reference.clone()), ReferencePolicy::Index);
    }
    options.max_new_tokens = arguments.max_tokens;
    options.any_body_part = arguments.any_body_part;
    options.sections = arguments.sections;
    options
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Preprocess => "preparing the volume",
        Stage::Encode => "encoding",
        Stage::Classify => "looking for findings",
        Stage::Contrast => "comparing with the reference",
        Stage::Prefill => "reading the prompt",
        Stage::Decode => "writing",
        _ => "working",
    }
}
