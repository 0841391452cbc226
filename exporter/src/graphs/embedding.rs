//! `embedding.onnx`: token ids → embeddings.

use crate::config::ModelConfig;
use crate::onnx::graph::int;
use crate::onnx::{DataType, Dim, FloatStorage, Graph};
use crate::weights::Weights;

const TABLE: &str = "model.embed_tokens.weight";

/// `token_ids` int64 `[b, t]` → `embeddings [b, t, d_llm]`. Needs `model.embed_tokens.weight`.
/// Only the rows that are read are widened.
pub fn embedding<'w>(config: &ModelConfig, weights: &'w dyn Weights, storage: FloatStorage) -> Graph<'w> {
    let mut g = Graph::new("embedding");
    let shape = [config.decoder.vocab_size, config.decoder.hidden_size];
    let ids = g.input("token_ids", DataType::Int64, &[Dim::Name("b"), Dim::Name("t")]);
    match storage {
        FloatStorage::F32 => {
            let table = g.weight(TABLE, &shape, move || weights.tensor(TABLE, &shape));
            g.op_to("Gather", "/embedding/Gather", &[&table, &ids], "embeddings", vec![int("axis", 0)]);
        }
        FloatStorage::F16 => {
            g.weight_of(DataType::Float16, TABLE, &shape, move || weights.tensor(TABLE, &shape));
            let rows = g.op("Gather", "/embedding/Gather", &[TABLE, &ids], vec![int("axis", 0)]);
            g.op_to("Cast", "/embedding/Cast", &[&rows], "embeddings", vec![int("to", DataType::Float as i64)]);
        }
    }
    g.output("embeddings", DataType::Float, &[Dim::Name("b"), Dim::Name("t"), Dim::Size(shape[1])]);
    g
}
