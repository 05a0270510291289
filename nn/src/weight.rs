//! A matrix in the type and place that it is kept in.

use crate::checkpoint::Bytes;
use crate::{Result, host};
use candle_core::{DType, Tensor};
use half::bf16;
use seekvl_kernels::quantized::{Format, Quantized, linear_quantized};
use seekvl_kernels::{Cpu, Elements, Epilogue, Matrix};
use std::ops::Range;
use std::sync::Arc;

/// A weight `[rows, cols]` = `[outputs, inputs]`. Clones and slices share the numbers.
#[derive(Clone)]
pub struct Weight {
    place: Place,
    rows: usize,
    cols: usize,
}

/// The numbers that a product multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `f32`.
    F32,
    /// `bf16`, summed in `f32`.
    Bf16,
    /// Integers of 8 bits, summed in 32 bits.
    Int8,
}

#[derive(Clone)]
enum Place {
    Host {
        data: Data,
        first: usize,
    },
    /// From row `first` on.
    Quantized {
        weight: Arc<Quantized>,
        first: usize,
    },
    Device(Tensor),
}

/// Numbers on the CPU, row-major.
#[derive(Clone)]
pub(crate) enum Data {
    /// Bytes of a file, mapped or read, aligned for the type.
    FileF32(Bytes, Range<usize>),
    FileBf16(Bytes, Range<usize>),
    F32(Arc<[f32]>),
    Bf16(Arc<[bf16]>),
}

impl Data {
    fn elements(&self, range: Range<usize>) -> Elements<'_> {
        match self {
            Data::FileF32(bytes, at) => {
                Elements::F32(&bytemuck::cast_slice((**bytes).as_ref().get(at.clone()).unwrap_or(&[]))[range])
            }
            Data::FileBf16(bytes, at) => {
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

    pub(crate) fn quantized(weight: Quantized) -> Self {
        let (rows, cols) = (weight.rows(), weight.cols());
        Self { place: Place::Quantized { weight: Arc::new(weight), first: 0 }, rows, cols }
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
            Place::Quantized { weight, first } => {
                Place::Quantized { weight: weight.clone(), first: first + range.start }
            }
            Place::Device(tensor) => Place::Device(tensor.narrow(0, range.start, range.len())?),
        };
        Ok(Self { place, rows: range.len(), cols: self.cols })
    }

    /// The transposed weight `[cols, rows]`, copied, in the same type; a quantised weight becomes `f32`, since its blocks
    /// lie along its rows.
    pub fn transposed(&self) -> Result<Self> {
        let data = match (&self.place, self.matrix().map(|matrix| matrix.elements())) {
            (Place::Device(tensor), _) => {
                let place = Place::Device(tensor.t()?.contiguous()?);
                return Ok(Self { place, rows: self.cols, cols: self.rows });
            }
            (_, Some(Elements::Bf16(values))) => Data::Bf16(transpose(values, self.rows, self.cols).into()),
            (_, Some(Elements::F32(values))) => Data::F32(transpose(values, self.rows, self.cols).into()),
            (_, None) => {
                let mut values = vec![0.0; self.rows * self.cols];
                for (row, values) in values.chunks_exact_mut(self.cols.max(1)).enumerate() {
                    self.read_row(row, values);
                }
                Data::F32(transpose(&values, self.rows, self.cols).into())
            }
        };
        Ok(Self::host(data, self.cols, self.rows))
    }

    /// The numbers on the CPU, or `None` where they are quantised or on a device.
    pub fn matrix(&self) -> Option<Matrix<'_>> {
        match &self.place {
            Place::Host { data, first } => {
                let elements = data.elements(first * self.cols..(first + self.rows) * self.cols);
                Some(Matrix::new(elements, self.rows, self.cols))
            }
            Place::Quantized { .. } | Place::Device(_) => None,
        }
    }

    /// The format that the weight is quantised to, if it is.
    pub fn format(&self) -> Option<Format> {
        match &self.place {
            Place::Quantized { weight, .. } => Some(weight.format()),
            Place::Host { .. } | Place::Device(_) => None,
        }
    }

    /// One row of a weight on the CPU, as `f32`; nothing on a device.
    ///
    /// # Panics
    /// If there is no such row, or `values` is not [`Self::cols`] long.
    pub(crate) fn read_row(&self, row: usize, values: &mut [f32]) {
        if let Place::Quantized { weight, first } = &self.place {
            return weight.dequantize_row(first + row, values);
        }
        let range = row * self.cols..(row + 1) * self.cols;
        match self.matrix().map(|matrix| matrix.elements()) {
            Some(Elements::F32(all)) => values.copy_from_slice(&all[range]),
            Some(Elements::Bf16(all)) => values.iter_mut().zip(&all[range]).for_each(|(to, from)| *to = from.to_f32()),
            None => {}
        }
    }

    /// `y = residual + activation(x · selfᵀ + bias)` on the CPU, row-major: `x` is `[.., cols]`, `y` `[.., rows]`. Does nothing
    /// on a device.
    pub(crate) fn multiply(&self, x: &[f32], then: Epilogue<'_>, y: &mut [f32]) {
        let cpu = Cpu::detect();
        match (&self.place, self.matrix()) {
            (Place::Quantized { weight, first }, _) => {
                linear_quantized(cpu, x, weight, *first..first + self.rows, then, y);
            }
            (_, Some(matrix)) => seekvl_kernels::linear_then(cpu, x, matrix, then, y),
            (_, None) => {}
        }
    }

    /// The device tensor `[rows, cols]`, or `None` on the CPU.
    pub(crate) fn tensor(&self) -> Option<&Tensor> {
        match &self.place {
            Place::Host { .. } | Place::Quantized { .. } => None,
            Place::Device(tensor) => Some(tensor),
        }
    }

    /// `x · selfᵀ + bias`: `x` is `[.., cols]`, the result `[.., rows]`; `bias` is `[rows]`.
    pub fn apply(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let Some(weight) = self.tensor() else {
            return host::with_slice_of(bias, |bias| {
                let then = Epilogue { bias, ..Epilogue::default() };
                host::map_rows(x, self.rows, |x, y| self.multiply(x, then, y))
            })?;
        };
        let y = x.broadcast_matmul(&weight.t()?)?;
        Ok(match bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }

    /// How products with it are computed on a CPU.
    pub fn arithmetic(&self) -> Arithmetic {
        match (&self.place, self.dtype()) {
            (Place::Quantized { .. }, _) => Arithmetic::Int8,
            (_, DType::BF16) => Arithmetic::Bf16,
            _ => Arithmetic::F32,
        }
    }

    /// Bytes that its numbers take.
    pub fn bytes(&self) -> usize {
        match &self.place {
            Place::Quantized { weight, .. } => weight.bytes() / weight.rows().max(1) * self.rows,
            Place::Host { .. } | Place::Device(_) => self.rows * self.cols * self.dtype().size_in_bytes(),
        }
    }

    /// The type that the numbers are kept in; for quantised weights `F32`, which they stand for.
    pub fn dtype(&self) -> DType {
        match &self.place {
            Place::Host { data: Data::FileF32(..) | Data::F32(_), .. } | Place::Quantized { .. } => DType::F32,
            Place::Host { data: Data::FileBf16(..) | Data::Bf16(_), .. } => DType::BF16,
            Place::Device(tensor) => tensor.dtype(),
        }
    }
}

fn transpose<T: Copy>(values: &[T], rows: usize, cols: usize) -> Vec<T> {
    (0..cols).flat_map(|col| (0..rows).map(move |row| values[row * cols + col])).collect()
}
