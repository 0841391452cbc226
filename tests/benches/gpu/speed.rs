//! Times of single graphs, against what the card could do.

use std::path::Path;
use std::time::Instant;

use diffvp::Device;
use diffvp::runtime::{CancelToken, Decoder, GpuOptions, Graph, LogitRows, SessionOptions, Tensor};
use diffvp_exporter::graphs::{DecoderOptions, encoder as encoder_graph};
use diffvp_tests::decoders::{Shape, argmax, median, noise, sizes};

use crate::models::{decoder_graph, graph, model, vision};
use crate::table::{Table, command_line, gpu_memory};
use crate::{AnyError, Setting, Sizes};

/// Rows of the prompt, as many as a report's.
const PROMPT: usize = 256;
const TOKENS: usize = 128;
const RUNS: usize = 5;

/// Products and sums of the encoder at the paper's size (output stride 8, dilated), in 10⁹ operations.
const ENCODER_GFLOP: f64 = 616.0;

/// What a card can do at most, by its maker's data sheet: GB/s of memory, and TFLOP/s in float32 without and with
/// TensorFloat-32 on dense matrices.
const CARDS: [(&str, f64, f64, f64); 3] =
    [("H200", 4800.0, 67.0, 495.0), ("H100 PCIe", 2000.0, 51.0, 378.0), ("H100", 3350.0, 67.0, 495.0)];

pub(crate) fn card() -> Option<&'static (&'static str, f64, f64, f64)> {
    let name = command_line("nvidia-smi", &["--query-gpu=name", "--format=csv,noheader"])?;
    CARDS.iter().find(|card| name.contains(card.0))
}

fn seconds<T>(work: impl FnOnce() -> Result<T, AnyError>) -> Result<(T, f64), AnyError> {
    let begin = Instant::now();
    let value = work()?;
    Ok((value, begin.elapsed().as_secs_f64()))
}

/// Options of the GPU that are measured against each other; the processor has one.
fn variants(device: Device) -> Vec<(&'static str, GpuOptions)> {
    let plain = GpuOptions::default();
    if device == Device::Cpu {
        return vec![("", plain)];
    }
    vec![
        ("", plain),
        (", tf32", GpuOptions { tf32: true, ..plain }),
        (", tf32, tuned", GpuOptions { tf32: true, tune: true, ..plain }),
    ]
}

pub(crate) fn encoder(setting: &Setting, table: &mut Table) -> Result<(), AnyError> {
    let config = vision(setting.sizes);
    let path = setting.folder.join("speed/encoder.onnx");
    graph(&path, &config, |config, weights| Ok(encoder_graph(config, weights)))?;
    for (variant, gpu) in variants(setting.device) {
        let what = format!("encoder {:?}{variant}", config.input);
        table.attempt(&what, |table| {
            let (graph, load) = seconds(|| Ok(Graph::open(&path, &setting.on_device(gpu))?))?;
            let [s, h, w] = config.input;
            let volume = Tensor::f32(&[1, 1, s, h, w], noise(s * h * w, 1))?;
            let run = || seconds(|| Ok(graph.run(&[("volume", &volume)], &CancelToken::default())?)).map(|t| 1e3 * t.1);
            let first = run()?;
            let time = median((0..RUNS).map(|_| run()).collect::<Result<_, _>>()?);
            let peak = card().filter(|_| setting.sizes == Sizes::Full && setting.device != Device::Cpu);
            let share = peak.map_or(String::new(), |card| {
                let (of, tflops) = if gpu.tf32 { ("tensor-core (tf32)", card.3) } else { ("float32", card.2) };
                format!("; {:.0} % of the {of} peak", 100.0 * ENCODER_GFLOP / time / tflops)
            });
            table.row(
                &what,
                format!("{time:.1} ms"),
                &format!("load {:.0} ms, first run {first:.0} ms{share}", 1e3 * load),
            );
            Ok(())
        });
    }
    Ok(())
}

pub(crate) fn of_package(setting: &Setting, table: &mut Table, shape: Shape, package: &Path) {
    decode_variants(setting, table, shape, "int4, block 128", &package.join("decoder.onnx"));
}

pub(crate) fn other_storages(setting: &Setting, table: &mut Table, shape: Shape) -> Result<(), AnyError> {
    let config = model(shape, Sizes::Small);
    for (name, options) in [("int4, block 32", DecoderOptions::int4(32)), ("f16", DecoderOptions::f32())] {
        let folder = setting.folder.join("storage");
        let path = folder.join("decoder.onnx");
        table.attempt(name, |table| {
            let made = decoder_graph(&path, &config, &options.f16())?;
            table.row(&format!("{} decoder, {name}: made", shape.name()), format!("{made:.1} s"), "");
            decode_variants(setting, table, shape, name, &path);
            Ok(())
        });
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// Bytes of a graph with the weights beside it.
fn bytes(path: &Path) -> Result<u64, AnyError> {
    let beside = path.with_extension("onnx.data");
    Ok(std::fs::metadata(path)?.len() + std::fs::metadata(beside).map_or(0, |m| m.len()))
}

fn decode_variants(setting: &Setting, table: &mut Table, shape: Shape, storage: &str, path: &Path) {
    let mut options = vec![("", GpuOptions::default())];
    if setting.device != Device::Cpu && storage != "f16" {
        options.push((", tuned", GpuOptions { tune: true, ..GpuOptions::default() }));
    }
    for (variant, gpu) in options {
        let what = format!("{} decoder, {storage}{variant}", shape.name());
        table.attempt(&what, |t| decode(t, &what, shape, path, &setting.on_device(gpu)));
    }
}

fn decode(table: &mut Table, what: &str, shape: Shape, path: &Path, options: &SessionOptions) -> Result<(), AnyError> {
    let bytes = bytes(path)?;
    let (c, cancel, before) = (shape.config(), CancelToken::default(), gpu_memory());
    let (decoder, load) = seconds(|| Ok(Decoder::open(path, &sizes(&c), options)?))?;
    let prompt = noise(PROMPT * c.hidden_size, 5);
    let row = noise(c.hidden_size, 6);
    let prefill = || {
        let mut cache = decoder.new_cache(PROMPT + TOKENS, &cancel)?;
        let (_, time) = seconds(|| Ok(decoder.forward(&mut cache, prompt.clone(), LogitRows::Last, &cancel)?))?;
        Ok::<_, AnyError>((cache, time))
    };
    let first = prefill()?.1;
    let time = median((0..3).map(|_| prefill().map(|p| p.1)).collect::<Result<_, _>>()?);
    let (mut cache, _) = prefill()?;
    let mut steps = Vec::new();
    for _ in 0..TOKENS {
        steps.push(seconds(|| Ok(argmax(&decoder.forward(&mut cache, row.clone(), LogitRows::Last, &cancel)?)))?.1);
    }
    let step = median(steps);
    let memory = before.zip(gpu_memory()).map_or(String::new(), |(a, b)| format!(", {:.0} MB of GPU memory", b - a));
    let note =
        format!("{PROMPT} rows in {:.1} ms; load {load:.1} s, first run {:.0} ms{memory}", 1e3 * time, 1e3 * first);
    table.row(&format!("{what}: prefill"), format!("{:.0} tok/s", PROMPT as f64 / time), &note);
    let floor = card().filter(|_| options.device != Device::Cpu).map_or(String::new(), |card| {
        // Every weight is read once a token.
        let floor = bytes as f64 / (card.1 * 1e9);
        format!("; the card's bandwidth allows {:.0} tok/s, {:.0} % reached", 1.0 / floor, 100.0 * floor / step)
    });
    let note = format!("{:.2} ms a token, {:.2} GB of weights{floor}", 1e3 * step, bytes as f64 / 1e9);
    table.row(&format!("{what}: decode"), format!("{:.1} tok/s", 1.0 / step), &note);
    Ok(())
}
