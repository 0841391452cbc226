//! Where graphs run.

use std::fmt;
use std::str::FromStr;

use ort::ep::cuda::{AttentionBackend, ConvAlgorithmSearch};
use ort::ep::{self, ExecutionProviderDispatch};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

use crate::{Error, Result};

/// Where the graphs of a package run. Nothing falls back: a device that cannot be used is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The NVIDIA GPU with this number, through CUDA.
    Cuda(u32),
    /// The NVIDIA GPU with this number, through TensorRT; what TensorRT does not take runs on CUDA.
    TensorRt(u32),
}

/// How an NVIDIA GPU is used; without effect on the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GpuOptions {
    /// Whether float32 products may round their inputs to TensorFloat-32 (10 bits of mantissa), several times as fast.
    pub tf32: bool,
    /// Whether kernels of convolutions and of four- and eight-bit products are picked by timing them, when a model is
    /// loaded and at its first runs. Two processes may then pick differently and differ in the last digits of a result.
    pub tune: bool,
    /// Whether operators that the GPU has no kernel for run on the processor. Without this their graph is refused.
    pub cpu_operators: bool,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
            Device::TensorRt(index) => write!(f, "tensorrt:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// `cpu`, `cuda`, `cuda:1`, `tensorrt`, `tensorrt:1`.
    fn from_str(text: &str) -> Result<Self> {
        let (kind, index) = text.split_once(':').unwrap_or((text, "0"));
        match (kind, index.parse()) {
            ("cpu", _) if text == "cpu" => Ok(Device::Cpu),
            ("cuda", Ok(index)) => Ok(Device::Cuda(index)),
            ("tensorrt", Ok(index)) => Ok(Device::TensorRt(index)),
            _ => Err(Error::InvalidOption {
                name: "device",
                detail: format!("{text:?} is none of cpu, cuda[:N], tensorrt[:N]"),
            }),
        }
    }
}

impl Device {
    /// Providers in the order in which the runtime tries them, each of which must register.
    pub(super) fn providers(self, options: &GpuOptions) -> Result<Vec<ExecutionProviderDispatch>> {
        let search = if options.tune { ConvAlgorithmSearch::Exhaustive } else { ConvAlgorithmSearch::Heuristic };
        // Without cuDNN's, which is built anew for each length of a prompt.
        let attention =
            AttentionBackend::FLASH_ATTENTION | AttentionBackend::EFFICIENT_ATTENTION | AttentionBackend::MATH;
        let cuda = |i: i32| {
            // The runtime's own default for TensorFloat-32 is on.
            let cuda = ep::CUDA::default().with_device_id(i).with_tf32(options.tf32);
            cuda.with_conv_algorithm_search(search.clone()).with_attention_backend(attention).build().error_on_failure()
        };
        Ok(match self {
            Device::Cpu => Vec::new(),
            Device::Cuda(_) => vec![cuda(self.gpu()?)],
            Device::TensorRt(_) => {
                let i = self.gpu()?;
                let mut tensorrt = ep::TensorRT::default().with_device_id(i);
                if let Some(cache) = super::cache_dir() {
                    // Engines take minutes to build; the cache makes that happen once per GPU and package.
                    let folder = cache.join("tensorrt");
                    let folder = folder.to_string_lossy();
                    tensorrt = tensorrt
                        .with_engine_cache(true)
                        .with_engine_cache_path(&folder)
                        .with_timing_cache(true)
                        .with_timing_cache_path(&folder);
                }
                vec![tensorrt.build().error_on_failure(), cuda(i)]
            }
        })
    }

    /// The GPU's memory, in which values stay between runs; `None` for the processor.
    pub(super) fn memory(self) -> Result<Option<MemoryInfo<'static>>> {
        if self == Device::Cpu {
            return Ok(None);
        }
        MemoryInfo::new(AllocationDevice::CUDA, self.gpu()?, AllocatorType::Device, MemoryType::Default)
            .map(Some)
            .map_err(|error| Error::DeviceUnavailable { device: self.to_string(), detail: error.to_string() })
    }

    fn gpu(self) -> Result<i32> {
        let i = match self {
            Device::Cpu => 0,
            Device::Cuda(i) | Device::TensorRt(i) => i,
        };
        i32::try_from(i)
            .map_err(|_| Error::InvalidOption { name: "device", detail: format!("no GPU has the number {i}") })
    }
}

/// Names of the execution providers that the loaded library was built with.
pub(super) fn compiled_providers() -> Vec<String> {
    use ort::ep::ExecutionProvider as _;
    let mut names = vec!["CPUExecutionProvider".to_owned()];
    let mut add = |available: ort::Result<bool>, name: &str| {
        if matches!(available, Ok(true)) {
            names.push(name.to_owned());
        }
    };
    add(ep::CUDA::is_available(), "CUDAExecutionProvider");
    add(ep::TensorRT::is_available(), "TensorrtExecutionProvider");
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(3), Device::TensorRt(1)] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        for wrong in ["", "gpu", "cuda:x", "cuda:-1", "cpu:1", "tensorrt:"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }
}
