//! The decoder with this crate's own attention over keys and values of eight bits, against ONNX Runtime's over float32.

use diffvp::runtime::{CancelToken, Decoder, Kernels, LogitRows, SessionOptions, Tensor};
use diffvp_exporter::ModelConfig;
use diffvp_exporter::config::LlamaConfig;
use diffvp_exporter::graphs::{self, DecoderOptions, WeightKind};
use diffvp_exporter::onnx::{WriteOptions, write};
use diffvp_exporter::quantize::BlockScheme;
use diffvp_exporter::weights::RandomWeights;
use diffvp_tests::decoders::sizes;
use diffvp_tests::golden::relative_error;

const ROWS: usize = 40;

/// Choices of our kernels with a cache of eight bits.
const OWN: [Kernels; 2] = [Kernels::Best, Kernels::Avx2];

/// Names of our kernels, with attention over eight bits and without.
const WITH_CACHE: [&str; 2] = ["diffvp (avx512_vnni, int8 cache)", "diffvp (avx2, int8 cache)"];
const WITHOUT_CACHE: [&str; 2] = ["diffvp (avx512_vnni)", "diffvp (avx2)"];

/// A decoder with random weights whose texts may branch, and a text.
struct Case {
    decoder: LlamaConfig,
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    text: Vec<f32>,
}

impl Case {
    fn new(heads: usize, key_value_heads: usize, head_dim: usize) -> Case {
        let mut config = ModelConfig::demo(101);
        config.decoder.attention_heads = heads;
        (config.decoder.key_value_heads, config.decoder.head_dim) = (key_value_heads, head_dim);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decoder.onnx");
        let weights = WeightKind::Blocks(BlockScheme { bits: 8, block: 32, symmetric: true });
        let options = DecoderOptions { weights, branches: true, ..DecoderOptions::f32() };
        let random = RandomWeights::new(&config, 3);
        let graph = graphs::decoder(&config, &random, &options).unwrap();
        write(graph, &path, &WriteOptions { external_above_bytes: u64::MAX }).unwrap();
        let wave = |i: usize| ((i * i % 8191) as f32 * 0.37).sin();
        let text = (0..ROWS * config.decoder.hidden_size).map(wave).collect();
        Case { decoder: config.decoder, _folder: folder, path, text }
    }

    /// `None` where this machine has no kernels of ours.
    fn open(&self, kernels: Kernels, threads: usize) -> Option<Decoder> {
        let options = SessionOptions { kernels, threads, ..SessionOptions::default() };
        let decoder = Decoder::open(&self.path, &sizes(&self.decoder), &options).unwrap();
        if decoder.kernels() == "onnxruntime" {
            eprintln!("skipped: this processor has neither AVX-512 VNNI nor AVX2");
            return None;
        }
        Some(decoder)
    }

    fn rows(&self, from: usize, count: usize) -> Vec<f32> {
        self.text[from * self.decoder.hidden_size..][..count * self.decoder.hidden_size].to_vec()
    }

    /// Logits of all rows, given in parts.
    fn logits(&self, decoder: &Decoder, parts: &[usize]) -> Vec<f32> {
        let cancel = CancelToken::default();
        let mut cache = decoder.new_cache(ROWS, &cancel).unwrap();
        let mut logits = Vec::new();
        for &rows in parts {
            let rows = self.rows(cache.len(), rows);
            logits.extend(decoder.forward(&mut cache, rows, LogitRows::All, &cancel).unwrap());
        }
        logits
    }
}

#[test]
fn a_cache_of_eight_bits_gives_nearly_the_logits_of_one_of_float32() {
    for (heads, stored, head_dim) in [(4, 4, 32), (8, 2, 64), (6, 1, 96), (4, 1, 128)] {
        let case = Case::new(heads, stored, head_dim);
        let logits = |kernels| {
            let decoder = case.open(kernels, 2)?;
            let logits = Tensor::f32(&[ROWS, 101], case.logits(&decoder, &[ROWS])).unwrap();
            Some((decoder.kernels(), logits))
        };
        let Some((float_kernels, expected)) = logits(Kernels::FloatCache) else { return };
        for kernels in OWN {
            let Some((own_kernels, found)) = logits(kernels) else { continue };
            assert!(WITH_CACHE.contains(&own_kernels.as_str()), "{own_kernels}");
            assert!(kernels != Kernels::Best || float_kernels == own_kernels.replace(", int8 cache", ""));
            let error = relative_error(&found, &expected);
            println!("{own_kernels}, {heads} heads of {head_dim}: relative difference {error:e}");
            // Some 0.006 is between two kernels that round activations alike.
            assert!(error > 0.0 && error < 0.03, "{own_kernels}, {heads} heads of {head_dim}: {error:e}");
        }
    }
}

#[test]
fn a_row_is_the_same_to_the_bit_alone_and_among_others() {
    let case = Case::new(8, 2, 64);
    for kernels in OWN {
        let (Some(decoder), Some(one_thread)) = (case.open(kernels, 2), case.open(kernels, 1)) else { continue };
        let expected = case.logits(&decoder, &[ROWS]);
        for parts in [&[1; ROWS][..], &[5, 1, 34], &[20, 20]] {
            assert!(case.logits(&decoder, parts) == expected, "{kernels:?}, {parts:?}");
            assert!(case.logits(&one_thread, parts) == expected, "{kernels:?}, {parts:?} with one thread");
        }
    }
}

#[test]
fn a_branch_is_its_text_alone_to_the_bit() {
    let case = Case::new(8, 2, 64);
    let Some(decoder) = case.open(Kernels::Best, 2) else { return };
    let (cancel, vocab) = (CancelToken::default(), case.decoder.vocab_size);
    let (prompt, length) = (6, 9);
    let mut cache = decoder.new_cache(prompt + 2 * length, &cancel).unwrap();
    decoder.forward(&mut cache, case.rows(0, prompt), LogitRows::Last, &cancel).unwrap();
    let mut found = [Vec::new(), Vec::new()];
    for row in 0..length {
        // The branches are rows 6 to 14 and 15 to 23 of the text, and lie in the cache in turns.
        let rows = [case.rows(prompt + row, 1), case.rows(prompt + length + row, 1)].concat();
        let logits = decoder.forward_on(&mut cache, rows, &[1, 2], LogitRows::All, &cancel).unwrap();
        found[0].extend_from_slice(&logits[..vocab]);
        found[1].extend_from_slice(&logits[vocab..]);
    }
    for (branch, found) in found.iter().enumerate() {
        let mut alone = decoder.new_cache(prompt + length, &cancel).unwrap();
        let rows = [case.rows(0, prompt), case.rows(prompt + branch * length, length)].concat();
        let expected = decoder.forward(&mut alone, rows, LogitRows::From(prompt), &cancel).unwrap();
        assert!(*found == expected, "branch {branch}");
    }
    let full = decoder.forward(&mut cache, case.rows(0, 1), LogitRows::Last, &cancel);
    assert!(matches!(full, Err(diffvp::Error::ContextFull { .. })));
}

#[test]
fn heads_of_another_size_stay_with_onnx_runtime() {
    let case = Case::new(4, 4, 16);
    let Some(decoder) = case.open(Kernels::Best, 1) else { return };
    let kernels = decoder.kernels();
    assert!(WITHOUT_CACHE.contains(&kernels.as_str()), "{kernels}");
}
