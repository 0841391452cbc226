//! The model on disk.

pub mod manifest;

pub use manifest::Manifest;
