//! The decoder with this crate's own kernels, against ONNX Runtime's and against PyTorch's values.

use diffvp::runtime::{CancelToken, Decoder, Kernels, LogitRows, SessionOptions, Tensor};
use diffvp_exporter::graphs::{self, DecoderOptions, WeightKind};
use diffvp_exporter::onnx::{WriteOptions, write};
use diffvp_exporter::quantize::BlockScheme;
use diffvp_tests::decoders::sizes;
use diffvp_tests::golden::{Golden, relative_error};

/// Every storage that the kernels know, with weights inside the graph and beside it.
fn storages() -> Vec<(BlockScheme, u64)> {
    let mut all = Vec::new();
    for bits in [4, 8] {
        for block in [32, 128] {
            for symmetric in [true, false] {
                all.push((BlockScheme { bits, block, symmetric }, if symmetric { 0 } else { u64::MAX }));
            }
        }
    }
    all
}

struct Case {
    golden: Golden,
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

impl Case {
    fn new(options: &DecoderOptions, external_above_bytes: u64) -> Case {
        let golden = Golden::open("decoder_f32");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decoder.onnx");
        let graph = graphs::decoder(&golden.config, &golden, options).unwrap();
        write(graph, &path, &WriteOptions { external_above_bytes }).unwrap();
        Case { golden, _folder: folder, path }
    }

    fn open(&self, kernels: Kernels) -> Decoder {
        let options = SessionOptions { kernels, threads: 2, ..SessionOptions::default() };
        Decoder::open(&self.path, &sizes(&self.golden.config.decoder), &options).unwrap()
    }

    /// Logits of the case's rows, given in parts.
    fn logits(&self, decoder: &Decoder, parts: &[usize]) -> Tensor {
        let cancel = CancelToken::default();
        let c = &self.golden.config.decoder;
        let mut cache = decoder.new_cache(c.context_length, &cancel).unwrap();
        let mut embeds = self.golden.tensor("inputs.inputs_embeds").into_f32().unwrap();
        let mut logits = Vec::new();
        for rows in parts {
            let rest = embeds.split_off(rows * c.hidden_size);
            logits.extend(decoder.forward(&mut cache, embeds, LogitRows::All, &cancel).unwrap());
            embeds = rest;
        }
        Tensor::f32(&[1, logits.len() / c.vocab_size, c.vocab_size], logits).unwrap()
    }
}

fn own_kernels(decoder: &Decoder) -> bool {
    let own = decoder.kernels() != "onnxruntime";
    if !own {
        eprintln!("skipped: this processor has neither AVX-512 VNNI nor AVX2");
    }
    own
}

#[test]
fn both_kernels_give_the_same_logits() {
    for (scheme, external) in storages() {
        let options = DecoderOptions { weights: WeightKind::Blocks(scheme), ..DecoderOptions::f32() };
        let case = Case::new(&options, external);
        let theirs = case.open(Kernels::OnnxRuntime);
        assert_eq!(theirs.kernels(), "onnxruntime");
        let expected = case.logits(&theirs, &[7]);
        for own in [Kernels::Best, Kernels::Avx2].map(|kernels| case.open(kernels)) {
            if !own_kernels(&own) {
                continue;
            }
            let (kernels, found) = (own.kernels(), case.logits(&own, &[7]));
            // Of a value that lies half way between two integers, the last digit decides to which it is rounded.
            let error = relative_error(&found, &expected);
            println!("{kernels}, {scheme:?}: relative difference {error:e}");
            assert!(error < 0.01, "{kernels}, {scheme:?}: {error:e}");
            let error = relative_error(&found, &case.golden.tensor("outputs.logits"));
            assert!(error < if scheme.bits == 4 { 0.5 } else { 0.06 }, "{kernels}, {scheme:?}: {error:e} from float32");
        }
    }
}

#[test]
fn what_the_kernels_do_not_know_stays_with_onnx_runtime() {
    for options in [DecoderOptions::f32(), DecoderOptions { accuracy_level: 1, ..DecoderOptions::int4(32) }] {
        let case = Case::new(&options, u64::MAX);
        assert_eq!(case.open(Kernels::Best).kernels(), "onnxruntime");
    }
    let half = Case::new(&DecoderOptions::int4(32).f16(), u64::MAX);
    assert_eq!(half.open(Kernels::Best).kernels(), "onnxruntime");
}

/// Rows that are given together and one by one differ at most by what attention makes of the last digits.
#[test]
fn rows_together_are_rows_one_by_one() {
    let case = Case::new(&DecoderOptions::int4(128), u64::MAX);
    let decoder = case.open(Kernels::Best);
    if !own_kernels(&decoder) {
        return;
    }
    let one_by_one = case.logits(&decoder, &[1; 7]);
    for parts in [&[7][..], &[3, 4], &[1, 2, 4], &[1, 6]] {
        let error = relative_error(&case.logits(&decoder, parts), &one_by_one);
        println!("{parts:?}: relative difference {error:e}");
        assert!(error < 1e-3, "{parts:?}: {error:e}");
    }
}

/// Weights of a size that the graph does not announce are refused when the package is opened.
#[test]
fn a_weight_of_another_size_is_refused() {
    let case = Case::new(&DecoderOptions::int4(32), 0);
    let mut bytes = std::fs::read(&case.path).unwrap();
    // The attribute K of a node: name, then the field of the integer. 64 becomes 96 where the codes still hold 64.
    let k = [&[0x0a, 1][..], b"K", &[0x18]].concat();
    let at = bytes.windows(k.len()).position(|w| w == k).expect("an attribute K") + k.len();
    bytes[at] = if bytes[at] == 96 { 64 } else { 96 };
    std::fs::write(&case.path, bytes).unwrap();
    let sizes = sizes(&case.golden.config.decoder);
    let result = Decoder::open(&case.path, &sizes, &SessionOptions::default());
    assert!(result.is_err_and(|e| matches!(e, diffvp::Error::PackageContent { .. })));
}
