//! The block formats of GGUF, bit by bit.
//!
//! A block holds the codes of neighbouring weights of a row, and what turns codes into numbers. All are little-endian
//! and have no padding; the layouts are those of GGUF's specification and of its reference in numpy, `gguf.quants`.
//!
//! | format | weights | bytes | bits a weight | a weight is |
//! | --- | --- | --- | --- | --- |
//! | Q8_0 | 32 | 34 | 8.5 | `d · q`, q in -128..=127 |
//! | Q4_0 | 32 | 18 | 4.5 | `d · (q - 8)`, q in 0..=15 |
//! | Q5_0 | 32 | 22 | 5.5 | `d · (q - 16)`, q in 0..=31 |
//! | Q5_1 | 32 | 24 | 6 | `d · q + m`, q in 0..=31 |
//! | Q4_K | 256 | 144 | 4.5 | `d · scale · q - dmin · min`, scale and min of 6 bits for each 32, q in 0..=15 |
//! | Q5_K | 256 | 176 | 5.5 | the same, q in 0..=31 |
//! | Q6_K | 256 | 210 | 6.5625 | `d · scale · (q - 32)`, scale of 8 bits for each 16, q in 0..=63 |
//!
//! `d`, `m` and `dmin` are f16. The formulas are computed in f32, from left to right. Files have Q5_0 and Q5_1 where rows are
//! no multiples of 256.

mod fit;
mod five;
mod k;
mod rows;
mod small;

pub use five::{Q5_0, Q5_1};
pub use k::{Affine, Q4K, Q5K, Q6K};
pub use rows::quantize_rows;
pub use small::{Q4_0, Q8_0};

use super::lanes::Lanes;

/// A block of a row's weights.
pub trait Block: Sized + Clone {
    /// Weights in a block.
    const VALUES: usize;
    /// Bytes of a block in a file.
    const BYTES: usize;

    /// A block of weights that are 0.
    fn zero() -> Self;

    /// The block that these bytes are.
    ///
    /// # Panics
    /// If there are not [`Self::BYTES`].
    fn read(bytes: &[u8]) -> Self;

    /// The bytes of the block.
    ///
    /// # Panics
    /// If there is not room for [`Self::BYTES`].
    fn write(&self, bytes: &mut [u8]);

    /// The weights.
    ///
    /// # Panics
    /// If there is not room for [`Self::VALUES`].
    fn dequantize(&self, values: &mut [f32]);
}

/// A format that weights can be rounded to.
///
/// If a weight is not finite, nor is any of its block's after rounding, so that a damaged checkpoint is not made whole.
pub trait Quantize: Block {
    /// The block next to these weights.
    ///
    /// # Panics
    /// If there are not [`Block::VALUES`].
    fn quantize(values: &[f32]) -> Self;
}

/// [`Quantize`] for many blocks, compiled for the processor's vectors.
pub(super) trait QuantizeEach: Quantize {
    /// What [`Quantize::quantize`] gives for each block; the first weights of two blocks are `stride` from each other.
    /// Implementations carry `#[inline(always)]`.
    #[inline(always)]
    fn quantize_each<L: Lanes>(_: L, values: &[f32], stride: usize, blocks: &mut [Self]) {
        for (index, block) in blocks.iter_mut().enumerate() {
            *block = Self::quantize(&values[index * stride..][..Self::VALUES]);
        }
    }
}
