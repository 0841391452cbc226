//! A package against the model it was exported from, on real scans: the largest error of each graph, and what the
//! quantised decoder changes.

use std::path::Path;

use diffvp::decode::{Decoder, Embedding, LogitRows};
use diffvp::package::{Package, names};
use diffvp::runtime::{CancelToken, SessionOptions};
use diffvp::vision::{
    Classifier as OnnxClassifier, Difference as OnnxDifference, Encoder as OnnxEncoder, VolumeTensor,
};
use diffvp_exporter::weights::tensor_specs;
use serde::Serialize;
use tch::{Device, Kind, Tensor};
use tokenizers::Tokenizer;

use super::next_token::{NextTokens, Sums};
use crate::data::ScanFile;
use crate::model::{Branches, Classifier, Difference, Encoder, Llama, Mode, Parameters};
use crate::run::Run;
use crate::{Error, Result};

/// Tokens that the decoder writes for the comparison.
const TOKENS: usize = 100;

/// What [`verify`] found. Errors are the largest difference over the largest value expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Scans compared.
    pub scans: usize,
    /// Tokens I and attention A.
    pub encoder: f32,
    /// Probabilities.
    pub classifier: f32,
    /// Prefix, visual tokens, importance and weights.
    pub difference: f32,
    /// Rows of the table.
    pub embedding: f32,
    /// Logits; large where the decoder is quantised.
    pub decoder: f32,
    /// Logits of texts that branch behind a prompt, where the decoder knows branches.
    pub branches: Option<f32>,
    /// Tokens that the exported decoder writes behind the scans.
    pub written: NextTokens,
    /// Tokens of texts that were given.
    pub texts: Option<NextTokens>,
}

impl Verification {
    /// The largest error of the graphs that are never quantised.
    pub fn largest_exact(&self) -> f32 {
        [self.encoder, self.classifier, self.difference].into_iter().fold(0.0, f32::max)
    }
}

/// Compares a package with its run on scans, each with the next one as its reference, and the decoder on texts as well.
///
/// # Errors
/// Those of the run, the package, the scans and the graphs.
pub fn verify(
    run: &Path,
    package: &Path,
    scans: &[ScanFile],
    texts: &[String],
    options: &SessionOptions,
) -> Result<Verification> {
    let run = Run::open(run)?;
    let package = Package::open(package)?;
    let manifest = package.manifest();
    let (config, sizes, cancel) = (&run.config, &manifest.vision, CancelToken::default());
    let mut p = Parameters::new(Device::Cpu);
    p.add(&tensor_specs(config), run.weights(), Kind::Float)?;
    let encoder = Encoder::new(&p, config, Kind::Float)?;
    let classifier = Classifier::new(&p, config, Kind::Float)?;
    let difference = Difference::new(&p, config)?;
    let decoder = Llama::new(&p, &config.decoder, None)?;
    let width = config.decoder.hidden_size;
    let path = |name: &str| package.path(name);
    let onnx_encoder = OnnxEncoder::open(&path(names::ENCODER), sizes, options)?;
    let onnx_classifier = OnnxClassifier::open(&path(names::CLASSIFIER), sizes, config.classifier.labels, options)?;
    let onnx_difference = OnnxDifference::open(&path(names::DIFFERENCE), sizes, width, options)?;
    let onnx_embedding = Embedding::open(&path(names::EMBEDDING), width, options)?;
    let onnx_decoder = Decoder::open(&path(names::DECODER), &manifest.decoder, options)?;

    let mut found = Verification { scans: scans.len(), ..Verification::default() };
    let mut tokens: Vec<(Vec<f32>, Tensor)> = Vec::new();
    for scan in scans {
        let scan = scan.open().map_err(|source| Error::Reference { path: scan.path.clone(), source })?;
        let input = manifest.preprocessing.apply(scan.volume())?;
        let shape: Vec<i64> = [1].into_iter().chain(input.shape.map(|n| n as i64)).collect();
        let volume = Tensor::from_slice(&input.values).view(shape.as_slice());
        let input = VolumeTensor::new(input, sizes)?;
        let encoding = onnx_encoder.encode(&input, &cancel)?;
        let probabilities = onnx_classifier.classify(&input, &cancel)?;
        let (expected, attention, p) = tch::no_grad(|| {
            let (tokens, attention) = encoder.forward(&volume);
            (tokens, attention, Classifier::probabilities(&classifier.evidence(&volume, Mode::Evaluate)))
        });
        found.encoder =
            found.encoder.max(error(&encoding.tokens, &expected)?).max(error(&encoding.attention, &attention)?);
        found.classifier = found.classifier.max(error(&probabilities, &p)?);
        tokens.push((encoding.tokens, expected));
    }
    let mut written = Sums::default();
    for (index, (one, target)) in tokens.iter().enumerate() {
        let (other, reference) = &tokens[(index + 1) % tokens.len()];
        let contrast = onnx_difference.contrast(one, other, &cancel)?;
        let expected = tch::no_grad(|| difference.forward(target, reference));
        for (found_values, expected) in [
            (&contrast.prefix, &expected.prefix),
            (&contrast.visual, &expected.visual),
            (&contrast.importance, &expected.importance),
            (&contrast.weights, &expected.weights),
        ] {
            found.difference = found.difference.max(error(found_values, expected)?);
        }
        // The visual part of a prompt, and what the exported decoder itself goes on with.
        let mut rows = [contrast.prefix, contrast.visual].concat();
        let mut cache = onnx_decoder.new_cache(rows.len() / width + TOKENS, &cancel)?;
        let mut logits = onnx_decoder.forward(&mut cache, rows.clone(), LogitRows::All, &cancel)?;
        let vocabulary = config.decoder.vocab_size;
        for _ in 0..TOKENS {
            let id = most_likely(&logits[logits.len() - vocabulary..]) as u32;
            let row = onnx_embedding.embed(&[id], &cancel)?;
            let expected = decoder.embed(&Tensor::from_slice(&[i64::from(id)]).view([1, 1])).detach();
            found.embedding = found.embedding.max(error(&row, &expected)?);
            logits.extend(onnx_decoder.forward(&mut cache, row.clone(), LogitRows::Last, &cancel)?);
            rows.extend(row);
        }
        let embeddings = Tensor::from_slice(&rows).view([1, -1, width as i64]);
        let expected = tch::no_grad(|| decoder.logits(&decoder.states(&embeddings, None, None))).squeeze_dim(0);
        found.decoder = found.decoder.max(error(&logits, &expected)?);
        let logits = Tensor::from_slice(&logits).view([-1, vocabulary as i64]);
        if onnx_decoder.branches() {
            let error = branches_error(&onnx_decoder, &decoder, &rows, width, &cancel)?;
            found.branches = Some(found.branches.unwrap_or(0.0).max(error));
        }
        // Rows inside the prompt predict nothing that is ever asked.
        let behind = |t: &Tensor| t.narrow(0, t.size()[0] - TOKENS as i64 - 1, TOKENS as i64);
        written.add(&behind(&expected), &behind(&logits), None);
    }
    found.written = written.finish();

    let failed = |e: tokenizers::Error| Error::training(format!("tokenizer: {e}"));
    let tokenizer = Tokenizer::from_bytes(run.tokenizer_json().as_bytes()).map_err(failed)?;
    let mut of_texts = Sums::default();
    for text in texts {
        let encoding = tokenizer.encode(text.as_str(), false).map_err(failed)?;
        let ids = &encoding.get_ids()[..encoding.len().min(config.decoder.context_length)];
        let Some((_, next)) = ids.split_first().filter(|(_, next)| !next.is_empty()) else { continue };
        let rows = onnx_embedding.embed(&ids[..next.len()], &cancel)?;
        let mut cache = onnx_decoder.new_cache(next.len(), &cancel)?;
        let rounded = onnx_decoder.forward(&mut cache, rows.clone(), LogitRows::All, &cancel)?;
        let rounded = Tensor::from_slice(&rounded).view([next.len() as i64, -1]);
        let rows = Tensor::from_slice(&rows).view([1, -1, width as i64]);
        let exact = tch::no_grad(|| decoder.logits(&decoder.states(&rows, None, None))).squeeze_dim(0);
        of_texts.add(&exact, &rounded, Some(next));
    }
    found.texts = (!texts.is_empty()).then(|| of_texts.finish());
    Ok(found)
}

/// Two branches that grow in turns behind a prompt: the first half of `rows` is the prompt, the others go to both in turns.
fn branches_error(onnx: &Decoder, decoder: &Llama, rows: &[f32], width: usize, cancel: &CancelToken) -> Result<f32> {
    let count = rows.len() / width;
    let prompt = count / 2;
    let places: Vec<usize> = (0..count).map(|row| if row < prompt { 0 } else { 1 + row % 2 }).collect();
    let mut cache = onnx.new_cache(count, cancel)?;
    let (first, rest) = rows.split_at(prompt * width);
    let mut logits = onnx.forward(&mut cache, first.to_vec(), LogitRows::All, cancel)?;
    for (step, rows) in rest.chunks(2 * width).enumerate() {
        let begin = prompt + 2 * step;
        let places = &places[begin..begin + rows.len() / width];
        logits.extend(onnx.forward_on(&mut cache, rows.to_vec(), places, LogitRows::All, cancel)?);
    }
    let sees = |row: usize, at: usize| at <= row && (places[at] == 0 || places[at] == places[row]);
    let positions: Vec<i64> = (0..count).map(|row| (0..row).filter(|&at| sees(row, at)).count() as i64).collect();
    let mask: Vec<bool> = (0..count * count).map(|i| sees(i / count, i % count)).collect();
    let n = count as i64;
    let branches = Branches {
        positions: Tensor::from_slice(&positions).view([1, n]),
        sees: Tensor::from_slice(&mask).view([1, 1, n, n]),
    };
    let embeddings = Tensor::from_slice(rows).view([1, n, width as i64]);
    let expected = tch::no_grad(|| decoder.logits(&decoder.states(&embeddings, Some(&branches), None)));
    error(&logits, &expected)
}

fn most_likely(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0)
}

/// Largest difference over the largest magnitude expected.
fn error(found: &[f32], expected: &Tensor) -> Result<f32> {
    let expected: Vec<f32> = Vec::try_from(expected.to_kind(Kind::Float).flatten(0, -1))?;
    if found.len() != expected.len() {
        return Err(Error::training(format!("a graph gave {} values, expected {}", found.len(), expected.len())));
    }
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |a, v| a.max(v.abs()));
    Ok(found.iter().zip(&expected).fold(0f32, |a, (f, e)| a.max((f - e).abs())) / largest)
}
