//! Pictures of scans and of difference maps.
//!
//! `canvas` is a small RGB image with text, `planes` turns a stored grid into slices as radiologists look at
//! them, `montage` arranges them.

mod canvas;
mod heat;
mod montage;
mod planes;
mod sheet;

pub use montage::{write_map_png, write_preview_png};
pub use sheet::write_contact_sheet_png;
