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
    /// On a GPU, the memory that the moments lie in.
    joined: Option<Joined>,
}

/// What a step does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update {
    /// The step, counted from 0.
    pub(super) step: u64,
    /// Learning rate.
    pub(super) rate: f64,
    /// What the gradients are multiplied by, where they are too large.
    pub(super) clipped: Option<f64>,
    /// Decay of what has more than one axis: biases and gains of norms have no reason to be small.
    pub(super) weight_decay: f64,
}

/// All parameters end to end: a GPU starts a kernel for each operation on each, which takes longer than the kernel.
struct Joined {
    moments: [Tensor; 2],
    /// Of each number, its learning rate over the update's.
    shares: Tensor,
    /// The same where it decays, else 0.
    decays: Tensor,
}

impl Update {
    /// Corrections of the moments, which start at 0.
    fn corrections(&self) -> (f64, f64) {
        let correct = |beta: f64| 1.0 - beta.powf(self.step as f64 + 1.0);
        (correct(BETAS.0), correct(BETAS.1))
    }
}

impl AdamW {
    /// One step over parameters with gradients. `share` gives each its learning rate over the update's.
    pub(super) fn step(
        &mut self,
        parameters: &[(String, Tensor)],
        gradients: &[Tensor],
        update: &Update,
        share: impl Fn(&str) -> f64,
    ) {
        tch::no_grad(|| match parameters.first() {
            Some((_, first)) if first.device().is_cuda() => self.step_joined(parameters, gradients, update, share),
            _ => self.step_each(parameters, gradients, update, share),
        });
    }

    fn step_each(
        &mut self,
        parameters: &[(String, Tensor)],
        gradients: &[Tensor],
        update: &Update,
        share: impl Fn(&str) -> f64,
    ) {
        let (first, second) = update.corrections();
        for ((name, parameter), gradient) in parameters.iter().zip(gradients) {
            let zeros = || [parameter.zeros_like(), parameter.zeros_like()];
            let [m, v] = self.moments.entry(name.clone()).or_insert_with(zeros);
            let gradient = update.clipped.map_or_else(|| gradient.shallow_clone(), |scale| gradient * scale);
            let _ = m.lerp_(&gradient, 1.0 - BETAS.0);
            let _ = v.g_mul_scalar_(BETAS.1).g_add_(&(gradient.square() * (1.0 - BETAS.1)));
            let mut parameter = parameter.shallow_clone();
            let rate = update.rate * share(name);
            if update.weight_decay > 0.0 && parameter.dim() > 1 {
                let _ = parameter.g_mul_scalar_(1.0 - rate * update.weight_decay);
            }
            let change = &*m / ((&*v / second).sqrt() + EPSILON) * (-rate / first);
            let _ = parameter.g_add_(&change);
        }
    }

    fn step_joined(
        &mut self,
        parameters: &[(String, Tensor)],
        gradients: &[Tensor],
        update: &Update,
        share: impl Fn(&str) -> f64,
    ) {
        let (first, second) = update.corrections();
        let joined = self.joined.get_or_insert_with(|| Joined::new(&mut self.moments, parameters, share));
        let gradient = join(gradients);
        let gradient = update.clipped.map_or_else(|| gradient.shallow_clone(), |scale| &gradient * scale);
        let [m, v] = &mut joined.moments;
        let _ = m.lerp_(&gradient, 1.0 - BETAS.0);
        let _ = v.g_mul_scalar_(BETAS.1).g_add_(&(gradient.square() * (1.0 - BETAS.1)));
        let mut change = &*m / ((&*v / second).sqrt() + EPSILON) * &joined.shares * (-update.rate / first);
        if update.weight_decay > 0.0 {
            let values = join(parameters.iter().map(|(_, parameter)| parameter));
            change -= values * &joined.decays * (update.rate * update.weight_decay);
        }
        for ((_, parameter), change) in parameters.iter().zip(part(&change, parameters)) {
            let _ = parameter.shallow_clone().g_add_(&change);
        }
    }
}

impl Joined {
    /// Takes over the moments there are; those in the table are parts of the joined ones from now on.
    fn new(
        moments: &mut BTreeMap<String, [Tensor; 2]>,
        parameters: &[(String, Tensor)],
        share: impl Fn(&str) -> f64,
    ) -> Self {
        let all = [0, 1].map(|which| {
            let of = |(name, parameter): &(String, Tensor)| {
                moments.get(name).map_or_else(|| parameter.zeros_like(), |pair| pair[which].shallow_clone())
            };
            join(parameters.iter().map(of))
        });
        for (((name, _), m), v) in parameters.iter().zip(part(&all[0], parameters)).zip(part(&all[1], parameters)) {
            moments.insert(name.clone(), [m, v]);
        }
        let filled = |of: &dyn Fn(&str, &Tensor) -> f64| {
            join(parameters.iter().map(|(name, parameter)| parameter.full_like(of(name, parameter))))
        };
        let shares = filled(&|name, _| share(name));
        let decays = filled(&|name, parameter| if parameter.dim() > 1 { share(name) } else { 0.0 });
        Joined { moments: all, shares, decays }
    }
}

/// Tensors end to end, as one axis.
fn join<T: std::borrow::Borrow<Tensor>>(tensors: impl IntoIterator<Item = T>) -> Tensor {
    let flat: Vec<Tensor> = tensors.into_iter().map(|t| t.borrow().detach().reshape([-1])).collect();
    Tensor::cat(&flat, 0)
}

/// The parts of what [`join`] makes, in the shapes of the parameters.
fn part(joined: &Tensor, parameters: &[(String, Tensor)]) -> Vec<Tensor> {
    let mut at = 0;
    let of = |(_, parameter): &(String, Tensor)| {
        let count = parameter.numel() as i64;
        at += count;
        joined.narrow(0, at - count, count).view(parameter.size().as_slice())
    };
    parameters.iter().map(of).collect()
}

/// Euclidean norm over all gradients, on their device; none without gradients.
pub(super) fn norm(gradients: &[Tensor]) -> Option<Tensor> {
    if gradients.first()?.device().is_cuda() {
        return Some(join(gradients).to_kind(Kind::Double).square().sum(Kind::Double).sqrt());
    }
    let squares: Vec<Tensor> = gradients.iter().map(|g| g.to_kind(Kind::Float).square().sum(Kind::Double)).collect();
    Some(Tensor::stack(&squares, 0).sum(Kind::Double).sqrt())
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
            let update = Update { step, rate, clipped: None, weight_decay: 0.1 };
            adam.step(&[("w".into(), ours.shallow_clone())], &[gradient], &update, |_| 1.0);
            let error = (&ours - &theirs).abs().max().double_value(&[]);
            assert!(error < 1e-6, "step {step}: {error:e}");
        }
    }
    /// What a GPU does, here without one: the same parameters and moments as one by one, gone on with from a checkpoint.
    #[test]
    fn parameters_end_to_end_are_changed_as_one_by_one() {
        tch::manual_seed(2);
        let shapes = [vec![3, 1, 2, 2, 2], vec![4], vec![2, 5]];
        let random =
            || shapes.iter().map(|s| Tensor::randn(s.as_slice(), (Kind::Float, Device::Cpu))).collect::<Vec<_>>();
        let start = random();
        let copies = || -> Vec<(String, Tensor)> {
            start.iter().enumerate().map(|(i, t)| (format!("p{i}"), t.copy().set_requires_grad(true))).collect()
        };
        let (one, all) = (copies(), copies());
        let (mut each, mut joined) = (AdamW::default(), AdamW::default());
        let share = |name: &str| if name == "p2" { 0.2 } else { 1.0 };
        for step in 0..6 {
            let mut gradients = random();
            // In memory channels last, as gradients of kernels may be.
            gradients[0] = gradients[0].permute([0, 2, 3, 4, 1]).contiguous().permute([0, 4, 1, 2, 3]);
            let clipped = (step % 2 == 0).then_some(0.5);
            let update = Update { step, rate: 0.01, clipped, weight_decay: 0.1 };
            tch::no_grad(|| each.step_each(&one, &gradients, &update, share));
            tch::no_grad(|| joined.step_joined(&all, &gradients, &update, share));
            if step == 2 {
                let moments = joined.moments.iter().map(|(n, [m, v])| (n.clone(), [m.copy(), v.copy()])).collect();
                joined = AdamW { moments, joined: None };
            }
        }
        let apart = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        for ((name, a), (_, b)) in one.iter().zip(&all) {
            assert!(apart(a, b) < 1e-6, "{name}");
            for which in [0, 1] {
                assert!(apart(&each.moments[name][which], &joined.moments[name][which]) < 1e-6, "{name}");
            }
        }
    }
}
