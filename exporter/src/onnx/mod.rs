//! ONNX files: the protobuf messages, a small graph builder, and a writer that streams weights.

pub mod graph;
mod half;
pub mod proto;
mod write;

pub use graph::{Dim, Graph, MICROSOFT, TensorDecl};
pub use half::FloatStorage;
pub use proto::DataType;
pub use write::{EXTERNAL_ALIGNMENT, WriteOptions, write};

/// Version of the standard operators. The oldest ONNX Runtime that `diffvp` accepts is 1.24 (the C API
/// version that it asks for); it reads newer ones, but 21 has every standard operator in use here, and
/// other tools (TensorRT, OpenVINO) read it too.
pub const OPSET: i64 = 21;

/// Version of the file format that goes with [`OPSET`].
pub const IR_VERSION: i64 = 10;
