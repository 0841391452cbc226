//! `tokenizer.model` of SentencePiece → `tokenizer.json` of the `tokenizers` crate.

use std::cmp::Ordering;
use std::collections::HashMap;

use prost::Message;
use serde_json::{Value, json};

/// SentencePiece's mark of a word's beginning.
const SPACE: &str = "\u{2581}";

/// `sentencepiece_model.proto`, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<Normalizer>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(enumeration = "Kind", optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Kind {
    Absent = 0,
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

#[derive(Clone, PartialEq, Message)]
struct Trainer {
    /// 1 is a unigram model, 2 byte pair encoding.
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct Normalizer {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
}

/// The same tokenizer in JSON: pieces become the vocabulary, and every pair of pieces that makes a third becomes a merge, best
/// score first, as `transformers` converts LLaMA's.
///
/// # Errors
/// Says what of the model has no counterpart: unigram models, normalisation of characters or spaces.
pub(super) fn convert(model: &[u8]) -> Result<String, String> {
    let model = ModelProto::decode(model).map_err(|e| format!("not a SentencePiece model: {e}"))?;
    let trainer = model.trainer.unwrap_or_default();
    if trainer.model_type.unwrap_or(1) != 2 {
        return Err("a SentencePiece model that is not byte pair encoding; LLaMA's is".into());
    }
    let normalizer = model.normalizer.unwrap_or_default();
    if normalizer.precompiled.is_some_and(|map| !map.is_empty()) {
        let name = normalizer.name.unwrap_or_default();
        return Err(format!("it normalises characters by the rule {name:?}; only models without a rule are read"));
    }
    if normalizer.remove_extra_whitespaces.unwrap_or(true) {
        return Err("it removes repeated spaces (remove_extra_whitespaces), which is not read".into());
    }
    let pieces = pieces(model.pieces)?;
    let (byte_fallback, prefix) = (trainer.byte_fallback.unwrap_or(false), normalizer.add_dummy_prefix.unwrap_or(true));
    Ok(tokenizer(&pieces, byte_fallback, prefix).to_string())
}

struct Entry {
    text: String,
    score: f32,
    kind: Kind,
}

fn pieces(raw: Vec<Piece>) -> Result<Vec<Entry>, String> {
    let mut seen = HashMap::new();
    let entry = |(id, piece): (usize, Piece)| {
        let kind = Kind::try_from(piece.kind.unwrap_or(1)).map_err(|_| format!("piece {id} is of an unknown kind"))?;
        let text = piece.piece.filter(|text| !text.is_empty()).ok_or_else(|| format!("piece {id} has no text"))?;
        if let Some(other) = seen.insert(text.clone(), id) {
            return Err(format!("pieces {other} and {id} are the same"));
        }
        let score = piece.score.unwrap_or(0.0);
        if score.is_nan() {
            return Err(format!("piece {id} has no score"));
        }
        Ok(Entry { text, score, kind })
    };
    let pieces: Vec<Entry> = raw.into_iter().enumerate().map(entry).collect::<Result<_, String>>()?;
    if pieces.is_empty() { Err("it has no pieces".into()) } else { Ok(pieces) }
}

/// Pairs of pieces that make a third, in the order in which they are to be merged.
fn merges(pieces: &[Entry]) -> Vec<[&str; 2]> {
    let ids: HashMap<&str, usize> = pieces.iter().enumerate().map(|(id, piece)| (piece.text.as_str(), id)).collect();
    let mut merges: Vec<(f32, [&str; 2], [usize; 2])> = Vec::new();
    for piece in pieces.iter().filter(|piece| matches!(piece.kind, Kind::Normal | Kind::UserDefined)) {
        let mut of_piece: Vec<_> = piece
            .text
            .char_indices()
            .skip(1)
            .map(|(at, _)| piece.text.split_at(at))
            .filter_map(|(left, right)| Some(([*ids.get(left)?, *ids.get(right)?], [left, right])))
            .collect();
        of_piece.sort_by_key(|(ids, _)| *ids);
        merges.extend(of_piece.into_iter().map(|(_, pair)| (piece.score, pair, pair.map(|part| part.chars().count()))));
    }
    merges.sort_by(|(a, _, a_lengths), (b, _, b_lengths)| {
        b.partial_cmp(a).unwrap_or(Ordering::Equal).then_with(|| b_lengths.cmp(a_lengths))
    });
    merges.into_iter().map(|(_, pair, _)| pair).collect()
}

fn tokenizer(pieces: &[Entry], byte_fallback: bool, prefix: bool) -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        pieces.iter().enumerate().map(|(id, piece)| (piece.text.clone(), json!(id))).collect();
    let added = |(id, piece): (usize, &Entry)| {
        let special = match piece.kind {
            Kind::Unknown | Kind::Control => true,
            Kind::UserDefined => false,
            _ => return None,
        };
        Some(json!({
            "id": id, "content": piece.text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": special
        }))
    };
    let added: Vec<Value> = pieces.iter().enumerate().filter_map(added).collect();
    let unknown = pieces.iter().find(|piece| piece.kind == Kind::Unknown).map(|piece| &piece.text);
    let to_mark = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let from_mark = json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "});
    let mut normalizers = vec![to_mark];
    let mut decoders = vec![from_mark, json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    if prefix {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": byte_fallback, "vocab": vocabulary,
            "merges": merges(pieces)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::Tokenizer;

    use super::*;

    fn piece(text: &str, score: f32, kind: Kind) -> Piece {
        Piece { piece: Some(text.into()), score: Some(score), kind: Some(kind as i32) }
    }

    fn model() -> ModelProto {
        let mut pieces = vec![
            piece("<unk>", 0.0, Kind::Unknown),
            piece("<s>", 0.0, Kind::Control),
            piece("</s>", 0.0, Kind::Control),
        ];
        pieces.extend((0..=255u8).map(|byte| piece(&format!("<0x{byte:02X}>"), 0.0, Kind::Byte)));
        for (i, text) in ["lu", "ng", "\u{2581}lu", "lung", "\u{2581}lung"].iter().enumerate() {
            pieces.push(piece(text, -(i as f32), Kind::Normal));
        }
        for (i, letter) in ["\u{2581}", "l", "u", "n", "g", "s"].iter().enumerate() {
            pieces.push(piece(letter, -10.0 - i as f32, Kind::Normal));
        }
        ModelProto {
            pieces,
            trainer: Some(Trainer { model_type: Some(2), byte_fallback: Some(true) }),
            normalizer: Some(Normalizer {
                name: Some("identity".into()),
                remove_extra_whitespaces: Some(false),
                ..Default::default()
            }),
        }
    }

    #[test]
    fn scores_give_the_order_of_merges_and_bytes_stand_for_the_rest() {
        let json = convert(&model().encode_to_vec()).unwrap();
        let tokenizer = Tokenizer::from_bytes(json.as_bytes()).unwrap();
        let encoding = tokenizer.encode("lungs  µ", false).unwrap();
        let expected = ["\u{2581}lung", "s", "\u{2581}", "\u{2581}", "<0xC2>", "<0xB5>"];
        assert_eq!(encoding.get_tokens(), expected);
        assert_eq!(tokenizer.decode(encoding.get_ids(), true).unwrap(), "lungs  µ");
        assert_eq!(tokenizer.encode("</s>", false).unwrap().get_ids(), [2]);
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        type Change = fn(&mut ModelProto);
        let cases: [(&str, Change); 6] = [
            ("byte pair", |m| m.trainer.as_mut().unwrap().model_type = Some(1)),
            ("nmt_nfkc", |m| {
                *m.normalizer.as_mut().unwrap() =
                    Normalizer { name: Some("nmt_nfkc".into()), precompiled: Some(vec![1]), ..Default::default() }
            }),
            ("spaces", |m| m.normalizer.as_mut().unwrap().remove_extra_whitespaces = None),
            ("no pieces", |m| m.pieces.clear()),
            ("the same", |m| m.pieces.push(piece("lu", 0.0, Kind::Normal))),
            ("score", |m| m.pieces[269].score = Some(f32::NAN)),
        ];
        for (word, change) in cases {
            let mut model = model();
            change(&mut model);
            let error = convert(&model.encode_to_vec()).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    proptest! {
        #[test]
        fn damaged_models_never_panic(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..9)) {
            let mut model = model().encode_to_vec();
            let at = at.index(model.len());
            let end = (at + bytes.len()).min(model.len());
            model.splice(at..end, bytes);
            let _ = convert(&model);
        }
    }
}
