//! Named tensors that the parts of the model share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use diffvp_exporter::weights::{Init, TensorSpec, Weights};
use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// Named tensors on one device. Those that are trained require a gradient.
pub struct Parameters {
    tensors: BTreeMap<String, Tensor>,
    device: Device,
    asked: Mutex<BTreeSet<String>>,
}

impl Parameters {
    /// No tensors yet.
    pub fn new(device: Device) -> Self {
        Parameters { tensors: BTreeMap::new(), device, asked: Mutex::default() }
    }

    /// The listed tensors with values from `weights`, stored as `kind`.
    ///
    /// # Errors
    /// Those of [`Weights::tensor`].
    pub fn add(&mut self, specs: &[TensorSpec], weights: &dyn Weights, kind: Kind) -> Result<()> {
        for spec in specs {
            let values = weights.tensor(&spec.name, &spec.shape)?;
            let shape: Vec<i64> = spec.shape.iter().map(|&n| n as i64).collect();
            let tensor = Tensor::from_slice(&values).view(shape.as_slice()).to_device(self.device).to_kind(kind);
            self.tensors.insert(spec.name.clone(), tensor);
        }
        Ok(())
    }

    /// The listed tensors with random values that are made on the device, for measurements: billions in a second, other ones
    /// on each kind of device.
    pub fn add_random(&mut self, specs: &[TensorSpec], kind: Kind) {
        for spec in specs {
            let shape: Vec<i64> = spec.shape.iter().map(|&n| n as i64).collect();
            let normal = Tensor::randn(shape.as_slice(), (kind, self.device));
            let values = match spec.init {
                Init::Normal { mean, std } => normal * f64::from(std) + f64::from(mean),
                Init::Positive { base, spread } => normal.abs() * f64::from(spread) + f64::from(base),
            };
            self.tensors.insert(spec.name.clone(), values);
        }
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The tensor of a name, sharing its storage.
    ///
    /// # Errors
    /// [`diffvp_exporter::Error::WeightMissing`].
    pub fn get(&self, name: &str) -> Result<Tensor> {
        self.asked.lock().unwrap_or_else(|e| e.into_inner()).insert(name.to_string());
        match self.tensors.get(name) {
            Some(tensor) => Ok(tensor.shallow_clone()),
            None => Err(diffvp_exporter::Error::WeightMissing { name: name.to_string() }.into()),
        }
    }

    /// Names asked for so far.
    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// All names and tensors, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Whether a tensor is a statistic of batch norm, which no gradient changes.
    pub fn is_statistic(name: &str) -> bool {
        name.ends_with(".running_mean") || name.ends_with(".running_var")
    }

    /// Marks the floating tensors whose name `train` accepts as trained, and all others as frozen.
    pub fn train_only(&mut self, train: impl Fn(&str) -> bool) {
        for (name, tensor) in &mut self.tensors {
            let trained = !Self::is_statistic(name) && train(name);
            *tensor = tensor.set_requires_grad(trained);
        }
    }

    /// The trained tensors, by name.
    pub fn trained(&self) -> Vec<(String, Tensor)> {
        let trained = self.tensors.iter().filter(|(_, t)| t.requires_grad());
        trained.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    /// The statistics of batch norm whose name `of` accepts, by name.
    pub fn statistics(&self, of: impl Fn(&str) -> bool) -> Vec<(String, Tensor)> {
        let found = self.tensors.iter().filter(|(name, _)| Self::is_statistic(name) && of(name));
        found.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    /// Copies values into the tensor of a name.
    ///
    /// # Errors
    /// Where the name is not here, or the shape another.
    pub fn set(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let tensor = self.tensors.get_mut(name);
        let tensor = tensor.ok_or_else(|| diffvp_exporter::Error::WeightMissing { name: name.to_string() })?;
        if tensor.size() != value.size() {
            let sizes = |t: &Tensor| t.size().iter().map(|&n| n as usize).collect();
            return Err(Error::Exporter(diffvp_exporter::Error::WeightShape {
                name: name.to_string(),
                expected: sizes(tensor),
                found: sizes(value),
            }));
        }
        tch::no_grad(|| tensor.copy_(value));
        Ok(())
    }
}
