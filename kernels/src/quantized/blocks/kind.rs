//! A format of blocks as a value, and rows of such blocks.

use super::{Block, Q4_0, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0, QuantizeEach};
use crate::Cpu;
use crate::parallel::{for_each, with_scratch};
use crate::quantized::Format;
use crate::quantized::lanes::{self, Kernel, Lanes};
use std::marker::PhantomData;
use std::sync::Mutex;

/// A format in which files hold quantised weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// One that there are products with.
    Packed(Format),
    /// 5 bits, a scale for 32.
    Q5_0,
    /// 5 bits, a scale and a minimum for 32.
    Q5_1,
}

/// A computation that is written for any kind of block.
trait WithBlock {
    type Out;

    fn run<B: QuantizeEach>(self) -> Self::Out;
}

impl BlockKind {
    fn with<W: WithBlock>(self, with: W) -> W::Out {
        match self {
            Self::Packed(Format::Q8_0) => with.run::<Q8_0>(),
            Self::Packed(Format::Q4_0) => with.run::<Q4_0>(),
            Self::Packed(Format::Q4K) => with.run::<Q4K>(),
            Self::Packed(Format::Q5K) => with.run::<Q5K>(),
            Self::Packed(Format::Q6K) => with.run::<Q6K>(),
            Self::Q5_0 => with.run::<Q5_0>(),
            Self::Q5_1 => with.run::<Q5_1>(),
        }
    }

    /// Weights of a block.
    pub fn values(self) -> usize {
        struct Values;
        impl WithBlock for Values {
            type Out = usize;
            fn run<B: Block>(self) -> usize {
                B::VALUES
            }
        }
        self.with(Values)
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        struct Bytes;
        impl WithBlock for Bytes {
            type Out = usize;
            fn run<B: Block>(self) -> usize {
                B::BYTES
            }
        }
        self.with(Bytes)
    }

    /// Bytes of a row of `cols` weights; `None` if that is no whole number of blocks, or no number.
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        cols.is_multiple_of(self.values()).then_some(cols / self.values())?.checked_mul(self.bytes())
    }

    /// The weights of whole blocks.
    ///
    /// # Panics
    /// If there are not as many of them as bytes make.
    pub fn dequantize(self, bytes: &[u8], values: &mut [f32]) {
        struct Dequantize<'a>(&'a [u8], &'a mut [f32]);
        impl WithBlock for Dequantize<'_> {
            type Out = ();
            fn run<B: Block>(self) {
                for (bytes, values) in self.0.chunks(B::BYTES).zip(self.1.chunks_mut(B::VALUES)) {
                    B::read(bytes).dequantize(values);
                }
            }
        }
        assert_eq!(self.row_bytes(values.len()), Some(bytes.len()), "bytes of {} weights", values.len());
        self.with(Dequantize(bytes, values));
    }

    /// Blocks of Q8_0 that hold the same numbers as these of Q5_0: its codes are among those of 8 bits. `None` for bytes of
    /// another kind.
    pub fn as_q8_0(self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self != Self::Q5_0 || !bytes.len().is_multiple_of(Q5_0::BYTES) {
            return None;
        }
        let mut wide = vec![0; bytes.len() / Q5_0::BYTES * Q8_0::BYTES];
        for (bytes, wide) in bytes.chunks(Q5_0::BYTES).zip(wide.chunks_mut(Q8_0::BYTES)) {
            let Q5_0 { d, q } = Q5_0::read(bytes);
            Q8_0 { d, q: q.map(|code| code as i8 - 16) }.write(wide);
        }
        Some(wide)
    }
}

/// Rounds rows of `cols` weights each to blocks. `fill` writes a row's numbers; it is called once for each, from several
/// threads. The blocks are those that [`Quantized::quantize`](crate::quantized::Quantized::quantize) packs.
///
/// # Panics
/// If rows are no whole blocks, or `bytes` are not those of whole rows.
pub fn quantize_rows(
    cpu: Cpu,
    kind: BlockKind,
    cols: usize,
    fill: impl Fn(usize, &mut [f32]) + Send + Sync,
    bytes: &mut [u8],
) {
    let Some(size) = kind.row_bytes(cols).filter(|size| *size > 0) else {
        panic!("rows of {cols} weights in {kind:?}")
    };
    assert!(bytes.len().is_multiple_of(size), "{} bytes in rows of {size}", bytes.len());
    let rows: Vec<Mutex<&mut [u8]>> = bytes.chunks_mut(size).map(Mutex::new).collect();
    for_each(rows.len(), rows.len() * cols, |row| {
        with_scratch(cols, |values| {
            fill(row, values);
            // Each row is locked once.
            if let Ok(mut bytes) = rows[row].lock() {
                kind.with(QuantizeRow { cpu, values, bytes: &mut bytes });
            }
        });
    });
}

struct QuantizeRow<'a> {
    cpu: Cpu,
    values: &'a [f32],
    bytes: &'a mut [u8],
}

impl WithBlock for QuantizeRow<'_> {
    type Out = ();

    fn run<B: QuantizeEach>(self) {
        lanes::run(self.cpu, QuantizeBlocks::<B> { values: self.values, bytes: self.bytes, block: PhantomData });
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
