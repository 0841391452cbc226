//! One table of what a device does: parity with the processor, speed against the card's limits, time and memory of whole
//! reports. Needs neither cargo nor a network: `cargo xtask gpu-pack` carries this program to the machine with the GPU.
//!
//! `cargo xtask gpu-check [-- ARGUMENTS]`; without arguments on the processor with small models.

mod models;
mod parity;
mod python;
mod report;
mod speed;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use diffvp::Device;
use diffvp::runtime::{GpuOptions, SessionOptions};

use diffvp_tests::decoders::Shape;
use table::{Table, command_line};

/// Compare a device with the processor and with its limits.
#[derive(Parser)]
struct Arguments {
    /// cpu, cuda[:N] or tensorrt[:N].
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Sizes of the models whose speed is measured.
    #[arg(long, value_enum, default_value = "small")]
    sizes: Sizes,
    /// Sections to run; all without this.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Begin no section after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    budget: u64,
    /// Folder for the models, which is kept; a temporary one without this.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// A Python with torch and transformers, to measure the same shapes with.
    #[arg(long, value_name = "FILE", requires = "script")]
    python: Option<PathBuf>,
    /// tests/reference/gpu_speed.py.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// What cargo bench adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sizes {
    /// Tiny models: whether everything runs.
    Small,
    /// The paper's vision graphs; decoders of the shapes of TinyLlama 1.1B and LLaMA-2 7B.
    Full,
}

/// Sections of the table, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Each graph of the demo package, and decoders of each storage, against the processor.
    Parity,
    /// The smaller decoder: speed, whole reports, and the same shape in PyTorch.
    Decoder,
    /// Encoder at full size.
    Encoder,
    /// The larger decoder.
    LargeDecoder,
}

/// What the sections share.
struct Setting {
    device: Device,
    sizes: Sizes,
    folder: PathBuf,
    python: Option<(PathBuf, PathBuf)>,
}

impl Setting {
    fn processor(&self) -> SessionOptions {
        SessionOptions::default()
    }

    fn on_device(&self, gpu: GpuOptions) -> SessionOptions {
        SessionOptions { device: self.device, gpu, ..SessionOptions::default() }
    }
}

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = arguments.folder.unwrap_or_else(|| temporary.path().to_path_buf());
    std::fs::create_dir_all(&folder).expect("the folder of the models");
    let python = arguments.python.zip(arguments.script);
    let setting = Setting { device: arguments.device, sizes: arguments.sizes, folder, python };
    let mut table = Table::begin();
    if let Err(error) = table::machine(&mut table, setting.device) {
        table.failure("ONNX Runtime", &error);
        return ExitCode::FAILURE;
    }
    let begin = Instant::now();
    for section in Section::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(section) {
            continue;
        }
        if begin.elapsed() > Duration::from_secs(arguments.budget) {
            table.failure(&format!("{section:?}"), &"not run: out of time".into());
            continue;
        }
        let name = format!("{section:?}");
        let result = match section {
            Section::Parity => parity::run(&setting, &mut table),
            Section::Encoder => speed::encoder(&setting, &mut table),
            Section::Decoder if setting.sizes == Sizes::Small => decoder(&setting, &mut table, Shape::Small),
            Section::Decoder => decoder(&setting, &mut table, Shape::TinyLlama),
            Section::LargeDecoder if setting.sizes == Sizes::Small => continue,
            Section::LargeDecoder => decoder(&setting, &mut table, Shape::Llama7b),
        };
        if let Err(error) = result {
            table.failure(&name, &error);
        }
        table.row(&format!("{name}: time of the section"), format!("{:.1} s", begin.elapsed().as_secs_f64()), "so far");
    }
    if let Some(peak) = command_line("nvidia-smi", &["--query-gpu=memory.used", "--format=csv,noheader"]) {
        table.row("GPU memory at the end", peak, "of all processes");
    }
    if table.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Speed of the decoder alone, in the package and in other storages; then whole reports, and the same shape in PyTorch.
fn decoder(setting: &Setting, table: &mut Table, shape: Shape) -> Result<(), AnyError> {
    let package = report::package(setting, table, shape)?;
    speed::of_package(setting, table, shape, &package.path);
    // The largest takes long to make.
    if shape != Shape::Llama7b {
        speed::other_storages(setting, table, shape)?;
        table.attempt("report of the demo package", |table| report::demo(setting, table));
    }
    table.attempt("report", |table| report::run(setting, table, shape, &package));
    std::fs::remove_dir_all(&package.path)?;
    python::run(setting, table, shape)
}
