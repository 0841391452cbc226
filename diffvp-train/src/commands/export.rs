//! `diffvp-train export`.

use std::path::PathBuf;

use diffvp::runtime::SessionOptions;
use diffvp_exporter::graphs::DecoderOptions;
use diffvp_exporter::onnx::FloatStorage;
use diffvp_exporter::package::ExportOptions;
use diffvp_exporter::quantize;
#[cfg(feature = "torch")]
use diffvp_train::Error;
use diffvp_train::Result;
use diffvp_train::data::{Normals, OpenOptions};
use diffvp_train::export::{ExportRequest, export};

/// Write the model package of a run folder.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The run folder.
    run: PathBuf,
    /// Folder of the package; an older package there is replaced when the new one is whole.
    #[arg(long, value_name = "PACKAGE")]
    out: PathBuf,
    /// Normal scans for the reference bank: files, DICOM folders, folders of NIfTI files, or data sets (of
    /// which the normal scans for training are taken). A trained run knows its own.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    references: Vec<PathBuf>,
    /// What makes a scan of a data set among --references a normal one: all 18 labels 0, a report that states no
    /// abnormality, or both.
    #[arg(long, value_enum, value_name = "WAY", default_value_t)]
    normals: Normals,
    /// Spacing x, y, z in mm of the volumes of such a data set that tells none (CTRG-Chest-548K).
    #[arg(long, value_name = "MM", num_args = 3)]
    spacing_mm: Option<Vec<f64>>,
    /// Storage of the decoder's matrices.
    #[arg(long, value_enum, default_value = "int4-128")]
    quantize: Quantize,
    /// Storage of lm_head where the decoder has four bits: it turns the decoder's last state into logits.
    #[arg(long, value_enum, default_value = "int8")]
    lm_head: Head,
    /// Store the first and the last N layers in eight bits where the others have four.
    #[arg(long, value_name = "N", default_value_t = 2)]
    edge_layers: usize,
    /// How the scales of four bits are chosen.
    #[arg(long, value_enum, default_value = "least-error")]
    rounding: Rounding,
    /// Float type inside the decoder and of its KV cache: f16 for GPUs, f32 for processors.
    #[arg(long, value_enum, default_value = "f32")]
    decoder_type: Width,
    /// Storage of the decoder's table of token embeddings.
    #[arg(long, value_enum, default_value = "f32")]
    embedding: Width,
    /// Storage of the weights of encoder, classifier and difference; they compute in 32 bits either way.
    #[arg(long, value_enum, default_value = "f32")]
    vision: Width,
    /// Scans of the reference bank on which each graph is compared with the training model; 0 for none.
    #[cfg(feature = "torch")]
    #[arg(long, value_name = "N", default_value_t = 4)]
    check: usize,
    /// Training reports, one a line: four-bit matrices are rounded so that their outputs on these change least (GPTQ). Goes on where it
    /// was broken off; the rounded layers stay in the run folder.
    #[cfg(feature = "torch")]
    #[arg(long, value_name = "FILE")]
    calibrate: Option<PathBuf>,
    /// Reports that training has not seen, one a line: how much rounding changes of their perplexity and next tokens.
    #[cfg(feature = "torch")]
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Threads; 0 for all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

/// Storage of floating-point weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Width {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point: half the size.
    F16,
}

impl Width {
    fn storage(self) -> FloatStorage {
        match self {
            Width::F32 => FloatStorage::F32,
            Width::F16 => FloatStorage::F16,
        }
    }
}

/// Storage of the decoder's matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Quantize {
    /// The decoder's float type.
    None,
    /// Four bits with a scale for each 32 weights.
    #[value(name = "int4-32")]
    Int4Block32,
    /// Four bits with a scale for each 128 weights: smaller and faster.
    #[value(name = "int4-128")]
    Int4Block128,
    /// The same with a zero point beside each scale.
    #[value(name = "int4-32-asymmetric")]
    Int4Block32Asymmetric,
    /// The same for each 128 weights.
    #[value(name = "int4-128-asymmetric")]
    Int4Block128Asymmetric,
    /// Eight bits with a scale for each 128 weights.
    Int8,
}

/// Storage of lm_head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Head {
    /// As the other matrices.
    Same,
    /// Eight bits: closer to the exact logits, and for large vocabularies slower.
    Int8,
}

/// How the scales of four bits are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Rounding {
    /// So that the squared error is least.
    LeastError,
    /// So that the extremes lie within the codes.
    Extremes,
}

fn decoder(arguments: &Arguments) -> DecoderOptions {
    let decoder = match arguments.quantize {
        Quantize::None => DecoderOptions::f32(),
        Quantize::Int4Block32 => DecoderOptions::int4(32),
        Quantize::Int4Block128 => DecoderOptions::int4(128),
        Quantize::Int4Block32Asymmetric => DecoderOptions::int4(32).asymmetric(),
        Quantize::Int4Block128Asymmetric => DecoderOptions::int4(128).asymmetric(),
        Quantize::Int8 => DecoderOptions::int8(),
    };
    let decoder = match arguments.decoder_type {
        Width::F32 => decoder,
        Width::F16 => decoder.f16(),
    };
    let four_bits = !matches!(arguments.quantize, Quantize::None | Quantize::Int8);
    let decoder = match arguments.lm_head {
        Head::Int8 if four_bits => decoder.lm_head_int8(),
        _ => decoder,
    };
    let rounding = match arguments.rounding {
        Rounding::LeastError => quantize::Rounding::LeastError,
        Rounding::Extremes => quantize::Rounding::Extremes,
    };
    DecoderOptions { rounding, edge_layers: arguments.edge_layers, ..decoder }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (embedding, vision) = (arguments.embedding.storage(), arguments.vision.storage());
    let spacing_mm = arguments.spacing_mm.as_ref().map(|mm| std::array::from_fn(|axis| mm[axis]));
    let request = ExportRequest {
        references: arguments.references.clone(),
        data: OpenOptions { normals: arguments.normals, spacing_mm, ..OpenOptions::default() },
        options: ExportOptions { decoder: decoder(arguments), embedding, vision, ..ExportOptions::default() },
        #[cfg(not(feature = "torch"))]
        rounded: None,
        #[cfg(feature = "torch")]
        rounded: rounded(arguments)?,
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
    #[cfg(feature = "torch")]
    check(arguments, &request)?;
    Ok(())
}

/// Rounds with texts, where there are some.
#[cfg(feature = "torch")]
fn rounded(arguments: &Arguments) -> Result<Option<PathBuf>> {
    let Some(path) = &arguments.calibrate else { return Ok(None) };
    let run = diffvp_train::run::Run::open(&arguments.run)?;
    let folder = arguments.run.join("rounded");
    diffvp_train::fit::calibrate::calibrate(&run, &lines(path)?, &decoder(arguments), &folder)?;
    Ok(Some(folder))
}

/// The lines of a file that are not empty.
#[cfg(feature = "torch")]
fn lines(path: &std::path::Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::data(path, e.to_string()))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(String::from).collect())
}

/// Compares the package with the training model, prints the errors, and writes them to `export_check.json` in the run.
#[cfg(feature = "torch")]
fn check(arguments: &Arguments, request: &ExportRequest) -> Result<()> {
    let mut scans = diffvp_train::export::references(&arguments.run, request)?;
    scans.truncate(arguments.check);
    let texts = arguments.texts.as_deref().map(lines).transpose()?.unwrap_or_default();
    if scans.is_empty() && texts.is_empty() {
        return Ok(());
    }
    let found = diffvp_train::fit::verify::verify(&arguments.run, &arguments.out, &scans, &texts, &request.session)?;
    eprintln!(
        "compared with the training model on {} scans, largest error of the largest value: encoder {:.1e}, classifier {:.1e}, \
         difference {:.1e}, embedding {:.1e}, decoder {:.1e}; next token: KL divergence {:.4}, {:.1} changed of 1,000",
        found.scans,
        found.encoder,
        found.classifier,
        found.difference,
        found.embedding,
        found.decoder,
        found.written.kl_divergence,
        found.written.changed_per_1000
    );
    if let Some(error) = found.branches {
        eprintln!("sections at once: largest error of the decoder {error:.1e}");
    }
    if let Some(texts) = &found.texts {
        eprintln!(
            "compared on {} tokens of texts: KL divergence {:.4}, {:.1} changed of 1,000, perplexity {:.2} and {:+.1} % with rounded weights",
            texts.tokens,
            texts.kl_divergence,
            texts.changed_per_1000,
            texts.perplexity,
            100.0 * (texts.perplexity_ratio - 1.0)
        );
    }
    let json = serde_json::to_string_pretty(&found).unwrap_or_default();
    diffvp::files::write_atomic(arguments.run.join("export_check.json"), |out| {
        std::io::Write::write_all(out, json.as_bytes())
    })?;
    // Deep networks with real weights round a little more than 1e-4 in float32; float16 has 13 bits less.
    let largest = match arguments.vision {
        Width::F32 => 1e-3,
        Width::F16 => 2e-2,
    };
    if found.largest_exact() > largest {
        return Err(Error::Training {
            detail: format!("the exported graphs differ by {:.1e}, more than {largest}", found.largest_exact()),
        });
    }
    Ok(())
}
