//! From data to model packages: what the `diffvp-train` command does, as a library.

#[cfg(feature = "torch")]
pub mod ablate;
pub mod adapter;
pub mod data;
mod error;
pub mod eval;
pub mod export;
#[cfg(feature = "torch")]
pub mod fit;
pub mod labels;
#[cfg(feature = "torch")]
pub mod model;
pub mod phrases;
mod quotes;
pub mod run;
pub mod statement;
pub mod synth;

pub use error::{Error, Result};
