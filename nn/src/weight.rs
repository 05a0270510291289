//! A matrix in the type and place that it is kept in.

use crate::checkpoint::Bytes;
use crate::{Result, host};
use candle_core::{DType, Tensor};
use half::bf16;
use seekvl_kernels::{Cpu, Elements, Matrix};
use std::ops::Range;
use std::sync::Arc;

/// A weight `[rows, cols]` = `[outputs, inputs]`. Clones and slices share the numbers.
#[derive(Clone)]
pub struct Weight {
    place: Place,
    rows: usize,
    cols: usize,
}

#[derive(Clone)]
enum Place {
    Host { data: Data, first: usize },
    Device(Tensor),
}

/// Numbers on the CPU, row-major.
#[derive(Clone)]
pub(crate) enum Data {
    /// Bytes of a file, aligned for the type.
    MappedF32(Bytes, Range<usize>),
    MappedBf16(Bytes, Range<usize>),
    F32(Arc<[f32]>),
    Bf16(Arc<[bf16]>),
}

impl Data {
    fn elements(&self, range: Range<usize>) -> Elements<'_> {
        match self {
            Data::MappedF32(bytes, at) => {
                Elements::F32(&bytemuck::cast_slice((**bytes).as_ref().get(at.clone()).unwrap_or(&[]))[range])
            }
            Data::MappedBf16(bytes, at) => {
                Elements::Bf16(&bytemuck::cast_slice((**bytes).as_ref().get(at.clone()).unwrap_or(&[]))[range])
            }
            Data::F32(values) => Elements::F32(&values[range]),
            Data::Bf16(values) => Elements::Bf16(&values[range]),
        }
    }
}

impl Weight {
    pub(crate) fn host(data: Data, rows: usize, cols: usize) -> Self {
        Self { place: Place::Host { data, first: 0 }, rows, cols }
    }

    pub(crate) fn device(tensor: Tensor, rows: usize, cols: usize) -> Self {
        Self { place: Place::Device(tensor), rows, cols }
    }

    /// A weight from `f32` numbers on a CPU, `[rows, cols]` row-major.
    ///
    /// # Panics
    /// If there are not `rows * cols` of them.
    pub fn from_f32(values: Vec<f32>, rows: usize, cols: usize) -> Self {
        assert_eq!(values.len(), rows * cols, "{rows}x{cols} weight");
        Self::host(Data::F32(values.into()), rows, cols)
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Rows `range` as a weight of their own, sharing the numbers.
    ///
    /// # Errors
    /// On a device, if the range is outside.
    pub fn slice(&self, range: Range<usize>) -> Result<Self> {
        let place = match &self.place {
            Place::Host { data, first } => Place::Host { data: data.clone(), first: first + range.start },
            Place::Device(tensor) => Place::Device(tensor.narrow(0, range.start, range.len())?),
        };
        Ok(Self { place, rows: range.len(), cols: self.cols })
    }

    /// The transposed weight `[cols, rows]`, copied, in the same type.
    pub fn transposed(&self) -> Result<Self> {
        let place = match self.matrix().map(|matrix| matrix.elements()) {
            Some(Elements::F32(values)) => {
                Place::Host { data: Data::F32(transpose(values, self.rows, self.cols).into()), first: 0 }
            }
            Some(Elements::Bf16(values)) => {
                Place::Host { data: Data::Bf16(transpose(values, self.rows, self.cols).into()), first: 0 }
            }
            None => match &self.place {
                Place::Device(tensor) => Place::Device(tensor.t()?.contiguous()?),
                Place::Host { .. } => unreachable!("a host weight has a matrix"),
            },
        };
        Ok(Self { place, rows: self.cols, cols: self.rows })
    }

    /// The numbers on the CPU, or `None` on a device.
    pub fn matrix(&self) -> Option<Matrix<'_>> {
        match &self.place {
            Place::Host { data, first } => {
                let elements = data.elements(first * self.cols..(first + self.rows) * self.cols);
                Some(Matrix::new(elements, self.rows, self.cols))
            }
            Place::Device(_) => None,
        }
    }

    /// The device tensor `[rows, cols]`, or `None` on the CPU.
    pub(crate) fn tensor(&self) -> Option<&Tensor> {
        match &self.place {
            Place::Host { .. } => None,
            Place::Device(tensor) => Some(tensor),
        }
    }

    /// `x · selfᵀ + bias`: `x` is `[.., cols]`, the result `[.., rows]`; `bias` is `[rows]`.
    pub fn apply(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        if let Some(matrix) = self.matrix() {
            let product = |bias: Option<&[f32]>| {
                host::map_rows(x, self.rows, |x, y| seekvl_kernels::linear(Cpu::detect(), x, matrix, bias, y))
            };
            return match bias {
                Some(bias) => host::with_slice(bias, |bias| product(Some(bias)))?,
                None => product(None),
            };
        }
        let Some(weight) = self.tensor() else { unreachable!("a weight is on the CPU or on a device") };
        let y = x.broadcast_matmul(&weight.t()?)?;
        Ok(match bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }

    /// The type that the numbers are kept in.
    pub fn dtype(&self) -> DType {
        match &self.place {
            Place::Host { data: Data::MappedF32(..) | Data::F32(_), .. } => DType::F32,
            Place::Host { data: Data::MappedBf16(..) | Data::Bf16(_), .. } => DType::BF16,
            Place::Device(tensor) => tensor.dtype(),
        }
    }
}

fn transpose<T: Copy>(values: &[T], rows: usize, cols: usize) -> Vec<T> {
    (0..cols).flat_map(|col| (0..rows).map(move |row| values[row * cols + col])).collect()
}
