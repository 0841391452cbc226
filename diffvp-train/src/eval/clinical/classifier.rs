//! A text classifier exported to ONNX, in the form of RadBERT with a linear head.
//!
//! Its folder holds `tokenizer.json`, one `.onnx` file (`model.onnx`, if there are several) and, where something
//! differs from the defaults, `labeller.json`:
//!
//! | field | default | meaning |
//! |---|---|---|
//! | `name` | name of the folder | printed with every number |
//! | `version` | start of the graph's SHA-256 | printed with every number |
//! | `max_tokens` | 512 | longest input, special tokens included; longer texts are cut at the end and counted |
//! | `threshold` | 0.5 | least probability of a finding that is present |
//! | `output` | `"logits"` | or `"probabilities"`, which get no sigmoid |
//! | `labels` | the project's 18, in their order | names of the outputs, in the graph's order |
//!
//! Graph: `input_ids` and `attention_mask`, and `token_type_ids` if it asks for them, all i64 `[b, t]`; one f32 output
//! `[b, 18]`, by the name of `logits` or the first of that width.

use std::path::{Path, PathBuf};

use diffvp::CancelToken;
use diffvp::runtime::{Graph, SessionOptions, Tensor};
use serde::Deserialize;
use tokenizers::{Encoding, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use super::Labels;
use crate::labels::FINDINGS;
use crate::{Error, Result};

/// Texts that go through the graph together.
const BATCH: usize = 16;
const MAX_TOKENIZER_BYTES: u64 = 256 << 20;

/// `labeller.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    name: Option<String>,
    version: Option<String>,
    max_tokens: Option<usize>,
    threshold: Option<f32>,
    output: Option<Output>,
    labels: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Output {
    Logits,
    Probabilities,
}

/// A text classifier with 18 outputs.
#[derive(Debug)]
pub struct TextClassifier {
    name: String,
    version: String,
    threshold: f32,
    output: Output,
    max_tokens: usize,
    /// Which output of the graph each finding is.
    order: [usize; 18],
    tokenizer: Tokenizer,
    /// Padding token, if the tokenizer has one; without it, texts go through the graph one by one.
    pad: Option<u32>,
    graph: Graph,
    token_types: bool,
    port: usize,
    folder: PathBuf,
}

impl TextClassifier {
    /// Opens the folder of a classifier.
    ///
    /// # Errors
    /// [`Error::Labeller`] where a file is missing or does not fit, and those of [`Graph::open`].
    pub fn open(folder: &Path, session: &SessionOptions) -> Result<TextClassifier> {
        let wrong = |detail: String| Error::Labeller { path: folder.to_owned(), detail };
        if !folder.is_dir() {
            return Err(wrong(
                "no such folder; a labeller is \"builtin\" or a folder with tokenizer.json and an ONNX graph".into(),
            ));
        }
        let config = config(folder)?;
        let onnx = graph_file(folder)?;
        let graph = Graph::open(&onnx, session)?;
        let (token_types, port) = check_ports(&graph).map_err(wrong)?;
        let max_tokens = config.max_tokens.unwrap_or(512);
        let tokenizer = tokenizer(folder, max_tokens)?;
        let threshold = config.threshold.unwrap_or(0.5);
        if !(threshold > 0.0 && threshold < 1.0) {
            return Err(wrong(format!("labeller.json: the threshold is {threshold}, and must lie between 0 and 1")));
        }
        let version = match config.version {
            Some(version) => version,
            None => diffvp::files::sha256_file(&onnx)?[..12].to_owned(),
        };
        let stem = folder.file_name().map_or_else(|| "classifier".into(), |n| n.to_string_lossy().into_owned());
        Ok(TextClassifier {
            name: config.name.unwrap_or(stem),
            version,
            threshold,
            output: config.output.unwrap_or(Output::Logits),
            max_tokens,
            order: order(config.labels.as_deref()).map_err(wrong)?,
            pad: pad(&tokenizer),
            tokenizer,
            graph,
            token_types,
            port,
            folder: folder.to_owned(),
        })
    }

    /// Its name, from `labeller.json` or the folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, from `labeller.json` or the graph's hash.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Least probability of a finding that is present.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Longest input in tokens.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Probabilities of the findings of each text, in the order of [`FINDINGS`], and how many texts were cut.
    ///
    /// # Errors
    /// [`Error::Labeller`] where a text cannot be encoded or an output is not a number, and those of [`Graph::run`].
    pub fn probabilities(&self, texts: &[&str], cancel: &CancelToken) -> Result<(Vec<[f32; 18]>, u64)> {
        let encodings = texts.iter().map(|text| self.encode(text)).collect::<Result<Vec<_>>>()?;
        let cut = encodings.iter().filter(|e| !e.get_overflowing().is_empty()).count() as u64;
        // Texts of similar length together: least padding.
        let mut by_length: Vec<usize> = (0..texts.len()).collect();
        by_length.sort_by_key(|&i| encodings[i].len());
        let mut found = vec![[0.0; 18]; texts.len()];
        for batch in by_length.chunks(if self.pad.is_some() { BATCH } else { 1 }) {
            let rows: Vec<&Encoding> = batch.iter().map(|&i| &encodings[i]).collect();
            for (&index, row) in batch.iter().zip(self.run(&rows, cancel)?) {
                found[index] = row;
            }
        }
        Ok((found, cut))
    }

    /// The findings of each text, and how many texts were cut. A text without any letter or digit has none.
    ///
    /// # Errors
    /// As [`probabilities`](Self::probabilities).
    pub fn label(&self, texts: &[&str], cancel: &CancelToken) -> Result<(Vec<Labels>, u64)> {
        let stated: Vec<usize> = (0..texts.len()).filter(|&i| texts[i].chars().any(char::is_alphanumeric)).collect();
        let (probabilities, cut) = self.probabilities(&stated.iter().map(|&i| texts[i]).collect::<Vec<_>>(), cancel)?;
        let mut labels = vec![[false; 18]; texts.len()];
        for (&index, row) in stated.iter().zip(&probabilities) {
            labels[index] = row.map(|p| p >= self.threshold);
        }
        Ok((labels, cut))
    }

    fn encode(&self, text: &str) -> Result<Encoding> {
        let encoded = self.tokenizer.encode(text, true);
        encoded.map_err(|e| self.wrong(format!("tokenizer.json cannot encode a text: {e}")))
    }

    fn run(&self, rows: &[&Encoding], cancel: &CancelToken) -> Result<Vec<[f32; 18]>> {
        let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let pad = i64::from(self.pad.unwrap_or(0));
        let fill = |part: fn(&Encoding) -> &[u32], with: i64| {
            let padded = rows.iter().flat_map(|row| {
                let ids = part(row).iter().map(|&id| i64::from(id));
                ids.chain(std::iter::repeat(with)).take(width)
            });
            Tensor::i64(&[rows.len(), width], padded.collect())
        };
        let ids = fill(|row| row.get_ids(), pad)?;
        let mask = fill(|row| row.get_attention_mask(), 0)?;
        let types = fill(|row| row.get_type_ids(), 0)?;
        let mut inputs = vec![("input_ids", &ids), ("attention_mask", &mask)];
        if self.token_types {
            inputs.push(("token_type_ids", &types));
        }
        let output = self.graph.run(&inputs, cancel)?.swap_remove(self.port);
        if output.shape() != [rows.len(), 18] {
            return Err(self.wrong(format!(
                "the graph gave {:?} for {} texts, not [b, 18]",
                output.shape(),
                rows.len()
            )));
        }
        let values = output.into_f32().ok_or_else(|| self.wrong("the graph's output is not float32".into()))?;
        if values.iter().any(|v| v.is_nan()) {
            return Err(self.wrong("the graph gave values that are not numbers".into()));
        }
        let probability = |value: f32| match self.output {
            Output::Logits => 1.0 / (1.0 + (-value).exp()),
            Output::Probabilities => value,
        };
        Ok(values.chunks_exact(18).map(|row| self.order.map(|i| probability(row[i]))).collect())
    }

    fn wrong(&self, detail: String) -> Error {
        Error::Labeller { path: self.folder.clone(), detail }
    }
}

fn config(folder: &Path) -> Result<Config> {
    let path = folder.join("labeller.json");
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|e| Error::Labeller { path: folder.to_owned(), detail: format!("labeller.json: {e}") }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
        Err(source) => Err(diffvp::Error::Read { path, source }.into()),
    }
}

fn graph_file(folder: &Path) -> Result<PathBuf> {
    let usual = folder.join("model.onnx");
    if usual.is_file() {
        return Ok(usual);
    }
    let read = |source| diffvp::Error::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|e| e == "onnx") {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        n => {
            let detail = format!("it has {n} .onnx files, and one must be there, or one must be named model.onnx");
            Err(Error::Labeller { path: folder.to_owned(), detail })
        }
    }
}

fn tokenizer(folder: &Path, max_tokens: usize) -> Result<Tokenizer> {
    let wrong = |detail: String| Error::Labeller { path: folder.to_owned(), detail };
    let path = folder.join("tokenizer.json");
    let bytes = std::fs::metadata(&path).map_err(|e| wrong(format!("tokenizer.json: {e}")))?.len();
    if bytes > MAX_TOKENIZER_BYTES {
        let what = "tokenizer.json in bytes".into();
        return Err(diffvp::Error::LimitExceeded { what, found: bytes, limit: MAX_TOKENIZER_BYTES }.into());
    }
    let bytes = std::fs::read(&path).map_err(|source| diffvp::Error::Read { path, source })?;
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| wrong(format!("tokenizer.json: {e}")))?;
    // Padding and truncation are ours, whatever the file was saved with.
    tokenizer.with_padding(None);
    let truncation = TruncationParams {
        max_length: max_tokens,
        strategy: TruncationStrategy::LongestFirst,
        direction: TruncationDirection::Right,
        stride: 0,
    };
    let special = tokenizer.encode("", true).map_err(|e| wrong(format!("tokenizer.json: {e}")))?.len();
    if max_tokens <= special {
        return Err(wrong(format!("max_tokens is {max_tokens}, and special tokens alone take {special}")));
    }
    tokenizer.with_truncation(Some(truncation)).map_err(|e| wrong(format!("tokenizer.json: {e}")))?;
    Ok(tokenizer)
}

fn pad(tokenizer: &Tokenizer) -> Option<u32> {
    ["<pad>", "[PAD]"].iter().find_map(|token| tokenizer.token_to_id(token))
}

/// Whether the graph asks for token types, and which output has 18 values.
fn check_ports(graph: &Graph) -> Result<(bool, usize), String> {
    let names: Vec<&str> = graph.inputs().iter().map(|p| p.name.as_str()).collect();
    for needed in ["input_ids", "attention_mask"] {
        if !names.contains(&needed) {
            return Err(format!("the graph has no input {needed:?}; it has {names:?}"));
        }
    }
    if let Some(other) = names.iter().find(|n| !["input_ids", "attention_mask", "token_type_ids"].contains(n)) {
        return Err(format!("the graph asks for the input {other:?}, which is unknown here"));
    }
    let outputs = graph.outputs();
    let fits = |index: &usize| {
        let shape = &outputs[*index].shape;
        shape.len() == 2 && (shape[1] == 18 || shape[1] < 0)
    };
    let logits = outputs.iter().position(|p| p.name == "logits").filter(fits);
    let port = logits.or_else(|| (0..outputs.len()).find(fits));
    let port = port.ok_or_else(|| format!("no output of the graph has the shape [b, 18]; it has {outputs:?}"))?;
    Ok((names.contains(&"token_type_ids"), port))
}

/// Where each finding stands among the names of the outputs.
fn order(labels: Option<&[String]>) -> Result<[usize; 18], String> {
    let Some(labels) = labels else {
        return Ok(std::array::from_fn(|i| i));
    };
    let mut order = [0; 18];
    for (place, finding) in order.iter_mut().zip(FINDINGS) {
        let found = labels.iter().position(|label| label.eq_ignore_ascii_case(finding));
        *place = found.ok_or_else(|| format!("labeller.json: no label {finding:?} among {labels:?}"))?;
    }
    if labels.len() != 18 {
        return Err(format!("labeller.json: {} labels, and the graph has 18 outputs", labels.len()));
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_may_come_in_any_order() {
        let mut names: Vec<String> = FINDINGS.iter().map(|f| f.to_lowercase()).collect();
        names.reverse();
        assert_eq!(order(Some(&names)).unwrap()[0], 17);
        names.pop();
        assert!(order(Some(&names)).unwrap_err().contains("Medical material"));
        assert_eq!(order(None).unwrap()[5], 5);
    }

    #[test]
    fn a_folder_that_is_no_classifier_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path| TextClassifier::open(path, &SessionOptions::default()).unwrap_err().to_string();
        assert!(open(&folder.path().join("none")).contains("no such folder"));
        assert!(open(folder.path()).contains("0 .onnx files"));
        std::fs::write(folder.path().join("labeller.json"), r#"{"treshold": 0.4}"#).unwrap();
        assert!(open(folder.path()).contains("treshold"));
    }
}
