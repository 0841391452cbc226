//! Seeded random weights: the start of training, and full-size models for measurements.

use std::collections::HashMap;

use rand::Rng;
use rand_pcg::Pcg64;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Init, TensorSpec, Weights, tensor_specs};
use crate::config::ModelConfig;
use crate::error::{Error, Result};

/// Random weights of a config. Each tensor depends only on seed, name and shape, and is made when it is
/// asked for: a model of 7 billion weights needs no file and the memory of one tensor.
///
/// The same on every machine: normal values are sums of four uniform ones (Irwin–Hall, standard
/// deviation 1 after scaling, at most 3.47 from the mean), which needs no function of the platform's
/// mathematics library.
pub struct RandomWeights {
    specs: HashMap<String, TensorSpec>,
    seed: u64,
}

impl RandomWeights {
    /// Weights of a valid config.
    pub fn new(config: &ModelConfig, seed: u64) -> Self {
        RandomWeights::from_specs(tensor_specs(config), seed)
    }

    /// Weights of a list, which need not be that of a config.
    pub fn from_specs(specs: Vec<TensorSpec>, seed: u64) -> Self {
        RandomWeights { specs: specs.into_iter().map(|s| (s.name.clone(), s)).collect(), seed }
    }
}

/// Values per generator; tensors are filled in parallel, one generator a chunk.
const CHUNK: usize = 1 << 20;

impl Weights for RandomWeights {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let spec = self.specs.get(name).ok_or_else(|| Error::WeightMissing { name: name.to_string() })?;
        if spec.shape != shape {
            return Err(Error::WeightShape {
                name: name.to_string(),
                expected: shape.to_vec(),
                found: spec.shape.clone(),
            });
        }
        let mut values = vec![0f32; shape.iter().product()];
        values.par_chunks_mut(CHUNK).enumerate().for_each(|(i, chunk)| {
            let mut rng = generator(self.seed, name, i as u64);
            chunk.iter_mut().for_each(|v| *v = draw(&mut rng, spec.init));
        });
        Ok(values)
    }
}

fn generator(seed: u64, name: &str, chunk: u64) -> Pcg64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(chunk.to_le_bytes());
    hash.update(name.as_bytes());
    let digest = hash.finalize();
    let word = |at: usize| {
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[at..at + 16]);
        u128::from_le_bytes(bytes)
    };
    Pcg64::new(word(0), word(16))
}

fn draw(rng: &mut Pcg64, init: Init) -> f32 {
    let bits = rng.next_u64();
    let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    // Mean 4 · 32767.5, standard deviation 65536 / √3 (to a part in 10⁹).
    let normal = ((sum as f64 - 131_070.0) * (1.732_050_807_568_877_2 / 65_536.0)) as f32;
    match init {
        Init::Normal { mean, std } => mean + std * normal,
        Init::Positive { base, spread } => base + spread * normal.abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_pinned_and_normal() {
        let config = ModelConfig::demo(600);
        let weights = RandomWeights::new(&config, 7);
        let w = weights.tensor("model.embed_tokens.weight", &[600, 128]).unwrap();
        assert_eq!(w, RandomWeights::new(&config, 7).tensor("model.embed_tokens.weight", &[600, 128]).unwrap());
        assert_ne!(w, RandomWeights::new(&config, 8).tensor("model.embed_tokens.weight", &[600, 128]).unwrap());
        let n = w.len() as f64;
        let mean = w.iter().map(|&v| v as f64).sum::<f64>() / n;
        let std = (w.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!(mean.abs() < 0.01 && (std - 0.5).abs() < 0.01, "{mean} {std}");
        // Pinned: other values would make every seeded package another one.
        assert_eq!(w[..3].iter().map(|v| v.to_bits()).collect::<Vec<_>>(), PINNED);
    }

    const PINNED: [u32; 3] = [1_050_558_192, 3_203_266_037, 3_185_057_954];

    #[test]
    fn every_spec_is_served_and_shapes_are_checked() {
        let config = ModelConfig::demo(300);
        let weights = RandomWeights::new(&config, 1);
        for spec in tensor_specs(&config) {
            let values = weights.tensor(&spec.name, &spec.shape).unwrap();
            assert!(values.iter().all(|v| v.is_finite()));
            if spec.name.ends_with("running_var") {
                assert!(values.iter().all(|&v| v >= 0.9));
            }
        }
        assert!(matches!(weights.tensor("nothing", &[1]), Err(Error::WeightMissing { .. })));
        assert!(matches!(weights.tensor("lm_head.weight", &[1]), Err(Error::WeightShape { .. })));
    }
}
