//! Speed of decoders of known shapes with seeded weights: our kernels and those of ONNX Runtime, and where a Python that has them is
//! named, llama.cpp, transformers and onnxruntime-genai. All take turns, so that they meet the same noise.
//!
//! `cargo xtask bench decode -- --shape tiny-llama --block 128`

mod allocations;
mod asked;
#[path = "../replay/mod.rs"]
#[allow(dead_code, reason = "the other measurement of drafts uses the rest")]
mod replay;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use diffvp::runtime::{CancelToken, Decoder, Kernels, KvCache, LogitRows, SessionOptions};
use diffvp_exporter::ModelConfig;
use diffvp_exporter::graphs::{self, DecoderOptions};
use diffvp_exporter::onnx::{WriteOptions, write};
use diffvp_exporter::weights::RandomWeights;
use diffvp_tests::decoders::{Shape, argmax, median, noise, sizes};

use asked::Asked;

/// Rows of a prompt.
const PROMPT: usize = 128;
/// Tokens of a report.
const REPORT: usize = 400;
/// Tokens that are proposed for a report, at most.
const PROPOSED: usize = 5;
/// Rows that a draft is checked with.
const DRAFTS: [usize; 7] = [2, 3, 4, 6, 8, 12, 16];

#[derive(Parser)]
struct Arguments {
    /// Shapes of decoders.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "small")]
    shape: Vec<Name>,
    /// Weights per scale of the four-bit storage: 32 or 128.
    #[arg(long, value_delimiter = ',', default_value = "128")]
    block: Vec<usize>,
    /// Rounds in which all take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Steps of one token a round.
    #[arg(long, default_value_t = 32)]
    steps: usize,
    /// Positions in the cache before steps are measured.
    #[arg(long, default_value_t = 256)]
    past: usize,
    /// Whose kernels take part.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "own,onnx-runtime")]
    kernels: Vec<Choice>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Folder for the models, which is kept; a temporary one without this.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// A Python with llama-cpp-python and gguf.
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// A Python with torch and transformers.
    #[arg(long, value_name = "FILE")]
    transformers: Option<PathBuf>,
    /// A Python with onnxruntime-genai, onnx-ir, torch and transformers.
    #[arg(long, value_name = "FILE")]
    genai: Option<PathBuf>,
    /// What cargo bench adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Choice {
    /// Ours, with a cache of eight bits.
    Own,
    /// As `own`, with AVX2 and nothing newer.
    Avx2,
    /// Ours for products, ONNX Runtime's for attention, with a cache of float32.
    FloatCache,
    /// ONNX Runtime's.
    OnnxRuntime,
}

impl Choice {
    fn kernels(self) -> Kernels {
        match self {
            Choice::Own => Kernels::Best,
            Choice::Avx2 => Kernels::Avx2,
            Choice::FloatCache => Kernels::FloatCache,
            Choice::OnnxRuntime => Kernels::OnnxRuntime,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    Small,
    Smollm2,
    TinyLlama,
    Llama7b,
}

impl Name {
    fn shape(self) -> Shape {
        match self {
            Name::Small => Shape::Small,
            Name::Smollm2 => Shape::SmolLm2,
            Name::TinyLlama => Shape::TinyLlama,
            Name::Llama7b => Shape::Llama7b,
        }
    }
}

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    for name in &arguments.shape {
        for &block in &arguments.block {
            compare(name.shape(), block, &arguments, &folder)?;
        }
    }
    Ok(())
}

/// Something that decodes.
trait Engine {
    fn name(&self) -> String;
    /// Seconds of `rows` rows into an empty cache.
    fn prefill(&mut self, rows: usize) -> Result<f64, AnyError>;
    /// Seconds of `steps` runs of `rows` rows behind [`Arguments::past`] positions, all of whose logits are wanted; each run of
    /// several rows replaces those of the one before.
    fn steps(&mut self, rows: usize, steps: usize) -> Result<f64, AnyError>;
    /// Seconds of a report behind the same positions, token by token, or by the `runs` where drafts can be checked.
    fn report(&mut self, runs: &[Run]) -> Result<f64, AnyError> {
        self.steps(1, runs.iter().map(|run| run.tokens).sum())
    }
}

/// A run of a report with drafts.
struct Run {
    rows: usize,
    /// Of the rows, those that the report goes on with.
    tokens: usize,
}

/// The runs that write [`REPORT`] tokens of what a model wrote for real scans; none without the data.
fn runs_of_a_report() -> Vec<Run> {
    let Some((texts, bank)) = replay::open() else { return Vec::new() };
    let (mut runs, mut tokens) = (Vec::new(), 0);
    for text in texts.iter().filter(|text| !text.for_phrases && text.predicted.len() > 1) {
        replay::replay(&bank, text.region, &text.predicted, PROPOSED, |draft, right| {
            if tokens < REPORT {
                runs.push(Run { rows: 1 + draft, tokens: 1 + right });
                tokens += 1 + right;
            }
        });
    }
    runs
}

struct Ours {
    decoder: Decoder,
    cache: KvCache,
    hidden: usize,
    past: usize,
    seconds_to_load: f64,
}

impl Ours {
    fn open(path: &Path, shape: Shape, kernels: Kernels, arguments: &Arguments) -> Result<Self, AnyError> {
        let (begin, past) = (Instant::now(), arguments.past);
        let options = SessionOptions { kernels, threads: arguments.threads, ..SessionOptions::default() };
        let (cancel, hidden) = (CancelToken::default(), shape.config().hidden_size);
        let decoder = Decoder::open(path, &sizes(&shape.config()), &options)?;
        let seconds_to_load = begin.elapsed().as_secs_f64();
        let mut cache = decoder.new_cache(past + 512, &cancel)?;
        decoder.forward(&mut cache, noise(past * hidden, 7), LogitRows::Last, &cancel)?;
        Ok(Ours { decoder, cache, hidden, past, seconds_to_load })
    }
}

impl Engine for Ours {
    fn name(&self) -> String {
        self.decoder.kernels()
    }

    fn prefill(&mut self, rows: usize) -> Result<f64, AnyError> {
        let cancel = CancelToken::default();
        let mut cache = self.decoder.new_cache(rows, &cancel)?;
        let prompt = noise(rows * self.hidden, 5);
        let begin = Instant::now();
        self.decoder.forward(&mut cache, prompt, LogitRows::Last, &cancel)?;
        Ok(begin.elapsed().as_secs_f64())
    }

    fn steps(&mut self, rows: usize, steps: usize) -> Result<f64, AnyError> {
        let cancel = CancelToken::default();
        let input = noise(rows * self.hidden, 6);
        self.cache.truncate(self.past);
        let begin = Instant::now();
        for _ in 0..steps {
            if rows > 1 {
                self.cache.truncate(self.past);
            }
            let wanted = if rows > 1 { LogitRows::All } else { LogitRows::Last };
            std::hint::black_box(argmax(&self.decoder.forward(&mut self.cache, input.clone(), wanted, &cancel)?));
        }
        Ok(begin.elapsed().as_secs_f64())
    }

    fn report(&mut self, runs: &[Run]) -> Result<f64, AnyError> {
        if !self.decoder.rows_agree() {
            return self.steps(1, runs.iter().map(|run| run.tokens).sum());
        }
        let cancel = CancelToken::default();
        self.cache.truncate(self.past);
        let begin = Instant::now();
        for run in runs {
            let length = self.cache.len();
            let logits =
                self.decoder.forward(&mut self.cache, noise(run.rows * self.hidden, 6), LogitRows::All, &cancel)?;
            let vocab = self.decoder.sizes().vocab_size;
            logits.chunks_exact(vocab).take(run.tokens).for_each(|logits| {
                std::hint::black_box(argmax(logits));
            });
            self.cache.truncate(length + run.tokens);
        }
        Ok(begin.elapsed().as_secs_f64())
    }
}

fn compare(shape: Shape, block: usize, arguments: &Arguments, folder: &Path) -> Result<(), AnyError> {
    let path = folder.join(format!("{}-{block}", shape.name().replace(' ', "-"))).join("decoder.onnx");
    if !path.exists() {
        let mut config = ModelConfig::demo(600);
        config.decoder = shape.config();
        std::fs::create_dir_all(path.parent().ok_or("a model lies in a folder")?)?;
        let weights = RandomWeights::new(&config, 3);
        let graph = graphs::decoder(&config, &weights, &DecoderOptions::int4(block))?;
        // Beside the graph, as a package of this size would have them.
        write(graph, &path, &WriteOptions { external_above_bytes: 1 << 20 })?;
    }
    let bytes = std::fs::metadata(&path)?.len() + std::fs::metadata(path.with_extension("onnx.data"))?.len();
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    println!("\n## {}, int4, block {block}: {:.2} GB\n", shape.name(), bytes as f64 / 1e9);
    for kernels in &arguments.kernels {
        let before = resident();
        let mut ours = Ours::open(&path, shape, kernels.kernels(), arguments)?;
        let (own, files) = resident();
        ours.steps(1, 1)?;
        let [one, nine] = [1, 9].map(|steps| {
            let before = allocations::so_far();
            ours.steps(1, steps).map(|_| std::array::from_fn::<usize, 2, _>(|i| allocations::so_far()[i] - before[i]))
        });
        let (one, nine) = (one?, nine?);
        println!(
            "a step asks {} times for memory, {:.0} KB in all, its logits {:.0} KB",
            (nine[0] - one[0]) / 8,
            (nine[1] - one[1]) as f64 / 8e3,
            4e-3 * shape.config().vocab_size as f64
        );
        println!(
            "{}: loaded in {:.2} s; {:.2} GB of memory of its own, {:.2} GB of the file in the page cache",
            ours.name(),
            ours.seconds_to_load,
            own - before.0,
            files - before.1
        );
        engines.push(Box::new(ours));
    }
    if let Some(python) = &arguments.python {
        engines.push(Box::new(Asked::llama_cpp(python, &shape.config(), &path, arguments)?));
    }
    if let Some(python) = &arguments.transformers {
        engines.push(Box::new(Asked::transformers(python, &shape.config(), arguments)?));
    }
    if let Some(python) = &arguments.genai {
        engines.push(Box::new(Asked::genai(python, &shape.config(), block, &path, arguments)?));
    }
    let runs = runs_of_a_report();
    let (mut rows, mut floor) = (vec![Vec::new(); engines.len()], Vec::new());
    for _ in 0..arguments.rounds {
        floor.push(bytes as f64 / 1e9 / read_gb_per_s(arguments.threads));
        for (engine, times) in engines.iter_mut().zip(&mut rows) {
            let mut round = vec![engine.prefill(PROMPT)? / PROMPT as f64];
            round.push(engine.steps(1, arguments.steps)? / arguments.steps as f64);
            let few = (arguments.steps / 4).max(1);
            for draft in DRAFTS {
                round.push(engine.steps(draft, few)? / few as f64);
            }
            round.push(if runs.is_empty() { f64::NAN } else { engine.report(&runs)? });
            times.push(round);
        }
    }
    print!("\n| | prefill of {PROMPT}, tok/s | decode, tok/s (lowest to highest) | share of the bandwidth floor |");
    DRAFTS.iter().for_each(|rows| print!(" {rows} rows |"));
    println!(" report of {REPORT} tokens, s |\n|---|---|---|---|{}---|", "---|".repeat(DRAFTS.len()));
    let floor = median(floor);
    for (engine, times) in engines.iter().zip(&rows) {
        let column = |i: usize| times.iter().map(|round| round[i]).collect::<Vec<f64>>();
        let (prefill, step) = (median(column(0)), median(column(1)));
        let mut rates: Vec<f64> = column(1).iter().map(|s| 1.0 / s).collect();
        rates.sort_by(f64::total_cmp);
        let (low, high) = (rates[0], rates[rates.len() - 1]);
        let name = engine.name();
        print!("| {name} | {:.1} | {:.2} ({low:.2} to {high:.2}) |", 1.0 / prefill, 1.0 / step);
        print!(" {:.0} % |", 100.0 * floor / step);
        (0..DRAFTS.len()).for_each(|i| print!(" {:.2} |", median(column(2 + i)) / step));
        println!(" {:.1} |", median(column(2 + DRAFTS.len())));
    }
    println!("\nReading {:.2} GB with {} threads takes {:.1} ms.", bytes as f64 / 1e9, arguments.threads, 1e3 * floor);
    Ok(())
}

/// Memory of the process in GB: its own, and of files.
fn resident() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let gb = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN) * 1024.0 / 1e9
    };
    (gb("RssAnon:"), gb("RssFile:"))
}

/// What the memory gives to as many threads that only read.
fn read_gb_per_s(threads: usize) -> f64 {
    let bytes = vec![1u64; 64 << 20];
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for part in bytes.chunks(bytes.len().div_ceil(threads)) {
            scope.spawn(move || {
                let (lanes, _) = part.as_chunks::<8>();
                let sum = lanes.iter().fold([0u64; 8], |mut sum, lane| {
                    sum.iter_mut().zip(lane).for_each(|(s, v)| *s ^= v);
                    sum
                });
                std::hint::black_box(sum)
            });
        }
    });
    8.0 * bytes.len() as f64 / 1e9 / begin.elapsed().as_secs_f64()
}
