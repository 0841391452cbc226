//! The same graph with the same input on the processor and on the device.

use std::path::Path;

use diffvp::runtime::{CancelToken, Decoder, GpuOptions, Graph, LogitRows, SessionOptions, Tensor};
use diffvp_exporter::config::LlamaConfig;
use diffvp_exporter::graphs::{DecoderOptions, classifier, difference, encoder};

use crate::models::{decoder_graph, graph, model, vision};
use crate::table::Table;
use crate::{AnyError, Setting, Sizes};
use diffvp_tests::decoders::{Shape, argmax, noise, sizes};

/// Largest error of the largest value: float32 on both sides, in another order.
const F32_TOLERANCE: f32 = 1e-3;
/// float16 on the device against float32 arithmetic on the processor.
const F16_TOLERANCE: f32 = 3e-2;
/// Tokens written greedily on both.
const TOKENS: usize = 64;
/// Rows of the prompt before them.
const PROMPT: usize = 48;

pub(crate) fn run(setting: &Setting, table: &mut Table) -> Result<(), AnyError> {
    let demo = setting.folder.join("demo.diffvp");
    diffvp::demo::write_package(&demo)?;
    for name in ["encoder.onnx", "classifier.onnx", "difference.onnx"] {
        table.attempt(&format!("demo package, {name}"), |t| vision_graph(setting, t, "demo package", &demo.join(name)));
    }
    if setting.sizes == Sizes::Full {
        let (folder, config) = (setting.folder.join("vision"), vision(Sizes::Full));
        graph(&folder.join("encoder.onnx"), &config, |c, w| Ok(encoder(c, w)))?;
        graph(&folder.join("classifier.onnx"), &config, |c, w| Ok(classifier(c, w)))?;
        graph(&folder.join("difference.onnx"), &config, |c, w| Ok(difference(c, w)))?;
        for name in ["encoder.onnx", "classifier.onnx", "difference.onnx"] {
            let what = format!("paper's size, {name}");
            table.attempt(&what, |t| vision_graph(setting, t, "paper's size", &folder.join(name)));
        }
    }
    for (name, options) in [
        ("f16", DecoderOptions::f32()),
        ("int8", DecoderOptions::int8()),
        ("int4, block 32", DecoderOptions::int4(32)),
        ("int4, block 128", DecoderOptions::int4(128)),
    ] {
        table.attempt(&format!("decoder, {name}"), |t| decoder(setting, t, name, options));
    }
    Ok(())
}

/// Values for each input with their shapes; axes that vary have one element.
fn inputs(graph: &Graph) -> Result<Vec<(String, Tensor)>, AnyError> {
    let ports = graph.inputs().iter().enumerate();
    ports
        .map(|(index, port)| {
            let shape: Vec<usize> = port.shape.iter().map(|&d| usize::try_from(d).unwrap_or(1)).collect();
            Ok((port.name.clone(), Tensor::f32(&shape, noise(shape.iter().product(), index as u64))?))
        })
        .collect()
}

fn vision_graph(setting: &Setting, table: &mut Table, of: &str, path: &Path) -> Result<(), AnyError> {
    let run = |options: &SessionOptions| -> Result<(Vec<String>, Vec<Tensor>), AnyError> {
        let graph = Graph::open(path, options)?;
        let inputs = inputs(&graph)?;
        let named: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let names = graph.outputs().iter().map(|port| port.name.clone()).collect();
        Ok((names, graph.run(&named, &CancelToken::default())?))
    };
    let (names, expected) = run(&setting.processor())?;
    let (_, found) = run(&setting.on_device(GpuOptions::default()))?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    for ((name, expected), found) in names.iter().zip(&expected).zip(&found) {
        let values = |t: &Tensor| t.as_f32().map(<[f32]>::to_vec).ok_or("no float output");
        let (largest, relative) = errors(&values(found)?, &values(expected)?);
        let what = format!("{of}, {file}, {name}: largest error, of the largest value");
        table.check(
            &what,
            format!("{largest:.1e}, {relative:.1e}"),
            relative <= F32_TOLERANCE,
            "against the processor",
        );
    }
    Ok(())
}

/// Largest difference, alone and over the largest magnitude expected; infinite where a value is no number.
fn errors(found: &[f32], expected: &[f32]) -> (f32, f32) {
    if found.len() != expected.len() || !found.iter().all(|v| v.is_finite()) {
        return (f32::INFINITY, f32::INFINITY);
    }
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |a, v| a.max(v.abs()));
    let error = found.iter().zip(expected).fold(0f32, |a, (f, e)| a.max((f - e).abs()));
    (error, error / largest)
}

/// Logits of a prompt in one piece, then tokens that the device picks from its own logits; the processor follows the same
/// tokens, so that one near tie does not make all that follows incomparable.
struct Written {
    prompt: Vec<f32>,
    steps: Vec<Vec<f32>>,
    tokens: Vec<usize>,
}

fn write(
    path: &Path,
    c: &LlamaConfig,
    options: &SessionOptions,
    follow: Option<&[usize]>,
) -> Result<Written, AnyError> {
    let cancel = CancelToken::default();
    let decoder = Decoder::open(path, &sizes(c), options)?;
    let mut cache = decoder.new_cache(PROMPT + TOKENS + 8, &cancel)?;
    let row = |token: usize| noise(c.hidden_size, 1000 + token as u64);
    let prompt: Vec<f32> = (0..PROMPT).flat_map(row).collect();
    let first = decoder.forward(&mut cache, prompt, LogitRows::All, &cancel)?;
    let mut last = first[first.len() - c.vocab_size..].to_vec();
    let (mut steps, mut tokens) = (Vec::new(), Vec::new());
    for step in 0..TOKENS {
        tokens.push(argmax(&last));
        let token = follow.map_or(tokens[step], |follow| follow[step]);
        last = decoder.forward(&mut cache, row(token), LogitRows::Last, &cancel)?;
        steps.push(last.clone());
    }
    Ok(Written { prompt: first, steps, tokens })
}

fn decoder(setting: &Setting, table: &mut Table, name: &str, options: DecoderOptions) -> Result<(), AnyError> {
    let shape = if setting.sizes == Sizes::Full { Shape::TinyLlama } else { Shape::Small };
    let mut config = model(shape, Sizes::Small);
    if setting.sizes == Sizes::Full {
        // Four layers of it: as wide, and quick to make.
        config.decoder.layers = 4;
    }
    let folder = setting.folder.join("parity");
    let (exact, half) = (folder.join("exact.onnx"), folder.join("half.onnx"));
    // The reference computes in float32 throughout, from the same rounded weights.
    decoder_graph(&exact, &config, &DecoderOptions { accuracy_level: 1, ..options })?;
    decoder_graph(&half, &config, &options.f16())?;
    let found = write(&half, &config.decoder, &setting.on_device(GpuOptions::default()), None)?;
    let expected = write(&exact, &config.decoder, &setting.processor(), Some(&found.tokens))?;
    let again = write(&half, &config.decoder, &setting.on_device(GpuOptions::default()), None)?;
    let (_, prompt) = errors(&found.prompt, &expected.prompt);
    let steps = found.steps.iter().zip(&expected.steps).map(|(f, e)| errors(f, e).1).fold(0f32, f32::max);
    let of = format!("decoder {name} in float16");
    let note = "of the largest logit, against float32 on the processor";
    table.check(
        &format!("{of}: prompt, step by step"),
        format!("{prompt:.1e}, {steps:.1e}"),
        prompt.max(steps) <= F16_TOLERANCE,
        note,
    );
    let same = found.tokens.iter().zip(&expected.tokens).filter(|(a, b)| a == b).count();
    table.check(&format!("{of}: same greedy tokens"), format!("{same} of {TOKENS}"), same * 10 >= TOKENS * 9, "");
    let equal = found.steps == again.steps && found.prompt == again.prompt;
    table.check(&format!("{of}: a second session gives the same bits"), equal, equal, "");
    Ok(())
}
