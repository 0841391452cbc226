//! Checkpoints of LLaMA as Hugging Face's `transformers` writes them: `config.json`, safetensors in one file or in shards, and
//! `tokenizer.json` or `tokenizer.model`.

mod checkpoint;
mod config;
mod sentencepiece;
mod tokenizer;

pub use checkpoint::{Checkpoint, verify};
pub use config::{LlamaCheckpoint, SpecialTokens};
pub use tokenizer::{CheckpointTokenizer, tokenizer_of};
