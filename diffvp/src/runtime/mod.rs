//! ONNX Runtime: finding the library, keeping it silent, running graphs.
//!
//! This is the only room that imports `ort`; nothing of `ort` appears in a public signature.
//!
//! # Where the library is looked for
//! In this order, and the first that is named decides:
//! 1. the path given in [`SessionOptions::library`] (or [`crate::ReporterBuilder::library`]),
//! 2. the environment variable `ORT_DYLIB_PATH`,
//! 3. beside the running executable,
//! 4. the cache folder that `cargo xtask runtime` fills (see [`cache_dir`]).
//!
//! A path named by 1 or 2 that does not work is an error; the search does not go on behind the caller's back.
//!
//! # Telemetry
//! Official builds of ONNX Runtime since 1.29 start an uploader when the environment is created. This crate
//! sets `ORT_DISABLE_TELEMETRY=1` before the library is loaded and disables telemetry events on the
//! environment; see [`telemetry_state`].

mod background;
mod cancel;
mod decoder;
mod device;
mod environment;
mod graph;
mod kernels;
mod kv_cache;
mod library;
mod permits;
mod pool;
mod session;
mod tensor;

pub use cancel::CancelToken;
pub use decoder::{Decoder, LogitRows};
pub use device::{Device, GpuOptions};
pub use environment::{RuntimeInfo, info, telemetry_state};
pub use graph::{Graph, Port};
pub use kv_cache::KvCache;
pub use library::{LIBRARY_VERSION, cache_dir, search_places};
pub(crate) use permits::Permits;
pub use session::{Kernels, SessionOptions};
pub use tensor::{Tensor, TensorData};

/// Oldest minor version of ONNX Runtime (1.x) whose interface this crate uses.
pub const OLDEST_MINOR_VERSION: u32 = ort::MINOR_VERSION;
