//! Model input → tokens: encoder, classifier, and the difference from a normal reference.
//!
//! 1. [`Encoder`]: volume → latent tokens I `[n, d]` and the attention A `[n, v]` that made them.
//! 2. [`Classifier`]: volume → probabilities of the findings (a network of its own, frozen in training).
//! 3. [`ReferencePolicy`]: which normal scan's tokens Iʳ are compared with.
//! 4. [`Difference`]: I, Iʳ → Δ_prompt, I·W and the importance S of each token (paper, equations 4 to 8).

mod classifier;
mod difference;
mod encoder;
mod input;
mod reference;

pub use classifier::Classifier;
pub use difference::{Contrast, Difference};
pub use encoder::{Encoder, Encoding};
pub use input::VolumeTensor;
pub use reference::ReferencePolicy;

use crate::runtime::Tensor;
use crate::{Error, Result};

/// The float outputs of a graph; refuses NaN and infinity, which would go on as a confident report.
fn finite_outputs<const N: usize>(graph: &str, outputs: Vec<Tensor>) -> Result<[Vec<f32>; N]> {
    let broken = |detail: String| Error::Inference { graph: graph.to_owned(), detail };
    let values: Vec<Vec<f32>> = outputs.into_iter().filter_map(Tensor::into_f32).collect();
    if values.iter().flatten().any(|v| !v.is_finite()) {
        return Err(broken("the outputs hold NaN or infinity".into()));
    }
    let count = values.len();
    values.try_into().map_err(|_| broken(format!("{count} float outputs where {N} were expected")))
}
