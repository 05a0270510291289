//! The rows of a stored matrix as numbers, whatever it is stored as.

use crate::checkpoint::Bytes;
use crate::fp8::BlockSize;
use crate::stored::Widened;
use crate::{Checkpoint, StoredDtype, StoredTensor};
use half::{bf16, f16};
use seekvl_kernels::quantized::Format;
use std::ops::Range;
use std::sync::Arc;

/// The rows of a tensor of a checkpoint. Reading one touches its part of the file alone.
pub struct Rows {
    checkpoint: Arc<Checkpoint>,
    stored: StoredTensor,
    bytes: Bytes,
    range: Range<usize>,
    rows: usize,
    cols: usize,
    elements: Elements,
}

/// How numbers are stored.
pub(crate) enum Elements {
    F32,
    F16,
    Bf16,
    /// With the scales of the whole matrix, row-major.
    Fp8(BlockSize, Vec<f32>),
    Blocks(Format),
    Widened(Widened),
}

impl Rows {
    pub(crate) fn new(
        checkpoint: Arc<Checkpoint>,
        stored: StoredTensor,
        (bytes, range): (Bytes, Range<usize>),
        (rows, cols): (usize, usize),
        elements: Elements,
    ) -> Self {
        Self { checkpoint, stored, bytes, range, rows, cols, elements }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Numbers of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Type of the elements in the file.
    pub(crate) fn dtype(&self) -> StoredDtype {
        self.stored.dtype
    }

    /// What holds the bytes, and where they are in it.
    pub(crate) fn place(&self) -> (Bytes, Range<usize>) {
        (self.bytes.clone(), self.range.clone())
    }

    /// The bytes as they are stored.
    pub(crate) fn stored(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.range.clone()]
    }

    /// Bytes of the file that it takes to read all, scales included.
    pub(crate) fn file_bytes(&self) -> usize {
        let scales = if let Elements::Fp8(_, scales) = &self.elements { size_of_val(&scales[..]) } else { 0 };
        self.range.len() + scales
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row, or `values` is not [`Self::cols`] long.
    pub fn read(&self, row: usize, values: &mut [f32]) {
        fn each<const N: usize>(bytes: &[u8], values: &mut [f32], widen: fn([u8; N]) -> f32) {
            values.iter_mut().zip(bytes.as_chunks().0).for_each(|(value, bytes)| *value = widen(*bytes));
        }
        assert!(row < self.rows && values.len() == self.cols, "row {row} of {} x {}", self.rows, self.cols);
        let stored = self.stored();
        let size = stored.len() / self.rows;
        let bytes = &stored[row * size..][..size];
        match &self.elements {
            Elements::F32 => each(bytes, values, f32::from_le_bytes),
            Elements::F16 => each(bytes, values, |pair| f16::from_le_bytes(pair).to_f32()),
            Elements::Bf16 => each(bytes, values, |pair| bf16::from_le_bytes(pair).to_f32()),
            Elements::Fp8(blocks, scales) => blocks.dequantize_row(row, bytes, scales, values),
            Elements::Blocks(format) => format.dequantize(bytes, values),
            Elements::Widened(blocks) => blocks.dequantize(bytes, values),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.rows * self.cols];
        values.chunks_exact_mut(self.cols.max(1)).enumerate().for_each(|(row, values)| self.read(row, values));
        values
    }

    /// Gives back the pages of a mapped file that reading has taken. Should they be read again, they come again.
    pub fn release(&self) {
        self.checkpoint.release(&self.stored);
    }
}
