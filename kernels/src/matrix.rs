//! Weights as the kernels see them.

use half::bf16;

/// Row-major numbers of one of the types that weights come in.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// bfloat16.
    Bf16(&'a [bf16]),
}

/// A weight `[rows, cols]` = `[outputs, inputs]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    elements: Elements<'a>,
    rows: usize,
    cols: usize,
}

impl<'a> Matrix<'a> {
    /// A view of `elements` as `[rows, cols]`.
    ///
    /// # Panics
    /// If there are not exactly `rows * cols` elements.
    pub fn new(elements: Elements<'a>, rows: usize, cols: usize) -> Self {
        let len = match elements {
            Elements::F32(values) => values.len(),
            Elements::Bf16(values) => values.len(),
        };
        assert_eq!(len, rows * cols, "{rows}x{cols} weight");
        Self { elements, rows, cols }
    }

    /// The numbers, row after row.
    pub fn elements(&self) -> Elements<'a> {
        self.elements
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }
}
