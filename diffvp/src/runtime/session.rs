//! How a file becomes a session of ONNX Runtime.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::ErrorCode;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::graph::file_name;
use super::kernels::Operators;
use super::{Device, GpuOptions, environment, kernels};
use crate::{Error, Result};

/// How graphs are loaded.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Device; see [`Device`].
    pub device: Device,
    /// How a GPU is used.
    pub gpu: GpuOptions,
    /// Kernels of the decoder's four- and eight-bit products on the processor.
    pub kernels: Kernels,
    /// Threads inside an operator; 0 for all cores.
    pub threads: usize,
    /// The ONNX Runtime library; see the [module](crate::runtime) for where it is looked for without one.
    pub library: Option<PathBuf>,
}

impl SessionOptions {
    /// Threads in use, with 0 resolved to the number of cores.
    pub fn resolved_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        }
    }

    /// Device and GPU options in use, such as `cuda:0` or `cuda:0, tf32`.
    pub fn device_in_use(&self) -> String {
        let mut text = self.device.to_string();
        if self.device != Device::Cpu {
            let options = [
                (self.gpu.tf32, ", tf32"),
                (self.gpu.tune, ", tuned"),
                (self.gpu.cpu_operators, ", some operators on the processor"),
            ];
            text.extend(options.into_iter().filter(|(on, _)| *on).map(|(_, name)| name));
        }
        text
    }
}

/// Whose kernels multiply with the decoder's four- and eight-bit weights on the processor, and attend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kernels {
    /// Those of this crate where the processor has AVX-512 VNNI or AVX2 and the weights are stored in blocks of 32 or 128, those of
    /// ONNX Runtime elsewhere. Both round activations alike and differ in the last digits of a sum; with those of this crate
    /// keys and values are kept in eight bits.
    #[default]
    Best,
    /// As `Best`, but keys and values stay as they are, and ONNX Runtime attends to them.
    FloatCache,
    /// As `Best`, with AVX2 and nothing newer: what a processor without AVX-512 VNNI does, to be tried on one that has it.
    Avx2,
    /// Those of ONNX Runtime.
    OnnxRuntime,
}

/// What a session is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Decoding, whose operators are short: idle threads wait actively for the next one (a quarter of the speed), and our
    /// own kernels multiply.
    Decoding,
    /// A graph that runs once per scan: idle threads leave the cores to others.
    OncePerScan,
}

/// How a session computes the products with four- and eight-bit weights.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Products {
    /// Our own kernels, if they multiply.
    pub(super) operators: Option<Operators>,
    /// Whether a row gives the same alone and among others, up to the rounding of float32. ONNX Runtime's own products with
    /// weights of few bits do not: another sum rounds other activations up.
    pub(super) rows_agree: bool,
    /// Whether attention is our own, over keys and values of eight bits.
    pub(super) attention: bool,
}

pub(super) fn open_session(path: &Path, options: &SessionOptions, purpose: Purpose) -> Result<(Session, Products)> {
    let runtime = environment::runtime(options.library.as_deref())?;
    let file = file_name(path);
    let internal = |error: &dyn std::fmt::Display| Error::Internal { detail: format!("session options: {error}") };
    let providers = options.device.providers(&options.gpu)?;
    let mut builder = Session::builder(&runtime.environment)
        .map_err(|e| internal(&e))
        .and_then(|b| b.with_optimization_level(GraphOptimizationLevel::All).map_err(|e| internal(&e)))
        .and_then(|b| b.with_intra_threads(options.resolved_threads()).map_err(|e| internal(&e)))
        .and_then(|b| b.with_deterministic_compute(true).map_err(|e| internal(&e)))
        .and_then(|b| {
            let value = if purpose == Purpose::Decoding { "1" } else { "0" };
            b.with_config_entry("session.intra_op.allow_spinning", value).map_err(|e| internal(&e))
        })?;
    if !providers.is_empty() {
        builder = register(builder, providers, options.device)?;
        // With the batch known, shapes are constants, and no operators that compute them are left for the processor.
        builder = builder.with_dimension_override("b", 1).map_err(|e| internal(&e))?;
        if options.gpu.tune {
            builder = builder.with_config_entry("ep.cuda.fpa_intb_gemm", "1").map_err(|e| internal(&e))?;
        }
        if !options.gpu.cpu_operators {
            builder = builder.with_disable_cpu_fallback().map_err(|e| internal(&e))?;
        }
    }
    let (model, products) = match purpose {
        Purpose::Decoding => with_own_kernels(path, options)?,
        Purpose::OncePerScan => Default::default(),
    };
    let session = match (&model, products.operators) {
        (Some(model), Some(operators)) => operators.register(builder).and_then(|b| commit_model(b, path, model)),
        _ => builder.commit_from_file(path),
    };
    let session = session.map_err(|error| {
        let detail = error.to_string();
        if options.device == Device::Cpu || is_of_file(error.code()) {
            Error::PackageContent { file, detail }
        } else {
            // A provider that registers can still refuse when the session is made: no GPU, no driver, no memory, no
            // kernel for an operator.
            Error::DeviceUnavailable { device: options.device.to_string(), detail: format!("{file}: {detail}") }
        }
    })?;
    Ok((session, products))
}

/// The model at `path` with our own kernels, where it and the machine have a use for them, and how its products are computed.
fn with_own_kernels(path: &Path, options: &SessionOptions) -> Result<(Option<Vec<u8>>, Products)> {
    if options.device != Device::Cpu {
        return Ok(Default::default());
    }
    let mut model = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mut nodes = kernels::Nodes::find(&model);
    let Some(operators) = Operators::of(options.kernels).filter(|_| nodes.products() > 0) else {
        return Ok((None, Products { rows_agree: nodes.products() + nodes.others == 0, ..Products::default() }));
    };
    if options.kernels == Kernels::FloatCache {
        nodes.leave_attention();
    }
    nodes.rename(&mut model);
    let operators = Some(operators);
    Ok((Some(model), Products { operators, rows_agree: nodes.others == 0, attention: nodes.attention() }))
}

/// A session of a model in memory whose further files lie beside `path`.
fn commit_model(builder: SessionBuilder, path: &Path, model: &[u8]) -> ort::Result<Session> {
    // The first session makes the operator's domain known to the whole process, which ONNX Runtime does not guard: of two that
    // begin together the second would fail.
    static DOMAIN_IS_KNOWN: Mutex<bool> = Mutex::new(false);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder =
        builder.with_config_entry("session.model_external_initializers_file_folder_path", folder.to_string_lossy())?;
    let mut known = DOMAIN_IS_KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if *known {
        drop(known);
        return builder.commit_from_memory(model);
    }
    let session = builder.commit_from_memory(model)?;
    *known = true;
    Ok(session)
}

fn register(
    builder: SessionBuilder,
    providers: Vec<ort::ep::ExecutionProviderDispatch>,
    device: Device,
) -> Result<SessionBuilder> {
    builder
        .with_execution_providers(providers)
        .map_err(|error| Error::DeviceUnavailable { device: device.to_string(), detail: error.to_string() })
}

/// Whether a session failed for what the file says, on any device.
fn is_of_file(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::InvalidProtobuf | ErrorCode::InvalidGraph | ErrorCode::NoModel | ErrorCode::NoSuchFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_in_use_names_what_changes_results() {
        let gpu = GpuOptions { tf32: true, cpu_operators: true, ..GpuOptions::default() };
        let mut options = SessionOptions { gpu, ..SessionOptions::default() };
        assert_eq!(options.device_in_use(), "cpu");
        options.device = Device::Cuda(1);
        assert_eq!(options.device_in_use(), "cuda:1, tf32, some operators on the processor");
        options.gpu = GpuOptions::default();
        assert_eq!(options.device_in_use(), "cuda:1");
    }
}
