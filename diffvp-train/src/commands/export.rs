//! `diffvp-train export`.

use std::path::PathBuf;

use diffvp::runtime::SessionOptions;
use diffvp_exporter::graphs::DecoderOptions;
use diffvp_exporter::package::ExportOptions;
use diffvp_train::Result;
use diffvp_train::export::{ExportRequest, export};

/// Write the model package of a run folder.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The run folder.
    run: PathBuf,
    /// Folder of the package; an older package there is replaced when the new one is whole.
    #[arg(long, value_name = "PACKAGE")]
    out: PathBuf,
    /// Normal scans for the reference bank: files, DICOM folders, or folders of NIfTI files (of which only
    /// those listed in `normal.txt` where there is one). A trained run knows its own.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    references: Vec<PathBuf>,
    /// Storage of the decoder's matrices.
    #[arg(long, value_enum, default_value = "int4-128")]
    quantize: Quantize,
    /// Threads; 0 for all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

/// Storage of the decoder's matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Quantize {
    /// 32-bit floating point.
    None,
    /// Four bits with a scale for each 32 weights.
    #[value(name = "int4-32")]
    Int4Block32,
    /// Four bits with a scale for each 128 weights: smaller and faster.
    #[value(name = "int4-128")]
    Int4Block128,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let decoder = match arguments.quantize {
        Quantize::None => DecoderOptions::f32(),
        Quantize::Int4Block32 => DecoderOptions::int4(32),
        Quantize::Int4Block128 => DecoderOptions::int4(128),
    };
    let request = ExportRequest {
        references: arguments.references.clone(),
        options: ExportOptions { decoder, ..ExportOptions::default() },
        session: SessionOptions { threads: arguments.threads, ..SessionOptions::default() },
    };
    let manifest = export(&arguments.run, &arguments.out, &request, |index, all| {
        eprint!("\rencoding reference {} of {all}", index + 1);
    })?;
    let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    eprintln!(
        "\n{}: {} {}, {:.1} MB, {} references",
        arguments.out.display(),
        manifest.model.id,
        manifest.model.version,
        bytes as f64 / 1e6,
        manifest.reference_bank.references
    );
    Ok(())
}
