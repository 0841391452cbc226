//! Volume → features → tokens.

use diffvp_exporter::ModelConfig;
use diffvp_exporter::weights::REFERENCE_VOLUME;
use tch::{Kind, Tensor};

use super::{Mode, Parameters, ResNet3d, Resampler};
use crate::Result;

/// The encoder of target and reference with its resampler: `encoder.onnx`.
pub struct Encoder {
    backbone: ResNet3d,
    resampler: Resampler,
    /// X_ref `[channels, s, h, w]` of a pixel-level comparison.
    reference_volume: Option<Tensor>,
}

impl Encoder {
    /// From the parameters `encoder.*` and `resampler.*`.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn new(p: &Parameters, config: &ModelConfig, kind: Kind) -> Result<Self> {
        let backbone = ResNet3d::new(p, "encoder", &config.encoder, kind)?;
        let reference_volume = config.difference.pixel_level.then(|| p.get(REFERENCE_VOLUME)).transpose()?;
        Ok(Encoder { backbone, resampler: Resampler::new(p, config)?, reference_volume })
    }

    /// `volume [b, channels, s, h, w]` → tokens I `[b, n, d]`, attention A `[b, n, v]`; where the comparison is at pixel level
    /// `[I ; I_d]` `[b, n, 2 d]` and the attention of I_d.
    pub fn forward(&self, volume: &Tensor) -> (Tensor, Tensor) {
        let tokens = |volume: &Tensor| {
            let features = flatten_features(&self.backbone.forward(volume, Mode::Evaluate));
            self.resampler.forward_with_attention(&features)
        };
        match &self.reference_volume {
            None => tokens(volume),
            Some(reference) => {
                let (own, (difference, attention)) = (tokens(volume).0, tokens(&(volume - reference)));
                (Tensor::cat(&[own, difference], -1), attention)
            }
        }
    }
}

/// `[b, c, s', h', w']` → `[b, v, c]`.
pub(crate) fn flatten_features(features: &Tensor) -> Tensor {
    features.flatten(2, -1).transpose(1, 2)
}
