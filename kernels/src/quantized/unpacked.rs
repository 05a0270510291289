//! Packed panels made into bytes, for products with many rows.

use super::forms::{Chunk, Form, PANEL, STEPS, VECTOR, array, panel_bytes, vector};
use super::lanes::Lanes;
use std::array::from_fn;
use std::marker::PhantomData;

/// What `F` is unpacked to for many rows: of each chunk the scales, then the minima if it has them, all as f32, and the
/// codes as bytes. Panels that are multiplied together are interleaved by vectors, which are read in their order.
pub(super) struct Unpacked<F>(PhantomData<F>);

impl<F: Form> Unpacked<F> {
    /// Vectors of numbers ahead of the codes.
    const NUMBERS: usize = F::RUNS + F::MINS as usize;

    /// Where a vector of a panel is.
    #[inline(always)]
    fn place(panel: usize, panels: usize, vector: usize) -> usize {
        (vector * panels + panel) * VECTOR
    }

    #[inline(always)]
    fn floats<L: Lanes>(l: L, chunk: Chunk<'_>, vector: usize) -> L::Floats {
        let bytes: &[u8; VECTOR] = array(chunk.bytes, Self::place(chunk.panel, chunk.panels, vector));
        let (words, _) = bytes.as_chunks::<4>();
        l.load(&from_fn(|i| f32::from_ne_bytes(words[i])))
    }
}

impl<F: Form> Form for Unpacked<F> {
    const ZERO: i32 = F::ZERO;
    const RUNS: usize = F::RUNS;
    const MINS: bool = F::MINS;
    const GROUP: usize = F::GROUP;
    const HEADER: usize = 0;
    const BYTES: usize = (Self::NUMBERS + STEPS) * VECTOR;

    type Header<L: Lanes> = ();

    #[inline(always)]
    fn header<L: Lanes>(_: L, _: &[u8]) {}

    #[inline(always)]
    fn scale<L: Lanes>(l: L, (): (), chunk: Chunk<'_>, run: usize) -> L::Floats {
        Self::floats(l, chunk, run)
    }

    #[inline(always)]
    fn min<L: Lanes>(l: L, (): (), chunk: Chunk<'_>) -> L::Floats {
        Self::floats(l, chunk, F::RUNS)
    }

    #[inline(always)]
    fn step<L: Lanes>(l: L, chunk: Chunk<'_>, step: usize) -> L::Bytes {
        vector(l, chunk.bytes, Self::place(chunk.panel, chunk.panels, Self::NUMBERS + step))
    }
}

/// Unpacks panels; each is `chunks` long, and those of `dst` that there are no panels for become 0.
#[inline(always)]
pub(super) fn unpack<L: Lanes, F: Form>(l: L, panels: &[u8], chunks: usize, dst: &mut [u8]) {
    let size = panel_bytes::<F>(chunks, 1);
    if panels.len() < L::PANELS * size {
        dst.fill(0);
    }
    for (panel, bytes) in panels.chunks_exact(size).enumerate() {
        for (chunk, dst) in dst.chunks_exact_mut(L::PANELS * Unpacked::<F>::BYTES).enumerate() {
            let group = chunk / F::GROUP;
            let header = F::header(l, &bytes[group * (F::HEADER + F::GROUP * F::BYTES)..]);
            let at = (group + 1) * F::HEADER + chunk * F::BYTES;
            unpack_chunk::<L, F>(l, header, Chunk::alone(&bytes[at..at + F::BYTES]), panel, dst);
        }
    }
}

#[inline(always)]
fn unpack_chunk<L: Lanes, F: Form>(l: L, header: F::Header<L>, chunk: Chunk<'_>, panel: usize, dst: &mut [u8]) {
    let (dst, _) = dst.as_chunks_mut::<VECTOR>();
    for (vector, dst) in dst.iter_mut().skip(panel).step_by(L::PANELS).enumerate() {
        if let Some(step) = vector.checked_sub(Unpacked::<F>::NUMBERS) {
            l.store_bytes(F::step(l, chunk, step), dst);
            continue;
        }
        let mut lanes = [0.0; PANEL];
        l.store(
            if vector < F::RUNS { F::scale(l, header, chunk, vector) } else { F::min(l, header, chunk) },
            &mut lanes,
        );
        for (dst, x) in dst.chunks_exact_mut(4).zip(lanes) {
            dst.copy_from_slice(&x.to_ne_bytes());
        }
    }
}
