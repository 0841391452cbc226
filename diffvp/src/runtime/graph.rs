//! One ONNX graph, loaded and ready to run.

use std::path::Path;
use std::sync::Arc;

use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, TensorElementType, TensorRef, ValueType};

use super::pool::Slot;
use super::session::{Purpose, SessionOptions, open_session};
use super::{CancelToken, Tensor, TensorData, background};
use crate::{Error, Result};

/// One ONNX graph. `Send + Sync`; threads that run it at the same time take turns.
pub struct Graph {
    loaded: Arc<Loaded>,
}

/// What a run needs; a run that nobody waits for any more keeps it alive.
pub(super) struct Loaded {
    name: String,
    session: Slot<Session>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

/// Name and shape of an input or output; −1 stands for a size that varies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Sizes.
    pub shape: Vec<i64>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("name", &self.name()).field("inputs", &self.inputs()).finish_non_exhaustive()
    }
}

impl Graph {
    /// Loads a graph from a file; external data is found beside it.
    ///
    /// # Errors
    /// [`Error::PackageContent`] where the file is not a graph that ONNX Runtime takes,
    /// [`Error::DeviceUnavailable`], and those of [`crate::runtime::info`].
    pub fn open(path: impl AsRef<Path>, options: &SessionOptions) -> Result<Graph> {
        let path = path.as_ref();
        let (session, _) = open_session(path, options, Purpose::OncePerScan)?;
        let loaded = Loaded {
            name: file_name(path),
            inputs: ports(session.inputs()),
            outputs: ports(session.outputs()),
            session: Slot::new(session),
        };
        Ok(Graph { loaded: Arc::new(loaded) })
    }

    /// File name of the graph.
    pub fn name(&self) -> &str {
        &self.loaded.name
    }

    /// Inputs in order.
    pub fn inputs(&self) -> &[Port] {
        &self.loaded.inputs
    }

    /// Outputs in order.
    pub fn outputs(&self) -> &[Port] {
        &self.loaded.outputs
    }

    /// Checks that the graph has these inputs and outputs with sizes that can match (`None`: any size).
    pub(crate) fn expect(&self, inputs: &[ExpectedPort], outputs: &[ExpectedPort]) -> Result<()> {
        check_ports(self.name(), "input", self.inputs(), inputs)?;
        check_ports(self.name(), "output", self.outputs(), outputs)
    }

    /// Runs the graph on named inputs and returns its outputs in the order of [`outputs`](Self::outputs).
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after `cancel`, [`Error::Inference`] for everything the runtime refuses.
    pub fn run(&self, inputs: &[(&str, &Tensor)], cancel: &CancelToken) -> Result<Vec<Tensor>> {
        self.loaded.run(inputs, cancel)
    }

    /// As [`run`](Self::run) with one input, for graphs with operators that take long: ends at once after `cancel`.
    /// The operator that is running then ends in the background, and later runs of this graph wait for it.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_long(&self, name: &'static str, input: &Arc<Tensor>, cancel: &CancelToken) -> Result<Vec<Tensor>> {
        let (loaded, input, token) = (Arc::clone(&self.loaded), Arc::clone(input), cancel.clone());
        background::run(self.name(), cancel, move || loaded.run(&[(name, &input)], &token))
    }
}

impl Loaded {
    fn run(&self, inputs: &[(&str, &Tensor)], cancel: &CancelToken) -> Result<Vec<Tensor>> {
        let failed = |error: ort::Error| self.failed(error);
        let mut values = Vec::with_capacity(inputs.len());
        for (name, tensor) in inputs {
            values.push((*name, borrow(tensor).map_err(failed)?));
        }
        let run = Arc::new(RunOptions::new().map_err(failed)?);
        let mut session = self.session.take(cancel)?;
        let _running = background::Running::begin(cancel)?;
        cancel.watch(&run)?;
        let outputs = session.run_with_options(values, &*run).map_err(|error| match cancel.check() {
            Err(cancelled) => cancelled,
            Ok(()) => self.failed(error),
        })?;
        self.outputs
            .iter()
            .map(|port| {
                let value = outputs.get(&port.name).ok_or_else(|| self.broken(format!("no output {:?}", port.name)))?;
                copy(value)
                    .map_err(failed)?
                    .ok_or_else(|| self.broken(format!("output {:?} of an unread type", port.name)))
            })
            .collect()
    }

    fn failed(&self, error: ort::Error) -> Error {
        self.broken(error.to_string())
    }

    fn broken(&self, detail: String) -> Error {
        Error::Inference { graph: self.name.clone(), detail }
    }
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

pub(super) fn ports(outlets: &[ort::value::Outlet]) -> Vec<Port> {
    let shape = |ty: &ValueType| match ty {
        ValueType::Tensor { shape, .. } => shape.iter().copied().collect(),
        _ => Vec::new(),
    };
    outlets.iter().map(|o| Port { name: o.name().to_owned(), shape: shape(o.dtype()) }).collect()
}

/// Name and sizes that a port must have; `None` stands for a size that may vary.
pub(crate) type ExpectedPort<'a> = (&'a str, &'a [Option<usize>]);

pub(super) fn check_ports(file: &str, kind: &str, found: &[Port], expected: &[ExpectedPort]) -> Result<()> {
    let wrong = |detail: String| Err(Error::PackageContent { file: file.to_owned(), detail });
    for (name, sizes) in expected {
        let Some(port) = found.iter().find(|p| p.name == *name) else {
            let names: Vec<_> = found.iter().take(8).map(|p| p.name.as_str()).collect();
            return wrong(format!("it has no {kind} {name:?}, only {names:?}"));
        };
        let fits =
            |(&have, want): (&i64, &Option<usize>)| have < 0 || want.is_none_or(|w| i64::try_from(w) == Ok(have));
        if port.shape.len() != sizes.len() || !port.shape.iter().zip(*sizes).all(fits) {
            return wrong(format!(
                "{kind} {name:?} has the shape {:?}, and the manifest's sizes make it {:?}",
                port.shape,
                sizes.iter().map(|s| s.map_or(-1, |n| n as i64)).collect::<Vec<_>>()
            ));
        }
    }
    Ok(())
}

fn borrow(tensor: &Tensor) -> ort::Result<SessionInputValue<'_>> {
    let shape = tensor.shape();
    Ok(match tensor.data() {
        TensorData::F32(data) => TensorRef::from_array_view((shape, data.as_slice()))?.into(),
        TensorData::I64(data) => TensorRef::from_array_view((shape, data.as_slice()))?.into(),
        TensorData::I32(data) => TensorRef::from_array_view((shape, data.as_slice()))?.into(),
    })
}

fn copy(value: &DynValue) -> ort::Result<Option<Tensor>> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return Ok(None);
    };
    let tensor = match ty {
        TensorElementType::Float32 => {
            let (shape, data) = value.try_extract_tensor::<f32>()?;
            Tensor::f32(&dims(shape), data.to_vec())
        }
        TensorElementType::Int64 => {
            let (shape, data) = value.try_extract_tensor::<i64>()?;
            Tensor::i64(&dims(shape), data.to_vec())
        }
        TensorElementType::Int32 => {
            let (shape, data) = value.try_extract_tensor::<i32>()?;
            Tensor::i32(&dims(shape), data.to_vec())
        }
        _ => return Ok(None),
    };
    Ok(tensor.ok())
}

fn dims(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect()
}
