//! Checkpoints of `transformers` and adapters of PEFT, imported and run, against the logits and the text of `transformers`
//! (`tests/reference/llama_checkpoints.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diffvp::decode::{Decoder, Embedding, LogitRows};
use diffvp::package::Package;
use diffvp::runtime::{CancelToken, SessionOptions};
use diffvp_exporter::graphs::DecoderOptions;
use diffvp_exporter::package::ExportOptions;
use diffvp_tests::c_program::chest_file;
use diffvp_train::export::{ExportRequest, export};
use diffvp_train::run::{ImportRequest, Imported, Preset, import};
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Largest difference of a logit; the logits are of size 3.
const TOLERANCE: f32 = 1e-3;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/llama")
}

/// A vocabulary of words, of which a checkpoint needs no more than their number and the special ones.
fn tokenizer(folder: &Path, tokens: usize) -> PathBuf {
    let word = |id: usize| match id {
        0..3 => ["<unk>", "<s>", "</s>"][id].to_string(),
        _ => format!("w{id}"),
    };
    let vocabulary: BTreeMap<String, usize> = (0..tokens).map(|id| (word(id), id)).collect();
    let added: Vec<Value> = (0..3)
        .map(|id| {
            json!({"id": id, "content": word(id), "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true})
        })
        .collect();
    let path = folder.join("tokenizer.json");
    let json = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}});
    std::fs::write(&path, json.to_string()).unwrap();
    path
}

fn request(checkpoint: &Path, folder: &Path) -> ImportRequest {
    let adapter = checkpoint.join("adapter");
    ImportRequest {
        checkpoint: checkpoint.to_path_buf(),
        adapter: adapter.exists().then_some(adapter),
        tokenizer: Some(tokenizer(folder, 96)),
        vision: Preset::Demo,
        context_length: None,
        seed: 3,
    }
}

struct Expected {
    ids: Vec<u32>,
    logits: Vec<f32>,
    greedy: Vec<u32>,
}

impl Expected {
    fn of(case: &str) -> Expected {
        let bytes = std::fs::read(goldens().join(format!("{case}.safetensors"))).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let data = |name: &str| file.tensor(name).unwrap().data().to_vec();
        let ids = |name: &str| {
            data(name).as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect::<Vec<_>>()
        };
        let logits = data("logits").as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Expected { ids: ids("ids"), logits, greedy: ids("greedy") }
    }
}

fn argmax(logits: &[f32]) -> u32 {
    (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best }) as u32
}

/// As a user would do it: import, export in float32, open the package, decode.
fn compare(case: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (run, package) = (folder.path().join("run"), folder.path().join("model.diffvp"));
    let found = import(&request(&goldens().join(case), folder.path()), &run, |_, _| {}).unwrap();
    assert_eq!((found.tokens, found.other_base.as_deref()), (96, None), "{case}");
    let options = ExportRequest {
        references: vec![chest_file()],
        data: Default::default(),
        options: ExportOptions { decoder: DecoderOptions::f32(), ..ExportOptions::default() },
        rounded: None,
        session: SessionOptions { threads: 1, ..SessionOptions::default() },
    };
    export(&run, &package, &options, |_, _| {}).unwrap();

    let package = Package::open(&package).unwrap();
    let (sizes, cancel) = (&package.manifest().decoder, CancelToken::default());
    assert_eq!((sizes.end_token_ids.as_slice(), sizes.context_length), (&[2u32][..], 256), "{case}");
    let decoder = Decoder::open(&package.path("decoder.onnx"), sizes, &options.session).unwrap();
    let embedding = Embedding::open(&package.path("embedding.onnx"), sizes.hidden_size, &options.session).unwrap();
    let expected = Expected::of(case);
    let mut cache = decoder.new_cache(256, &cancel).unwrap();
    let mut forward =
        |ids: &[u32], rows| decoder.forward(&mut cache, embedding.embed(ids, &cancel).unwrap(), rows, &cancel).unwrap();
    let mut logits = forward(&expected.ids, LogitRows::All);
    let worst = logits.iter().zip(&expected.logits).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert_eq!(logits.len(), expected.logits.len());
    println!("{case}: largest difference of a logit {worst:.1e}");
    assert!(worst <= TOLERANCE, "{case}: {worst:e}");
    let mut greedy = Vec::new();
    for _ in 0..expected.greedy.len() {
        greedy.push(argmax(&logits[logits.len() - sizes.vocab_size..]));
        logits = forward(&greedy[greedy.len() - 1..], LogitRows::Last);
    }
    assert_eq!(greedy, expected.greedy, "{case}");
}

#[test]
fn grouped_queries_in_bfloat16() {
    compare("grouped_bf16");
}

#[test]
fn tied_embeddings_in_shards_of_float16() {
    compare("tied_f16_shards");
}

#[test]
fn rotary_frequencies_of_llama_3_and_linear_ones() {
    compare("llama3_f32");
    compare("linear_bf16");
}

#[test]
fn adapters_are_merged() {
    compare("adapter_bf16");
    compare("rank_stabilised_f32");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Changes a field of a JSON file.
fn set(file: &Path, name: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    json[name] = value;
    std::fs::write(file, json.to_string()).unwrap();
}

/// Puts a NaN over the first bytes of the data of a safetensors file.
fn spoil(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..][..4].copy_from_slice(&[0xff; 4]);
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_leaves_nothing() {
    type Change = fn(&Path, &mut ImportRequest);
    let cases: [(&str, &str, Change); 12] = [
        ("tied_f16_shards", "model-00002-of-00002.safetensors", |at, _| {
            std::fs::remove_file(at.join("model-00002-of-00002.safetensors")).unwrap()
        }),
        ("tied_f16_shards", "model.layers", |at, _| {
            std::fs::remove_file(at.join("model.safetensors.index.json")).unwrap();
            std::fs::remove_file(at.join("model-00002-of-00002.safetensors")).unwrap()
        }),
        ("grouped_bf16", "expected [40, 32]", |at, _| {
            set(&at.join("config.json"), "intermediate_size", json!(40));
        }),
        ("grouped_bf16", "model.layers.1", |at, _| set(&at.join("config.json"), "num_hidden_layers", json!(1))),
        ("grouped_bf16", "NaN", |at, _| spoil(&at.join("model.safetensors"))),
        ("grouped_bf16", "sliding_window", |at, _| set(&at.join("config.json"), "sliding_window", json!(128))),
        ("grouped_bf16", "mixtral", |at, _| set(&at.join("config.json"), "model_type", json!("mixtral"))),
        ("grouped_bf16", "belongs to another", |at, r| r.tokenizer = Some(tokenizer(at, 97))),
        ("grouped_bf16", "tokenizer.model", |_, r| r.tokenizer = None),
        ("grouped_bf16", "256 positions", |_, r| r.context_length = Some(300)),
        ("grouped_bf16", "another base", |_, r| r.adapter = Some(goldens().join("rank_stabilised_f32/adapter"))),
        ("adapter_bf16", "NaN", |at, _| spoil(&at.join("adapter/adapter_model.safetensors"))),
    ];
    for (case, word, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (checkpoint, run) = (folder.path().join(case), folder.path().join("run"));
        copy(&goldens().join(case), &checkpoint);
        let mut request = request(&checkpoint, folder.path());
        change(&checkpoint, &mut request);
        let error = import(&request, &run, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
        assert!(!run.exists(), "{word}");
    }
}

#[test]
fn an_adapter_that_names_another_base_is_told_and_merged() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("other");
    copy(&goldens().join("adapter_bf16"), &checkpoint);
    let found: Imported = import(&request(&checkpoint, folder.path()), &folder.path().join("run"), |_, _| {}).unwrap();
    assert_eq!(found.other_base.as_deref(), Some("models/adapter_bf16"));
}

/// LLaMA's own tokenizer in both of its forms, on real reports.
#[test]
fn tokenizer_model_gives_the_tokens_of_tokenizer_json() {
    use diffvp_exporter::huggingface::{LlamaCheckpoint, SpecialTokens, tokenizer_of};
    let Some(data) = diffvp_tests::shared_data() else { return };
    let checkpoint = LlamaCheckpoint {
        decoder: diffvp_exporter::config::LlamaConfig::llama2_7b(),
        special: SpecialTokens { begin: Some(1), end: vec![2] },
        name: None,
    };
    let open = |name: &str| {
        let path = data.join("llm").join(name);
        let found = tokenizer_of(&data, Some(&path), &checkpoint).unwrap();
        assert_eq!((found.tokens, found.begin.as_deref(), &found.end[..]), (32_000, Some("<s>"), &["</s>".into()][..]));
        tokenizers::Tokenizer::from_bytes(found.json.as_bytes()).unwrap()
    };
    let (model, json) = (open("tokenizer.model"), open("tokenizer.json"));
    let mut texts: Vec<String> =
        ["", " ", "  two  spaces\n\n", "µm ≥ 3 × 4 😀", "</s> in a text", "\t\u{200b}é"].map(String::from).into();
    for folder in ["reports", "reports/reg2rg_radgenome"] {
        for entry in std::fs::read_dir(data.join(folder)).unwrap().map(Result::unwrap) {
            let content = std::fs::read_to_string(entry.path()).unwrap_or_default();
            texts.extend(content.lines().take(500).map(String::from));
        }
    }
    assert!(texts.len() > 500);
    for text in texts {
        let tokens = |t: &tokenizers::Tokenizer| t.encode(text.as_str(), false).unwrap().get_ids().to_vec();
        assert_eq!(tokens(&model), tokens(&json), "{text:?}");
        let back = |t: &tokenizers::Tokenizer| t.decode(&tokens(t), true).unwrap();
        assert_eq!(back(&model), back(&json));
    }
}
