//! Evaluation: what the published numbers are, and how they are computed.

pub mod clinical;
