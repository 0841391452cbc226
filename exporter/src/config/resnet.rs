//! The 3D ResNet of encoder and classifier.

use serde::{Deserialize, Serialize};

use super::in_range;
use crate::error::{Error, Result};

/// A 3D ResNet of basic blocks: 7³ stem of stride 2, 3³ max-pool of stride 2, four stages of widths
/// w, 2w, 4w, 8w. Names of weights are those of MedicalNet and torchvision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNet3dConfig {
    /// Channels of the volume.
    pub in_channels: usize,
    /// w: channels of the stem and of the first stage; 64 in MedicalNet.
    pub width: usize,
    /// Layers: 10, 18 or 34.
    pub depth: usize,
    /// Shortcut where a block changes size or channels.
    pub shortcut: Shortcut,
    /// Where the network strides.
    pub strides: Strides,
}

/// Shortcut of a block that changes size or channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortcut {
    /// Subsampled input with zero channels appended; no parameters.
    A,
    /// 1³ convolution with batch norm.
    B,
}

/// Where the network strides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strides {
    /// Output stride 8: stages 3 and 4 dilated by 2 and 4 instead of strided (MedicalNet).
    Dilated,
    /// Output stride 16: stages 2 and 3 strided.
    #[serde(rename = "plain_16")]
    Plain16,
    /// Output stride 32: stages 2, 3 and 4 strided.
    #[serde(rename = "plain_32")]
    Plain32,
}

/// One of the four stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageSpec {
    /// Channels.
    pub channels: usize,
    /// Blocks.
    pub blocks: usize,
    /// Stride of the first block.
    pub stride: usize,
    /// Dilation of all 3³ convolutions.
    pub dilation: usize,
}

impl ResNet3dConfig {
    /// c: channels of the features.
    pub fn out_channels(&self) -> usize {
        8 * self.width
    }

    /// The four stages.
    pub fn stages(&self) -> [StageSpec; 4] {
        let blocks = match self.depth {
            10 => [1, 1, 1, 1],
            34 => [3, 4, 6, 3],
            _ => [2, 2, 2, 2],
        };
        let (strides, dilations) = match self.strides {
            Strides::Dilated => ([1, 2, 1, 1], [1, 1, 2, 4]),
            Strides::Plain16 => ([1, 2, 2, 1], [1; 4]),
            Strides::Plain32 => ([1, 2, 2, 2], [1; 4]),
        };
        std::array::from_fn(|i| StageSpec {
            channels: self.width << i,
            blocks: blocks[i],
            stride: strides[i],
            dilation: dilations[i],
        })
    }

    /// Grid of the features for an input `[s, h, w]`. Every convolution keeps `⌈size / stride⌉`.
    pub fn feature_grid(&self, input: [usize; 3]) -> [usize; 3] {
        let strides = [2, 2].into_iter().chain(self.stages().map(|s| s.stride));
        strides.fold(input, |grid, stride| grid.map(|size| size.div_ceil(stride)))
    }

    pub(super) fn validate(&self, part: &str) -> Result<()> {
        in_range(&format!("{part}.in_channels"), self.in_channels, 1, 16)?;
        in_range(&format!("{part}.width"), self.width, 1, 512)?;
        if ![10, 18, 34].contains(&self.depth) {
            return Err(Error::config(
                format!("{part}.depth"),
                format!("is {}, allowed are 10, 18 and 34", self.depth),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_strides_are_8_16_and_32() {
        for (strides, grid) in
            [(Strides::Dilated, [8, 32, 32]), (Strides::Plain16, [4, 16, 16]), (Strides::Plain32, [2, 8, 8])]
        {
            let config = ResNet3dConfig { in_channels: 1, width: 64, depth: 18, shortcut: Shortcut::A, strides };
            assert_eq!(config.feature_grid([64, 256, 256]), grid);
        }
    }
}
