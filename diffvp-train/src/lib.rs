//! From data to model packages: what the `diffvp-train` command does, as a library.

mod error;
pub mod eval;
pub mod export;
pub mod labels;
pub mod run;
pub mod synth;

pub use error::{Error, Result};
