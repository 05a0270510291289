//! Rows of blocks, of a format that is a value.

use super::{Block, QuantizeEach};
use crate::Cpu;
use crate::parallel::{for_each, with_scratch};
use crate::quantized::Format;
use crate::quantized::forms::Packed;
use crate::quantized::lanes::{self, Kernel, Lanes};
use crate::quantized::matrix::WithForm;
use std::marker::PhantomData;
use std::sync::Mutex;

impl Format {
    /// Weights of a block.
    pub fn values(self) -> usize {
        struct Values;
        impl WithForm for Values {
            type Out = usize;
            fn run<F: Packed>(self) -> usize {
                F::Block::VALUES
            }
        }
        self.with(Values)
    }

    /// Bytes of a block.
    fn block_bytes(self) -> usize {
        struct Bytes;
        impl WithForm for Bytes {
            type Out = usize;
            fn run<F: Packed>(self) -> usize {
                F::Block::BYTES
            }
        }
        self.with(Bytes)
    }

    /// Bytes of the blocks of `cols` weights; `None` if that is no whole number of blocks, or no number.
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        cols.is_multiple_of(self.values()).then_some(cols / self.values())?.checked_mul(self.block_bytes())
    }

    /// The weights of whole blocks.
    ///
    /// # Panics
    /// If there are not as many of them as bytes make.
    pub fn dequantize(self, bytes: &[u8], values: &mut [f32]) {
        struct Dequantize<'a>(&'a [u8], &'a mut [f32]);
        impl WithForm for Dequantize<'_> {
            type Out = ();
            fn run<F: Packed>(self) {
                for (bytes, values) in self.0.chunks(F::Block::BYTES).zip(self.1.chunks_mut(F::Block::VALUES)) {
                    F::Block::read(bytes).dequantize(values);
                }
            }
        }
        assert_eq!(self.row_bytes(values.len()), Some(bytes.len()), "bytes of {} weights", values.len());
        self.with(Dequantize(bytes, values));
    }
}

/// Rounds rows of `cols` weights each to blocks. `fill` writes a row's numbers; it is called once for each, from several
/// threads. The blocks are those that [`Quantized::quantize`](crate::quantized::Quantized::quantize) packs.
///
/// # Panics
/// If rows are no whole blocks, or `bytes` are not those of whole rows.
pub fn quantize_rows(
    cpu: Cpu,
    format: Format,
    cols: usize,
    fill: impl Fn(usize, &mut [f32]) + Send + Sync,
    bytes: &mut [u8],
) {
    let Some(size) = format.row_bytes(cols).filter(|size| *size > 0) else {
        panic!("rows of {cols} weights in {format:?}")
    };
    assert!(bytes.len().is_multiple_of(size), "{} bytes in rows of {size}", bytes.len());
    let rows: Vec<Mutex<&mut [u8]>> = bytes.chunks_mut(size).map(Mutex::new).collect();
    for_each(rows.len(), rows.len() * cols, |row| {
        with_scratch(cols, |values| {
            fill(row, values);
            // Each row is locked once.
            if let Ok(mut bytes) = rows[row].lock() {
                format.with(QuantizeRow { cpu, values, bytes: &mut bytes });
            }
        });
    });
}

struct QuantizeRow<'a> {
    cpu: Cpu,
    values: &'a [f32],
    bytes: &'a mut [u8],
}

impl WithForm for QuantizeRow<'_> {
    type Out = ();

    fn run<F: Packed<Block: QuantizeEach>>(self) {
        lanes::run(self.cpu, QuantizeBlocks::<F::Block> { values: self.values, bytes: self.bytes, block: PhantomData });
    }
}

/// A kernel, so that it is compiled for the processor's vectors.
struct QuantizeBlocks<'a, B> {
    values: &'a [f32],
    bytes: &'a mut [u8],
    block: PhantomData<B>,
}

impl<B: QuantizeEach> Kernel for QuantizeBlocks<'_, B> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        // As many as fill sixteen lanes.
        let mut blocks = [B::zero(), B::zero()];
        for (values, bytes) in self.values.chunks(2 * B::VALUES).zip(self.bytes.chunks_mut(2 * B::BYTES)) {
            let blocks = &mut blocks[..values.len() / B::VALUES];
            B::quantize_each(l, values, B::VALUES, blocks);
            for (block, bytes) in blocks.iter().zip(bytes.chunks_mut(B::BYTES)) {
                block.write(bytes);
            }
        }
    }
}
