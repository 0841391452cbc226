//! Training: stages, schedule, checkpoints and metrics.

pub mod tensors;
