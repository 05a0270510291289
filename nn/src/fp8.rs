//! Weights of 8 bits with a scale for each block, as DeepSeek-V3 is published (`quantization_config.quant_method` `fp8`).
//!
//! There is no kernel for them yet: a matrix is made bf16 (or f32) row by row when it is loaded, and takes twice (or
//! four times) the memory of its file from then on.

use std::sync::LazyLock;

/// Rows and columns of the blocks that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize {
    /// Rows of a block.
    pub rows: usize,
    /// Columns of a block.
    pub cols: usize,
}

impl BlockSize {
    /// The shape of the scales of a matrix `[rows, cols]`: one for each block, those cut off at the edges included.
    pub fn scales(self, rows: usize, cols: usize) -> [usize; 2] {
        [rows.div_ceil(self.rows), cols.div_ceil(self.cols)]
    }

    /// Row `row` of a matrix: its bytes times the scales of their blocks, of which `scales` holds the whole matrix's,
    /// row-major (`weight_dequant` of DeepSeek-V3's `kernel.py`).
    pub(crate) fn dequantize_row(self, row: usize, e4m3: &[u8], scales: &[f32], values: &mut [f32]) {
        let blocks = e4m3.len().div_ceil(self.cols);
        let scales = &scales[row / self.rows * blocks..][..blocks];
        let blocks = e4m3.chunks(self.cols).zip(values.chunks_mut(self.cols));
        for ((bytes, values), scale) in blocks.zip(scales) {
            values.iter_mut().zip(bytes).for_each(|(number, &byte)| *number = VALUES[usize::from(byte)] * scale);
        }
    }
}

/// What each byte means.
static VALUES: LazyLock<[f32; 256]> = LazyLock::new(|| std::array::from_fn(|byte| value(byte as u8)));

/// What a byte means: a sign, 4 bits of exponent with bias 7, 3 bits of mantissa. There are no infinities; all ones is not
/// a number (Micikevicius et al. 2022, "FP8 formats for deep learning").
fn value(byte: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 0xf), f32::from(byte & 7));
    let magnitude = match (exponent, byte & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa / 8.0 * 2f32.powi(-6),
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    };
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_mean_what_the_paper_says() {
        let cases = [
            (0x00, 0.0),
            (0x01, 0.001953125),
            (0x07, 0.013671875),
            (0x08, 0.015625),
            (0x38, 1.0),
            (0x39, 1.125),
            (0x7e, 448.0),
            (0xb8, -1.0),
            (0xfe, -448.0),
        ];
        for (byte, expected) in cases {
            assert_eq!(value(byte), expected, "{byte:#x}");
        }
        assert!(value(0x7f).is_nan() && value(0xff).is_nan());
        assert!(value(0x80) == 0.0 && value(0x80).is_sign_negative());
        assert_eq!((0..=255).filter(|&byte| value(byte).is_nan()).count(), 2);
        assert!((0..0x7e).all(|byte| value(byte) < value(byte + 1)));
    }

    #[test]
    fn blocks_at_the_edges_have_scales_of_their_own() {
        let block = BlockSize { rows: 2, cols: 3 };
        assert_eq!(block.scales(3, 7), [2, 3]);
        assert_eq!(BlockSize { rows: 128, cols: 128 }.scales(128, 129), [1, 2]);
        let row = |row| {
            let mut values = [0.; 7];
            block.dequantize_row(row, &[0x38; 7], &[1., 2., 3., 4., 5., 6.], &mut values);
            values
        };
        assert_eq!(row(1), [1., 1., 1., 2., 2., 2., 3.]);
        assert_eq!(row(2), [4., 4., 4., 5., 5., 5., 6.]);
    }
}
