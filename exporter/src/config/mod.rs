//! Every size of a model. Training and export share these types, so that no size is typed twice.

mod decoder;
mod presets;
mod resnet;
mod vision;

use serde::{Deserialize, Serialize};

pub use decoder::{LlamaConfig, RopeScaling};
pub use resnet::{ResNet3dConfig, Shortcut, StageSpec, Strides};
pub use vision::{ClassifierConfig, DifferenceConfig, PositionKind, ResamplerConfig};

use crate::error::{Error, Result};

/// Sizes of all graphs of a model package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Model input `[s, h, w]` in voxels: slices, rows, columns.
    pub input: [usize; 3],
    /// Encoder of target and reference.
    pub encoder: ResNet3dConfig,
    /// Resampler of encoder features to n tokens.
    pub resampler: ResamplerConfig,
    /// The separate classifier that predicts the findings E.
    pub classifier: ClassifierConfig,
    /// Difference operators and projector.
    pub difference: DifferenceConfig,
    /// LLaMA decoder.
    pub decoder: LlamaConfig,
}

impl ModelConfig {
    /// Reads and validates JSON.
    ///
    /// # Errors
    /// [`Error::ConfigJson`] for unknown, missing or mistyped fields, [`Error::Config`] for values that cannot be used.
    pub fn from_json(json: &str) -> Result<Self> {
        let config: ModelConfig = serde_json::from_str(json).map_err(Error::ConfigJson)?;
        config.validate()?;
        Ok(config)
    }

    /// The config as JSON with indentation.
    pub fn to_json(&self) -> String {
        // Numbers, words and lists of fixed keys: there is nothing that JSON could refuse.
        serde_json::to_string_pretty(self).expect("a config is JSON")
    }

    /// v: number of encoder features, the product of [`ModelConfig::feature_grid`].
    pub fn features(&self) -> usize {
        self.feature_grid().iter().product()
    }

    /// Grid `[slices, rows, columns]` of the encoder's features.
    pub fn feature_grid(&self) -> [usize; 3] {
        self.encoder.feature_grid(self.input)
    }

    /// Width of a token as the graphs hand it on: d, or 2 d where it is `[I ; I_d]`.
    pub fn token_width(&self) -> usize {
        self.resampler.dim * (1 + usize::from(self.difference.pixel_level))
    }

    /// Checks every field, and how the parts fit together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first field that cannot be used.
    pub fn validate(&self) -> Result<()> {
        for (axis, &size) in ["slices", "rows", "columns"].iter().zip(&self.input) {
            in_range(&format!("input.{axis}"), size, 8, 2048)?;
        }
        self.encoder.validate("encoder")?;
        self.resampler.validate()?;
        self.classifier.validate()?;
        self.difference.validate(self.resampler.dim)?;
        self.decoder.validate()?;
        if self.classifier.backbone.in_channels != self.encoder.in_channels {
            let found = self.classifier.backbone.in_channels;
            let detail =
                format!("is {found}, but the encoder takes {} and both get the same volume", self.encoder.in_channels);
            return Err(Error::config("classifier.backbone.in_channels", detail));
        }
        let prompt = self.difference.prefix_tokens + self.resampler.tokens;
        if prompt >= self.decoder.context_length {
            let detail =
                format!("is {}, but prefix and visual tokens alone take {prompt}", self.decoder.context_length);
            return Err(Error::config("decoder.context_length", detail));
        }
        Ok(())
    }
}

pub(crate) fn in_range(field: &str, value: usize, min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(Error::config(field, format!("is {value}, allowed is {min} to {max}")))
    }
}

pub(crate) fn positive(field: &str, value: f32) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(Error::config(field, format!("is {value}, expected a positive number")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_json() {
        for config in [ModelConfig::demo(600), ModelConfig::paper_vision(600), ModelConfig::paper()] {
            config.validate().unwrap();
            assert_eq!(ModelConfig::from_json(&config.to_json()).unwrap(), config);
        }
        assert_eq!(ModelConfig::paper_vision(600).feature_grid(), [8, 32, 32]);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let json = ModelConfig::demo(600).to_json().replacen("\"input\"", "\"inputs\": [], \"input\"", 1);
        assert!(matches!(ModelConfig::from_json(&json), Err(Error::ConfigJson(_))));
    }

    #[test]
    fn each_contradiction_names_its_field() {
        type Break = fn(&mut ModelConfig);
        let cases: [(&str, Break); 10] = [
            ("input.rows", |c| c.input[1] = 0),
            ("encoder.depth", |c| c.encoder.depth = 50),
            ("resampler.heads", |c| c.resampler.heads = 0),
            ("classifier.backbone.in_channels", |c| c.classifier.backbone.in_channels = 3),
            ("difference.heads", |c| c.difference.heads = 7),
            ("difference.prefix_tokens", |c| c.difference.prefix_tokens = 0),
            ("difference.epsilon", |c| c.difference.epsilon = f32::NAN),
            ("decoder.key_value_heads", |c| c.decoder.key_value_heads = 3),
            ("decoder.head_dim", |c| c.decoder.head_dim = 31),
            ("decoder.context_length", |c| c.decoder.context_length = 10),
        ];
        for (field, change) in cases {
            let mut config = ModelConfig::demo(600);
            change(&mut config);
            match config.validate() {
                Err(Error::Config { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}
