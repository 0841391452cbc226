//! The KV cache changes the cost of decoding, never its tokens.

use std::path::Path;

use diffvp::decode::{Decoder, Embedding, KvCache, LogitRows};
use diffvp::package::Package;
use diffvp::runtime::{CancelToken, SessionOptions};
use diffvp_tests::demo::{package, package_f32};

struct Model {
    decoder: Decoder,
    embedding: Embedding,
    cancel: CancelToken,
}

impl Model {
    fn open(package: &Path) -> Model {
        let package = Package::open(package).unwrap();
        let sizes = &package.manifest().decoder;
        let options = SessionOptions { threads: 1, ..SessionOptions::default() };
        Model {
            decoder: Decoder::open(&package.path("decoder.onnx"), sizes, &options).unwrap(),
            embedding: Embedding::open(&package.path("embedding.onnx"), sizes.hidden_size, &options).unwrap(),
            cancel: CancelToken::default(),
        }
    }

    fn cache(&self) -> KvCache {
        self.decoder.new_cache(256, &self.cancel).unwrap()
    }

    fn forward(&self, cache: &mut KvCache, ids: &[u32], rows: LogitRows) -> Vec<f32> {
        let embeddings = self.embedding.embed(ids, &self.cancel).unwrap();
        self.decoder.forward(cache, embeddings, rows, &self.cancel).unwrap()
    }
}

fn prompt() -> Vec<u32> {
    (0..40).map(|i| (i * 37 + 11) % 300).collect()
}

fn argmax(logits: &[f32]) -> u32 {
    (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best }) as u32
}

fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    let scale = a.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = a.iter().zip(b).fold(0f32, |m, (x, y)| m.max((x - y).abs()));
    assert!(worst <= tolerance * scale, "differ by {worst} of {scale}");
}

#[test]
fn tokens_with_the_cache_are_those_without() {
    for package in [package_f32(), package()] {
        let model = Model::open(package);
        let mut cache = model.cache();
        let mut logits = model.forward(&mut cache, &prompt(), LogitRows::Last);
        let mut ids = prompt();
        for _ in 0..60 {
            let whole = model.forward(&mut model.cache(), &ids, LogitRows::Last);
            let (with, without) = (argmax(&logits), argmax(&whole));
            assert_eq!(with, without, "{} after {} tokens", package.display(), ids.len());
            ids.push(with);
            logits = model.forward(&mut cache, &[with], LogitRows::Last);
        }
        assert_eq!(cache.len(), 100);
    }
}

#[test]
fn a_prompt_in_parts_is_the_prompt_in_one_piece() {
    for (package, tolerance) in [(package_f32(), 1e-5), (package(), 1e-4)] {
        let model = Model::open(package);
        let whole = model.forward(&mut model.cache(), &prompt(), LogitRows::Last);
        for parts in [vec![1, 39], vec![20, 20], vec![7, 8, 25], vec![1; 40]] {
            let mut cache = model.cache();
            let mut begin = 0;
            let mut logits = Vec::new();
            for part in parts {
                logits = model.forward(&mut cache, &prompt()[begin..begin + part], LogitRows::Last);
                begin += part;
            }
            close(&whole, &logits, tolerance);
        }
    }
}

#[test]
fn all_rows_are_the_last_rows_of_shorter_prompts_and_can_be_taken_back() {
    let model = Model::open(package_f32());
    let vocab = model.decoder.sizes().vocab_size;
    let mut cache = model.cache();
    model.forward(&mut cache, &prompt()[..30], LogitRows::Last);
    let rows = model.forward(&mut cache, &prompt()[30..], LogitRows::All);
    assert_eq!(rows.len(), 10 * vocab);
    for (index, row) in rows.chunks(vocab).enumerate() {
        let last = model.forward(&mut model.cache(), &prompt()[..31 + index], LogitRows::Last);
        close(&last, row, 1e-5);
    }
    // A rejected draft is forgotten.
    cache.truncate(30);
    let again = model.forward(&mut cache, &prompt()[30..35], LogitRows::Last);
    close(&again, &rows[4 * vocab..5 * vocab], 1e-5);
}

#[test]
fn a_full_cache_is_an_error_before_anything_is_written() {
    let model = Model::open(package());
    let mut cache = model.decoder.new_cache(10, &model.cancel).unwrap();
    model.forward(&mut cache, &prompt()[..8], LogitRows::Last);
    let embeddings = model.embedding.embed(&prompt()[..3], &model.cancel).unwrap();
    let result = model.decoder.forward(&mut cache, embeddings, LogitRows::Last, &model.cancel);
    assert!(matches!(result, Err(diffvp::Error::ContextFull { .. })));
    assert_eq!((cache.len(), cache.room()), (8, 2));
    model.forward(&mut cache, &prompt()[8..10], LogitRows::Last);
    for capacity in [0, model.decoder.sizes().context_length + 1] {
        assert!(model.decoder.new_cache(capacity, &model.cancel).is_err());
    }
}

#[test]
fn ids_outside_the_vocabulary_are_an_error() {
    let model = Model::open(package());
    let outside = model.decoder.sizes().vocab_size as u32;
    assert!(matches!(model.embedding.embed(&[outside], &model.cancel), Err(diffvp::Error::Inference { .. })));
}
