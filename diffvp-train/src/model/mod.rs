//! The model in libtorch (through `tch`), for training: one file a part, with the names and shapes of
//! [`tensor_specs`](diffvp_exporter::weights::tensor_specs) and the sizes of
//! [`ModelConfig`](diffvp_exporter::ModelConfig).
//!
//! Each part computes what its exported graph computes (`exporter/src/graphs/`, where the formulas stand), and a
//! test compares every output of both. A part is a struct of tensors with one `forward`; it is made from
//! [`Parameters`] and shares their storage, so an optimizer that changes the parameters changes the part.

mod classifier;
mod difference;
mod encoder;
mod heads;
mod layers;
mod llama;
mod llama_layer;
mod lora;
mod parameters;
mod resampler;
mod resnet;

pub use classifier::Classifier;
pub use difference::{Contrast, Difference};
pub use encoder::Encoder;
pub(crate) use encoder::flatten_features;
pub(crate) use heads::findings_loss;
pub use heads::{CellHead, Cells, FindingsHead, TokensHead};
pub use llama::{Llama, TextLoss};
pub use llama_layer::{Branches, LayerOutput, LlamaLayer, Rotary};
pub use lora::{Adapter, LoraConfig};
pub use parameters::Parameters;
pub use resampler::Resampler;
pub use resnet::{Mode, ResNet3d};
