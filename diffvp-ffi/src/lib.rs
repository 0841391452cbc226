//! libdiffvp: the C interface of [`diffvp`]. Conversion and ownership only, no logic.
//!
//! The way of a call: an exported function hands its body to `boundary`, which catches panics and turns
//! errors into a status and a `diffvp_error`. `input` and `output` are the only places that read and write
//! the caller's memory. Objects live in `table`: what C calls a pointer is a checked name of an entry there.
//!
//! `include/diffvp.h` is generated from this crate by `cargo xtask header`.

#![allow(non_camel_case_types)]
// The contract of the pointers is that of the C header; its prologue says it once for all functions.
#![allow(clippy::missing_safety_doc)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("libdiffvp needs 64-bit pointers: its handles carry kind, generation and index");

mod boundary;
mod cancel;
mod error;
mod hidden;
mod input;
mod inside;
mod log;
mod options;
mod options_report;
mod output;
mod report;
mod report_map;
mod reporter;
mod runtime;
mod scan;
mod scan_memory;
mod status;
mod string;
mod table;
mod text;
mod version;

pub use cancel::*;
pub use error::*;
pub use log::*;
pub use options::*;
pub use options_report::*;
pub use report::*;
pub use report_map::*;
pub use reporter::*;
pub use runtime::*;
pub use scan::*;
pub use scan_memory::*;
pub use status::*;
pub use string::*;
pub use version::*;

#[cfg(test)]
extern crate self as diffvp_ffi;

#[cfg(test)]
mod caught;

#[cfg(test)]
#[path = "../tests/surface/mod.rs"]
mod surface;
