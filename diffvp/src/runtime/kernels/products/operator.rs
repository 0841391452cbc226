//! `MatMulNBits` as an operator of ONNX Runtime.

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::{DynTensorValueType, TensorElementType};

use super::super::lanes::Instructions;
use super::super::session::{Parts, contained, in_parallel, size};
use super::layout::Layout;
use super::multiply::{Activations, products};
use super::packed::Packed;

/// The operator.
pub(in super::super) struct MatMulNBits {
    pub(in super::super) instructions: Instructions,
}

impl Operator for MatMulNBits {
    type Kernel<'attr> = Product;

    fn name(&self) -> &str {
        "MatMulNBits"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [
            OperatorInput::required(TensorElementType::Float32),
            OperatorInput::required(TensorElementType::Uint8),
            OperatorInput::required(TensorElementType::Float32),
            OperatorInput::optional(TensorElementType::Uint8),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Product> {
        contained(|| Product::new(context, self.instructions))
    }
}

/// A product with a weight.
pub(in super::super) struct Product {
    weight: Packed,
    activations: Activations,
    instructions: Instructions,
}

impl Product {
    fn new(context: &KernelContext<'_>, instructions: Instructions) -> ort::Result<Product> {
        let size = |name| size(context, name);
        let symmetric = context.inputs()?.len() < 4;
        let layout =
            Layout { n: size("N")?, k: size("K")?, bits: size("bits")?, block: size("block_size")?, symmetric };
        let [codes, scales] = [1, 2].map(|i| context.constant_input::<DynTensorValueType>(i));
        let (codes, scales) = (codes?, scales?);
        let zeros = if symmetric { None } else { Some(context.constant_input::<DynTensorValueType>(3)?) };
        let zeros = match &zeros {
            Some(zeros) => zeros.try_extract_tensor::<u8>()?.1,
            None => &[],
        };
        let (codes, scales) = (codes.try_extract_tensor::<u8>()?.1, scales.try_extract_tensor::<f32>()?.1);
        let weight = Packed::new(layout, codes, scales, zeros).ok_or_else(|| {
            ort::Error::new(format!("the stored parts do not make a weight of {layout:?}, or memory does not hold it"))
        })?;
        Ok(Product { weight, activations: Activations::default(), instructions })
    }

    fn multiply(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let layout = self.weight.layout;
        let missing = |what: &str| ort::Error::new(format!("a product without {what}"));
        let x = context.input(0)?.ok_or_else(|| missing("activations"))?;
        let (shape, x) = x.try_extract_tensor::<f32>()?;
        let mut shape = shape.to_vec();
        match shape.last_mut() {
            Some(k) if usize::try_from(*k) == Ok(layout.k) => *k = layout.n as i64,
            _ => return Err(ort::Error::new(format!("activations of {shape:?} for a weight of {} columns", layout.k))),
        }
        let mut y = context.output(0, shape)?.ok_or_else(|| missing("a place for results"))?;
        let (_, y) = y.try_extract_tensor_mut::<f32>()?;

        let rounding = self.activations.rows(x, &layout);
        let rows = rounding.len();
        let instructions = self.instructions;
        in_parallel(context, rows, if rows < FEW_ROWS { 1 } else { rows }, |row| {
            // SAFETY: each piece of work is a row of its own.
            unsafe { rounding.round(instructions, row) }
        })?;

        let (results, tiles) = (Parts::new(y), layout.tiles());
        let piece = (PIECE_BYTES / (64 * self.weight.tile_lines()).max(1)).clamp(1, tiles);
        let pieces = tiles.div_ceil(piece);
        in_parallel(context, pieces, pieces, |i| {
            let some = i * piece..((i + 1) * piece).min(tiles);
            // SAFETY: each piece has tiles of its own.
            unsafe { products(instructions, &self.weight, &self.activations, some, &results) }
        })
    }
}

/// Rows that one thread rounds sooner than it wakes another.
const FEW_ROWS: usize = 8;

/// Bytes of weights that a thread takes at a time: worth waking it for, and none waits long for the slowest.
const PIECE_BYTES: usize = 128 * 1024;

impl Kernel for Product {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        contained(|| self.multiply(context))
    }
}
