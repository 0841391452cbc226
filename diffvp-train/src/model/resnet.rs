//! 3D ResNet with batch norm (Chen et al., MedicalNet, arXiv 1904.00625).

use diffvp_exporter::config::{ResNet3dConfig, Shortcut};
use tch::{Kind, Tensor};

use super::Parameters;
use crate::Result;

/// ε of batch norm, PyTorch's default and the exporter's.
const BATCH_NORM_EPSILON: f64 = 1e-5;
/// Share of the newest batch in the running statistics, PyTorch's default.
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Whether batch norm uses, and learns, the statistics of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Statistics of the batch; the running ones follow.
    Train,
    /// Running statistics.
    Evaluate,
}

/// `volume [b, channels, s, h, w]` → features `[b, c, s', h', w']`, as in the exporter's `resnet`.
pub struct ResNet3d {
    stem: ConvNorm,
    blocks: Vec<Block>,
    kind: Kind,
}

impl ResNet3d {
    /// The network whose parameters begin with `prefix`, convolving in `kind` (float32, or bfloat16 with
    /// float32 parameters).
    ///
    /// # Errors
    /// Where a parameter is missing.
    pub fn new(p: &Parameters, prefix: &str, config: &ResNet3dConfig, kind: Kind) -> Result<Self> {
        let stem = ConvNorm::new(p, &format!("{prefix}.conv1"), &format!("{prefix}.bn1"), 2, 1)?;
        let mut blocks = Vec::new();
        let mut channels = config.width;
        for (i, stage) in config.stages().into_iter().enumerate() {
            for index in 0..stage.blocks {
                let stride = if index == 0 { stage.stride } else { 1 };
                let name = format!("{prefix}.layer{}.{index}", i + 1);
                let changes = stride != 1 || channels != stage.channels;
                let shortcut = match config.shortcut {
                    _ if !changes => Path::Identity,
                    Shortcut::A => Path::Pad { stride: stride as i64, added: (stage.channels - channels) as i64 },
                    Shortcut::B => {
                        let names = [0, 1].map(|part| format!("{name}.downsample.{part}"));
                        Path::Project(ConvNorm::new(p, &names[0], &names[1], stride, 1)?)
                    }
                };
                let conv = |i, stride| {
                    ConvNorm::new(p, &format!("{name}.conv{i}"), &format!("{name}.bn{i}"), stride, stage.dilation)
                };
                blocks.push(Block { first: conv(1, stride)?, second: conv(2, 1)?, shortcut });
                channels = stage.channels;
            }
        }
        Ok(ResNet3d { stem, blocks, kind })
    }

    /// Features in float32.
    pub fn forward(&self, volume: &Tensor, mode: Mode) -> Tensor {
        let x = self.stem.forward(&volume.to_kind(self.kind), mode).relu();
        let mut x = x.max_pool3d([3, 3, 3], [2, 2, 2], [1, 1, 1], [1, 1, 1], false);
        for block in &self.blocks {
            x = block.forward(&x, mode);
        }
        x.to_kind(Kind::Float)
    }
}

struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Path,
}

enum Path {
    Identity,
    /// Every `stride`-th voxel, then `added` zero channels.
    Pad {
        stride: i64,
        added: i64,
    },
    Project(ConvNorm),
}

impl Block {
    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let y = self.second.forward(&self.first.forward(x, mode).relu(), mode);
        let shortcut = match &self.shortcut {
            Path::Identity => x.shallow_clone(),
            Path::Project(conv) => conv.forward(x, mode),
            Path::Pad { stride, added } => {
                let every = |x: Tensor, axis| x.slice(axis, None, None, *stride);
                let x = if *stride == 1 { x.shallow_clone() } else { every(every(every(x.shallow_clone(), 2), 3), 4) };
                if *added == 0 { x } else { x.constant_pad_nd([0, 0, 0, 0, 0, 0, 0, *added]) }
            }
        };
        (y + shortcut).relu()
    }
}

/// Convolution without bias, then batch norm.
struct ConvNorm {
    kernel: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    stride: i64,
    dilation: i64,
}

impl ConvNorm {
    fn new(p: &Parameters, conv: &str, norm: &str, stride: usize, dilation: usize) -> Result<Self> {
        let part = |part: &str| p.get(&format!("{norm}.{part}"));
        Ok(ConvNorm {
            kernel: p.get(&format!("{conv}.weight"))?,
            weight: part("weight")?,
            bias: part("bias")?,
            mean: part("running_mean")?,
            variance: part("running_var")?,
            stride: stride as i64,
            dilation: dilation as i64,
        })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let padding = self.dilation * (self.kernel.size()[2] / 2);
        // In memory channels last, which libtorch's convolutions on the CPU are fastest with, and the tensor cores of GPUs
        // read bfloat16 in. Kernels for 3D in float32 are many in cuDNN only where channels come first.
        let kernel = self.kernel.to_kind(x.kind());
        let channels_last = !x.device().is_cuda() || x.kind() == Kind::BFloat16;
        let kernel =
            if channels_last { kernel.permute([0, 2, 3, 4, 1]).contiguous().permute([0, 4, 1, 2, 3]) } else { kernel };
        let (stride, padding, dilation) = ([self.stride; 3], [padding; 3], [self.dilation; 3]);
        x.conv3d::<Tensor>(&kernel, None, stride, padding, dilation, 1).batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.mean),
            Some(&self.variance),
            mode == Mode::Train,
            BATCH_NORM_MOMENTUM,
            BATCH_NORM_EPSILON,
            true,
        )
    }
}
