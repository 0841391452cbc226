//! Values that go into and come out of graphs.

use crate::{Error, Result};

/// A dense tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

/// The elements of a [`Tensor`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TensorData {
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 64-bit integers, such as token ids.
    I64(Vec<i64>),
    /// 32-bit integers, such as lengths.
    I32(Vec<i32>),
}

impl Tensor {
    /// A tensor of 32-bit floats.
    ///
    /// # Errors
    /// [`Error::Internal`] where the number of elements is not the product of the shape.
    pub fn f32(shape: &[usize], data: Vec<f32>) -> Result<Self> {
        Tensor::new(shape, data.len(), TensorData::F32(data))
    }

    /// A tensor of 64-bit integers; errors as [`Tensor::f32`].
    pub fn i64(shape: &[usize], data: Vec<i64>) -> Result<Self> {
        Tensor::new(shape, data.len(), TensorData::I64(data))
    }

    /// A tensor of 32-bit integers; errors as [`Tensor::f32`].
    pub fn i32(shape: &[usize], data: Vec<i32>) -> Result<Self> {
        Tensor::new(shape, data.len(), TensorData::I32(data))
    }

    fn new(shape: &[usize], len: usize, data: TensorData) -> Result<Self> {
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(len) {
            return Err(Error::Internal { detail: format!("{len} elements do not fill the shape {shape:?}") });
        }
        Ok(Tensor { shape: shape.to_vec(), data })
    }

    /// Sizes of the axes; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The elements of a float tensor, `None` for another type.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            TensorData::F32(values) => Some(values),
            _ => None,
        }
    }

    /// As [`as_f32`](Self::as_f32), taking the elements out.
    pub fn into_f32(self) -> Option<Vec<f32>> {
        match self.data {
            TensorData::F32(values) => Some(values),
            _ => None,
        }
    }
}
