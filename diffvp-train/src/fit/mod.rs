//! Training: stages, schedule, checkpoints and metrics.
//!
//! A run goes through `encoder` → `classifier` → `warm_up` → `generator`, each a [`trainer::Stage`] with a folder of its
//! own in the run folder; [`trainer::train`] is the loop of all of them.

mod adamw;
mod assemble;
pub mod bench;
pub mod calibrate;
mod cells;
mod checkpoint;
mod classifier;
pub mod config;
pub mod describe;
mod encoder;
mod events;
mod facts;
mod familiarity;
mod generator;
mod identity;
mod metrics;
pub mod next_token;
mod order;
pub mod parallel;
mod parts;
mod prepared;
pub mod presets;
mod reading;
mod resampler_start;
mod scans;
mod schedule;
mod session;
mod start;
pub mod tensors;
mod text;
mod thresholds;
mod trainer;
pub mod verify;
mod warm_up;

pub use session::{FitRequest, Stages, fit};
