//! AdamW (Loshchilov and Hutter, arXiv 1711.05101), with a state that can be stored: `tch`'s own keeps it to itself.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// First and second moments of the gradients, by parameter.
#[derive(Default)]
pub(super) struct AdamW {
    /// Names, first and second moments.
    pub(super) moments: BTreeMap<String, [Tensor; 2]>,
}

impl AdamW {
    /// One step, counted from 0, over parameters with gradients. `rate` gives each its learning rate.
    pub(super) fn step(
        &mut self,
        parameters: &[(String, Tensor)],
        gradients: &[Tensor],
        step: u64,
        rate: impl Fn(&str) -> f64,
        weight_decay: f64,
    ) {
        let correct = |beta: f64| 1.0 - beta.powf(step as f64 + 1.0);
        let (first, second) = (correct(BETAS.0), correct(BETAS.1));
        tch::no_grad(|| {
            for ((name, parameter), gradient) in parameters.iter().zip(gradients) {
                let zeros = || [parameter.zeros_like(), parameter.zeros_like()];
                let [m, v] = self.moments.entry(name.clone()).or_insert_with(zeros);
                let _ = m.lerp_(gradient, 1.0 - BETAS.0);
                let _ = v.g_mul_scalar_(BETAS.1).g_add_(&(gradient.square() * (1.0 - BETAS.1)));
                let mut parameter = parameter.shallow_clone();
                let rate = rate(name);
                // Biases and gains of norms have no reason to be small.
                if weight_decay > 0.0 && parameter.dim() > 1 {
                    let _ = parameter.g_mul_scalar_(1.0 - rate * weight_decay);
                }
                let update = &*m / ((&*v / second).sqrt() + EPSILON) * (-rate / first);
                let _ = parameter.g_add_(&update);
            }
        });
    }
}

/// Euclidean norm over all gradients.
pub(super) fn norm(gradients: &[Tensor]) -> f64 {
    let squares: Vec<Tensor> = gradients.iter().map(|g| g.to_kind(Kind::Float).square().sum(Kind::Double)).collect();
    if squares.is_empty() { 0.0 } else { Tensor::stack(&squares, 0).sum(Kind::Double).sqrt().double_value(&[]) }
}

#[cfg(test)]
mod tests {
    use tch::nn::OptimizerConfig;
    use tch::{Device, nn};

    use super::*;

    /// Against libtorch's own, over steps with a changing rate.
    #[test]
    fn steps_are_those_of_libtorch() {
        let store = nn::VarStore::new(Device::Cpu);
        tch::manual_seed(1);
        let theirs = store.root().randn("w", &[5, 3], 0.0, 1.0);
        let ours = theirs.detach().copy().set_requires_grad(true);
        let mut optimizer = nn::AdamW { wd: 0.1, ..Default::default() }.build(&store, 0.02).unwrap();
        let mut adam = AdamW::default();
        let target = Tensor::randn([5, 3], (Kind::Float, Device::Cpu));
        for step in 0..20 {
            let rate = 0.02 / (1.0 + step as f64);
            optimizer.set_lr(rate);
            optimizer.backward_step(&(&theirs - &target).square().sum(Kind::Float));
            (&ours - &target).square().sum(Kind::Float).backward();
            let gradient = ours.grad().copy();
            ours.shallow_clone().zero_grad();
            adam.step(&[("w".into(), ours.shallow_clone())], &[gradient], step, |_| rate, 0.1);
            let error = (&ours - &theirs).abs().max().double_value(&[]);
            assert!(error < 1e-6, "step {step}: {error:e}");
        }
    }
}
