//! Named weights and a config to ONNX graphs and diffvp model packages.

mod atomic;
pub mod config;
mod error;
pub mod graphs;
pub mod huggingface;
pub mod onnx;
pub mod package;
pub mod quantize;
pub mod tokenizer;
pub mod weights;

pub use config::ModelConfig;
pub use error::{Error, Result};
