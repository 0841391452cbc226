//! Volume → features → tokens.

use diffvp_exporter::ModelConfig;
use tch::{Kind, Tensor};

use super::{Mode, Parameters, ResNet3d, Resampler};
use crate::Result;

/// The encoder of target and reference with its resampler: `encoder.onnx`.
pub struct Encoder {
    backbone: ResNet3d,
    resampler: Resampler,
}

impl Encoder {
    /// From the parameters `encoder.*` and `resampler.*`.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters, config: &ModelConfig, kind: Kind) -> Result<Self> {
        let backbone = ResNet3d::new(p, "encoder", &config.encoder, kind)?;
        Ok(Encoder { backbone, resampler: Resampler::new(p, config)? })
    }

    /// `volume [b, channels, s, h, w]` → tokens I `[b, n, d]`, attention A `[b, n, v]`.
    pub fn forward(&self, volume: &Tensor) -> (Tensor, Tensor) {
        let features = flatten_features(&self.backbone.forward(volume, Mode::Evaluate));
        self.resampler.forward_with_attention(&features)
    }
}

/// `[b, c, s', h', w']` → `[b, v, c]`.
pub(crate) fn flatten_features(features: &Tensor) -> Tensor {
    features.flatten(2, -1).transpose(1, 2)
}
