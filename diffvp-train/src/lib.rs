//! Data for diffvp models: the labels of the method and synthetic chest phantoms with exact truth.

pub mod labels;
pub mod synth;
