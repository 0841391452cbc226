//! What rounding changes of the next tokens of texts: with ONNX Runtime's kernels, with ours over a cache of float32, and with ours over
//! a cache of eight bits, each against the same decoder in float32.
//!
//! `cargo xtask bench cache -- --texts REPORTS.txt --exact PACKAGE PACKAGE…`

use std::path::{Path, PathBuf};

use clap::Parser;
use diffvp::decode::{Decoder, Embedding, LogitRows};
use diffvp::package::Package;
use diffvp::runtime::{CancelToken, Kernels, SessionOptions};
use diffvp_tests::decoders::argmax;
use tokenizers::Tokenizer;

#[derive(Parser)]
struct Arguments {
    /// Text files; all are read as one text.
    #[arg(long, required = true, value_name = "FILE", value_delimiter = ',')]
    texts: Vec<PathBuf>,
    /// Tokens of the text that are read.
    #[arg(long, default_value_t = 2048)]
    tokens: usize,
    /// Tokens that are read at a time.
    #[arg(long, default_value_t = 256)]
    length: usize,
    /// The package with the decoder in float32 (`diffvp-train export --quantize none`).
    #[arg(long, value_name = "PACKAGE")]
    exact: PathBuf,
    /// What cargo bench adds.
    #[arg(long, hide = true)]
    bench: bool,
    /// Packages.
    #[arg(required = true, value_name = "PACKAGE")]
    packages: Vec<PathBuf>,
}

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let arguments = Arguments::parse();
    let read = |file: &PathBuf| std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()));
    let text = arguments.texts.iter().map(read).collect::<Result<String, String>>()?;
    let exact = Model::open(&arguments.exact, Kernels::OnnxRuntime)?;
    let tokenizer = Tokenizer::from_file(arguments.exact.join("tokenizer.json")).map_err(|e| e.to_string())?;
    let encoding = tokenizer.encode(text.as_str(), false).map_err(|e| e.to_string())?;
    let ids = &encoding.get_ids()[..arguments.tokens.min(encoding.len())];
    let chunks: Vec<&[u32]> = ids.chunks_exact(arguments.length.max(2)).collect();
    if chunks.is_empty() {
        return Err(format!("{} tokens of text are fewer than {}", ids.len(), arguments.length).into());
    }
    let mut expected = Vec::new();
    for chunk in &chunks {
        expected.push(exact.logits(chunk)?);
    }
    println!("| package | kernels | perplexity | KL divergence | changed of 1,000 |\n|---|---|---|---|---|");
    for package in &arguments.packages {
        for kernels in [Kernels::OnnxRuntime, Kernels::FloatCache, Kernels::Best] {
            let model = Model::open(package, kernels)?;
            let mut found = Sums::default();
            for (chunk, expected) in chunks.iter().zip(&expected) {
                found.add(expected, &model.logits(chunk)?, chunk, model.vocab);
            }
            let name = package.file_name().unwrap_or_default().to_string_lossy();
            println!("| {name} | {} | {} |", model.decoder.kernels(), found.row());
        }
    }
    Ok(())
}

struct Model {
    embedding: Embedding,
    decoder: Decoder,
    vocab: usize,
}

impl Model {
    fn open(path: &Path, kernels: Kernels) -> Result<Model, AnyError> {
        let package = Package::open(path)?;
        let sizes = &package.manifest().decoder;
        let options = SessionOptions { kernels, ..SessionOptions::default() };
        Ok(Model {
            embedding: Embedding::open(&package.path("embedding.onnx"), sizes.hidden_size, &options)?,
            decoder: Decoder::open(&package.path("decoder.onnx"), sizes, &options)?,
            vocab: sizes.vocab_size,
        })
    }

    fn logits(&self, ids: &[u32]) -> Result<Vec<f32>, AnyError> {
        let cancel = CancelToken::default();
        let mut cache = self.decoder.new_cache(ids.len(), &cancel)?;
        Ok(self.decoder.forward(&mut cache, self.embedding.embed(ids, &cancel)?, LogitRows::All, &cancel)?)
    }
}

#[derive(Default)]
struct Sums {
    count: usize,
    changed: usize,
    divergence: f64,
    surprise: f64,
}

impl Sums {
    /// Adds the rows of a text that have a next token.
    fn add(&mut self, exact: &[f32], found: &[f32], ids: &[u32], vocab: usize) {
        let both = exact.chunks_exact(vocab).zip(found.chunks_exact(vocab));
        for ((exact, found), next) in both.zip(&ids[1..]) {
            self.changed += usize::from(argmax(exact) != argmax(found));
            let (exact, found) = (log_softmax(exact), log_softmax(found));
            self.divergence += exact.iter().zip(&found).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
            self.surprise -= found[*next as usize];
            self.count += 1;
        }
    }

    fn row(&self) -> String {
        let mean = |sum: f64| sum / self.count as f64;
        let changed = 1000.0 * mean(self.changed as f64);
        format!("{:.2} | {:.4} | {changed:.0}", mean(self.surprise).exp(), mean(self.divergence))
    }
}

/// Logarithms of the next token's probabilities.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = logits.iter().map(|x| (f64::from(*x) - largest).exp()).sum();
    logits.iter().map(|x| f64::from(*x) - largest - total.ln()).collect()
}
