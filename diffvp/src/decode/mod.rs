//! X_in → token ids → text: embedding, sampling, and the loop that writes a report.
//!
//! The order of the work: `TextCodec` turns text into ids, [`Embedding`] turns ids into rows that the decoder
//! takes, `generate` runs the decoder over its KV cache, `Sampler` picks each token, `drafting` proposes tokens so that one
//! run of the decoder gives several.

mod drafting;
mod embedding;
mod generate;
mod sampling;
mod text;

pub use crate::runtime::{Decoder, KvCache, LogitRows};
pub use drafting::DraftCounts;
pub use embedding::Embedding;
pub use generate::StopReason;
pub(crate) use generate::{Generated, Generator, Request, TextEvent};
pub(crate) use sampling::Sampler;
pub use sampling::Sampling;
pub(crate) use text::{TextCodec, encode};
