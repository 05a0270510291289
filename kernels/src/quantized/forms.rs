//! How quantised weights are packed for the products.
//!
//! A panel is sixteen outputs, all their inputs, in one piece, so that a thread that multiplies one row by some panels
//! reads one sequential stream. It is cut along the inputs into *chunks* of 32, and chunks into eight *steps* of four:
//! the codes of a step are 64 bytes, four neighbouring inputs of the first output, then of the second, as
//! [`Lanes::dot`] takes them. Codes narrower than a byte share bytes between steps, never between outputs, so that a
//! shift and a mask unpack sixteen outputs at once.
//!
//! | form | a chunk of 16 outputs | bits a weight |
//! | --- | --- | --- |
//! | Q8_0 | 16 f16 scales, 8 steps of bytes | 8.5 |
//! | Q4_0 | 16 f16 scales, 4 vectors of nibbles: low for steps 0 to 3, high for 4 to 7 | 4.5 |
//! | Q5_0 | the same, and a vector of fifth bits, bit `j` for step `j` | 5.5 |
//! | Q5_1 | 16 f16 scales and as many minima, the rest as Q5_0 | 6 |
//! | Q4_K | 16 scales and 16 minima of a byte each, nibbles; `d` and `dmin` ahead of eight chunks | 4.625 |
//! | Q5_K | the same, and a vector of fifth bits | 5.625 |
//! | Q6_K | 2 × 16 scales, nibbles, 2 vectors of high pairs of bits; `d` ahead of eight chunks | 6.5625 |
//!
//! Nothing is rounded anew in packing: the two levels of scales of the K formats are kept, since a common form with one
//! f16 scale and minimum for 32 weights would take 5 bits a weight instead of 4.625, and round. With many rows the
//! unpacking is done once for all, into [`Unpacked`](super::unpacked::Unpacked), so that one kernel serves every format at the speed of bytes.
//!
//! Inputs that are no multiple of 32 are filled up with weights of 0, and a K format's last 256 may be cut short after
//! any chunk. So every format takes every number of inputs, which GGUF's own rows do not.

use super::blocks::{Affine, Block, Q4_0, Q5_0, Q5_1, Q6K, Q8_0};
use super::lanes::Lanes;
use half::f16;

/// Outputs of a panel.
pub(super) const PANEL: usize = 16;
/// Weights of an output in a chunk, and the steps that they make.
pub(super) const CHUNK: usize = 32;
pub(super) const STEPS: usize = 8;
/// Bytes of a step, or of a vector of narrower codes.
pub(super) const VECTOR: usize = 64;

/// The bytes of a chunk of some panels, and which of them is meant. Packed panels come alone.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) panel: usize,
    pub(super) panels: usize,
}

impl<'a> Chunk<'a> {
    pub(super) fn alone(bytes: &'a [u8]) -> Self {
        Self { bytes, panel: 0, panels: 1 }
    }
}

/// A packed form. A header's bytes begin with it.
pub(super) trait Form: Send + Sync {
    /// The code that stands for 0.
    const ZERO: i32;
    /// Scales of an output in a chunk: 1 or 2.
    const RUNS: usize;
    /// Whether a minimum is subtracted.
    const MINS: bool;
    /// Chunks that share a header, and a scale of the activations.
    const GROUP: usize;
    /// Bytes of a header and of a chunk.
    const HEADER: usize;
    const BYTES: usize;

    /// A header's numbers.
    type Header<L: Lanes>: Copy;

    fn header<L: Lanes>(l: L, bytes: &[u8]) -> Self::Header<L>;
    fn scale<L: Lanes>(l: L, header: Self::Header<L>, chunk: Chunk<'_>, run: usize) -> L::Floats;
    /// Only where [`Self::MINS`].
    fn min<L: Lanes>(l: L, header: Self::Header<L>, chunk: Chunk<'_>) -> L::Floats;
    fn step<L: Lanes>(l: L, chunk: Chunk<'_>, step: usize) -> L::Bytes;
}

/// A form that is made of blocks of a format.
pub(super) trait Packed: Form {
    type Block: Block;

    /// Packs a block of each output; `dst` ends with the last chunk that is wanted.
    fn pack(blocks: &[Self::Block; PANEL], dst: &mut [u8]);
}

/// Bytes of a panel (or `panels` interleaved ones) of some chunks.
pub(super) const fn panel_bytes<F: Form>(chunks: usize, panels: usize) -> usize {
    panels * (chunks.div_ceil(F::GROUP) * F::HEADER + chunks * F::BYTES)
}

/// A vector at a place.
#[inline(always)]
pub(super) fn vector<L: Lanes>(l: L, bytes: &[u8], at: usize) -> L::Bytes {
    l.load_bytes(array(bytes, at))
}

#[inline(always)]
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    let Some(array) = bytes[at..].first_chunk() else { panic!("a panel is cut short") };
    array
}

/// A nibble of each code: steps 0 to 3 are in the low halves of four vectors, 4 to 7 in the high ones.
#[inline(always)]
fn nibbles<L: Lanes>(l: L, bytes: &[u8], at: usize, step: usize) -> L::Bytes {
    l.field(vector(l, bytes, at + step % 4 * VECTOR), if step < 4 { 0 } else { 4 }, 15)
}

/// The fifth bit of each code, above the nibble.
#[inline(always)]
fn fifths<L: Lanes>(l: L, bytes: &[u8], at: usize, step: usize) -> L::Bytes {
    l.field(vector(l, bytes, at), step as i32 - 4, 16)
}

/// Fills `dst` with bytes made of each output's codes: `byte(output, vector, i)`, `i` being 0 to 3.
fn fill(dst: &mut [u8], byte: impl Fn(usize, usize, usize) -> u8) {
    for (index, vector) in dst.chunks_exact_mut(VECTOR).enumerate() {
        for (output, quad) in vector.chunks_exact_mut(4).enumerate() {
            for (i, dst) in quad.iter_mut().enumerate() {
                *dst = byte(output, index, i);
            }
        }
    }
}

/// Fills four vectors with the low nibbles of `code(output, step, i)`, and a fifth, if there is room, with its fifth bits.
fn fill_codes(dst: &mut [u8], code: impl Fn(usize, usize, usize) -> u8) {
    let (low, high) = dst.split_at_mut(4 * VECTOR);
    fill(low, |output, at, i| code(output, at, i) & 15 | code(output, at + 4, i) << 4);
    fill(high, |output, _, i| (0..STEPS).fold(0, |bits, step| bits | (code(output, step, i) >> 4 & 1) << step));
}

/// Writes an f16 of each output.
fn fill_halves(dst: &mut [u8], half: impl Fn(usize) -> f16) {
    for (output, dst) in dst.chunks_exact_mut(2).enumerate() {
        dst.copy_from_slice(&half(output).to_le_bytes());
    }
}

/// Q8_0.
pub(super) struct Bytes;

impl Form for Bytes {
    const ZERO: i32 = 128;
    const RUNS: usize = 1;
    const MINS: bool = false;
    const GROUP: usize = super::GROUP;
    const HEADER: usize = 0;
    const BYTES: usize = 2 * PANEL + STEPS * VECTOR;

    type Header<L: Lanes> = ();

    #[inline(always)]
    fn header<L: Lanes>(_: L, _: &[u8]) {}

    #[inline(always)]
    fn scale<L: Lanes>(l: L, (): (), chunk: Chunk<'_>, _: usize) -> L::Floats {
        l.halves(array(chunk.bytes, 0))
    }

    #[inline(always)]
    fn min<L: Lanes>(l: L, (): (), _: Chunk<'_>) -> L::Floats {
        l.splat(0.0)
    }

    #[inline(always)]
    fn step<L: Lanes>(l: L, chunk: Chunk<'_>, step: usize) -> L::Bytes {
        vector(l, chunk.bytes, 2 * PANEL + step * VECTOR)
    }
}

impl Packed for Bytes {
    type Block = Q8_0;

    fn pack(blocks: &[Q8_0; PANEL], dst: &mut [u8]) {
        let (scales, codes) = dst.split_at_mut(2 * PANEL);
        fill_halves(scales, |output| blocks[output].d);
        fill(codes, |output, step, i| blocks[output].q[4 * step + i] as u8 ^ 0x80);
    }
}

/// Q4_0.
pub(super) struct Nibbles;

impl Form for Nibbles {
    const ZERO: i32 = 8;
    const RUNS: usize = 1;
    const MINS: bool = false;
    const GROUP: usize = super::GROUP;
    const HEADER: usize = 0;
    const BYTES: usize = 2 * PANEL + 4 * VECTOR;

    type Header<L: Lanes> = ();

    #[inline(always)]
    fn header<L: Lanes>(_: L, _: &[u8]) {}

    #[inline(always)]
    fn scale<L: Lanes>(l: L, (): (), chunk: Chunk<'_>, _: usize) -> L::Floats {
        l.halves(array(chunk.bytes, 0))
    }

    #[inline(always)]
    fn min<L: Lanes>(l: L, (): (), _: Chunk<'_>) -> L::Floats {
        l.splat(0.0)
    }

    #[inline(always)]
    fn step<L: Lanes>(l: L, chunk: Chunk<'_>, step: usize) -> L::Bytes {
        nibbles(l, chunk.bytes, 2 * PANEL, step)
    }
}

impl Packed for Nibbles {
    type Block = Q4_0;

    fn pack(blocks: &[Q4_0; PANEL], dst: &mut [u8]) {
        let (scales, codes) = dst.split_at_mut(2 * PANEL);
        fill_halves(scales, |output| blocks[output].d);
        fill_codes(codes, |output, step, i| blocks[output].q[4 * step + i]);
    }
}

/// Q5_0, and with a minimum Q5_1.
pub(super) struct Fives<const MIN: bool>;

impl<const MIN: bool> Fives<MIN> {
    const NIBBLES: usize = 2 * PANEL * (1 + MIN as usize);
    const FIFTHS: usize = Self::NIBBLES + 4 * VECTOR;
}

impl<const MIN: bool> Form for Fives<MIN> {
    const ZERO: i32 = if MIN { 0 } else { 16 };
    const RUNS: usize = 1;
    const MINS: bool = MIN;
    const GROUP: usize = super::GROUP;
    const HEADER: usize = 0;
    const BYTES: usize = Self::FIFTHS + VECTOR;

    type Header<L: Lanes> = ();

    #[inline(always)]
    fn header<L: Lanes>(_: L, _: &[u8]) {}

    #[inline(always)]
    fn scale<L: Lanes>(l: L, (): (), chunk: Chunk<'_>, _: usize) -> L::Floats {
        l.halves(array(chunk.bytes, 0))
    }

    /// The format adds its minimum.
    #[inline(always)]
    fn min<L: Lanes>(l: L, (): (), chunk: Chunk<'_>) -> L::Floats {
        l.sub(l.splat(0.0), l.halves(array(chunk.bytes, 2 * PANEL)))
    }

    #[inline(always)]
    fn step<L: Lanes>(l: L, chunk: Chunk<'_>, step: usize) -> L::Bytes {
        l.or(nibbles(l, chunk.bytes, Self::NIBBLES, step), fifths(l, chunk.bytes, Self::FIFTHS, step))
    }
}

impl Packed for Fives<false> {
    type Block = Q5_0;

    fn pack(blocks: &[Q5_0; PANEL], dst: &mut [u8]) {
        let (scales, codes) = dst.split_at_mut(Self::NIBBLES);
        fill_halves(scales, |output| blocks[output].d);
        fill_codes(codes, |output, step, i| blocks[output].q[4 * step + i]);
    }
}

impl Packed for Fives<true> {
    type Block = Q5_1;

    fn pack(blocks: &[Q5_1; PANEL], dst: &mut [u8]) {
        let (numbers, codes) = dst.split_at_mut(Self::NIBBLES);
        let (scales, mins) = numbers.split_at_mut(2 * PANEL);
        fill_halves(scales, |output| blocks[output].d);
        fill_halves(mins, |output| blocks[output].m);
        fill_codes(codes, |output, step, i| blocks[output].q[4 * step + i]);
    }
}

/// Q4_K and Q5_K.
pub(super) struct AffineForm<const BITS: u32>;

impl<const BITS: u32> AffineForm<BITS> {
    const NIBBLES: usize = 2 * PANEL;
    const FIFTHS: usize = Self::NIBBLES + 4 * VECTOR;
}

impl<const BITS: u32> Form for AffineForm<BITS> {
    const ZERO: i32 = 0;
    const RUNS: usize = 1;
    const MINS: bool = true;
    const GROUP: usize = 8;
    const HEADER: usize = 4 * PANEL;
    const BYTES: usize = Self::FIFTHS + if BITS == 5 { VECTOR } else { 0 };

    type Header<L: Lanes> = (L::Floats, L::Floats);

    #[inline(always)]
    fn header<L: Lanes>(l: L, bytes: &[u8]) -> Self::Header<L> {
        (l.halves(array(bytes, 0)), l.halves(array(bytes, 2 * PANEL)))
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: Self::Header<L>, chunk: Chunk<'_>, _: usize) -> L::Floats {
        l.mul(header.0, l.unsigned(array(chunk.bytes, 0)))
    }

    #[inline(always)]
    fn min<L: Lanes>(l: L, header: Self::Header<L>, chunk: Chunk<'_>) -> L::Floats {
        l.mul(header.1, l.unsigned(array(chunk.bytes, PANEL)))
    }

    #[inline(always)]
    fn step<L: Lanes>(l: L, chunk: Chunk<'_>, step: usize) -> L::Bytes {
        let low = nibbles(l, chunk.bytes, Self::NIBBLES, step);
        if BITS == 4 {
            return low;
        }
        l.or(low, fifths(l, chunk.bytes, Self::FIFTHS, step))
    }
}

impl<const BITS: u32> Packed for AffineForm<BITS> {
    type Block = Affine<BITS>;

    fn pack(blocks: &[Affine<BITS>; PANEL], dst: &mut [u8]) {
        let (header, chunks) = dst.split_at_mut(Self::HEADER);
        fill_halves(&mut header[..2 * PANEL], |output| blocks[output].d);
        fill_halves(&mut header[2 * PANEL..], |output| blocks[output].dmin);
        for (run, chunk) in chunks.chunks_exact_mut(Self::BYTES).enumerate() {
            for (output, block) in blocks.iter().enumerate() {
                chunk[output] = block.scales[run];
                chunk[PANEL + output] = block.mins[run];
            }
            let codes = &mut chunk[Self::NIBBLES..];
            fill_codes(codes, |output, step, i| blocks[output].q[run * CHUNK + 4 * step + i]);
        }
    }
}

/// Q6_K.
pub(super) struct Sixes;

impl Sixes {
    const NIBBLES: usize = 2 * PANEL;
    const PAIRS: usize = Self::NIBBLES + 4 * VECTOR;
}

impl Form for Sixes {
    const ZERO: i32 = 32;
    const RUNS: usize = 2;
    const MINS: bool = false;
    const GROUP: usize = 8;
    const HEADER: usize = 2 * PANEL;
    const BYTES: usize = Self::PAIRS + 2 * VECTOR;

    type Header<L: Lanes> = L::Floats;

    #[inline(always)]
    fn header<L: Lanes>(l: L, bytes: &[u8]) -> Self::Header<L> {
        l.halves(array(bytes, 0))
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: Self::Header<L>, chunk: Chunk<'_>, run: usize) -> L::Floats {
        l.mul(header, l.signed(array(chunk.bytes, run * PANEL)))
    }

    #[inline(always)]
    fn min<L: Lanes>(l: L, _: Self::Header<L>, _: Chunk<'_>) -> L::Floats {
        l.splat(0.0)
    }

    #[inline(always)]
    fn step<L: Lanes>(l: L, chunk: Chunk<'_>, step: usize) -> L::Bytes {
        let pairs = vector(l, chunk.bytes, Self::PAIRS + step / 4 * VECTOR);
        let high = l.field(pairs, 2 * (step % 4) as i32 - 4, 0x30);
        l.or(nibbles(l, chunk.bytes, Self::NIBBLES, step), high)
    }
}

impl Packed for Sixes {
    type Block = Q6K;

    fn pack(blocks: &[Q6K; PANEL], dst: &mut [u8]) {
        let (header, chunks) = dst.split_at_mut(Self::HEADER);
        fill_halves(header, |output| blocks[output].d);
        for (index, chunk) in chunks.chunks_exact_mut(Self::BYTES).enumerate() {
            for (output, block) in blocks.iter().enumerate() {
                chunk[output] = block.scales[2 * index] as u8;
                chunk[PANEL + output] = block.scales[2 * index + 1] as u8;
            }
            let code = |output: usize, step: usize, i: usize| blocks[output].q[index * CHUNK + 4 * step + i];
            let (low, high) = chunk.split_at_mut(Self::PAIRS);
            fill(&mut low[Self::NIBBLES..], |output, at, i| code(output, at, i) & 15 | code(output, at + 4, i) << 4);
            fill(high, |output, at, i| (0..4).fold(0, |bits, s| bits | code(output, 4 * at + s, i) >> 4 << (2 * s)));
        }
    }
}
