//! From data to model packages: what the `diffvp-train` command does, as a library.

pub mod data;
mod error;
pub mod export;
pub mod labels;
pub mod run;
pub mod synth;

pub use error::{Error, Result};
