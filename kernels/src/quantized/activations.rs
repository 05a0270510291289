//! Activations, rounded to 8 bits row by row.

use super::forms::{CHUNK, Form, STEPS};
use super::lanes::{Kernel, Lanes};
use std::array::from_fn;
use std::marker::PhantomData;
use std::ops::Range;

/// How a row lies in memory, in words of 32 bits: the quads of four activations, for each run of each chunk the sum that
/// its dot products begin with, for forms with minima the sum of each chunk, the scale of each group.
pub(super) struct Layout<L, F> {
    /// Chunks of a row, the last one filled up with zeros.
    pub(super) chunks: usize,
    kinds: PhantomData<(L, F)>,
}

// Not derived, which would ask for forms to be `Copy`.
impl<L, F> Clone for Layout<L, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, F> Copy for Layout<L, F> {}

impl<L: Lanes, F: Form> Layout<L, F> {
    pub(super) fn new(chunks: usize) -> Self {
        Self { chunks, kinds: PhantomData }
    }

    /// Words of a row.
    #[inline(always)]
    pub(super) fn words(self) -> usize {
        self.scales() + self.chunks.div_ceil(F::GROUP)
    }

    /// Where the quad of a step is.
    #[inline(always)]
    pub(super) fn quad(self, chunk: usize, step: usize) -> usize {
        (chunk * STEPS + step) * L::WORDS
    }

    /// Where the dot products of a chunk's runs begin.
    #[inline(always)]
    pub(super) fn start(self, chunk: usize) -> usize {
        self.chunks * STEPS * L::WORDS + chunk * F::RUNS
    }

    /// Where the sums of chunks are.
    #[inline(always)]
    pub(super) fn sums(self) -> usize {
        self.start(self.chunks)
    }

    /// Where the scales of groups are.
    #[inline(always)]
    pub(super) fn scales(self) -> usize {
        self.sums() + if F::MINS { self.chunks } else { 0 }
    }

    /// The chunks of a group.
    #[inline(always)]
    pub(super) fn group(self, group: usize) -> Range<usize> {
        group * F::GROUP..self.chunks.min((group + 1) * F::GROUP)
    }
}

/// Rounds rows of `k` activations. In each group the largest magnitude becomes 127, and the others are rounded to
/// nearest, ties to even: an error of at most 1/254 of the largest. A group with NaN or an infinity gets the scale NaN,
/// so that it shows in the row's every output; magnitudes below 2^-119 count as 0.
pub(super) struct RoundRows<'a, F> {
    pub(super) x: &'a [f32],
    pub(super) k: usize,
    pub(super) rounded: &'a mut [u32],
    pub(super) form: PhantomData<F>,
}

impl<F: Form> Kernel for RoundRows<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let layout = Layout::<L, F>::new(self.k.div_ceil(CHUNK));
        for (x, row) in self.x.chunks_exact(self.k).zip(self.rounded.chunks_exact_mut(layout.words())) {
            for (group, x) in x.chunks(F::GROUP * CHUNK).enumerate() {
                let (scale, inverse) = scale(x);
                row[layout.scales() + group] = scale.to_bits();
                for (chunk, x) in layout.group(group).zip(x.chunks(CHUNK)) {
                    round_chunk(l, layout, x, inverse, chunk, row);
                }
            }
        }
    }
}

/// What a group's codes are to be multiplied by, and its activations.
#[inline(always)]
fn scale(x: &[f32]) -> (f32, f32) {
    // Without their signs, floats are ordered as integers are, infinity and NaN last.
    let largest = x.iter().fold(0, |largest, x| largest.max((x.to_bits() & 0x7fff_ffff) as i32));
    let largest = f32::from_bits(largest as u32);
    if !largest.is_finite() {
        return (f32::NAN, 0.0);
    }
    let inverse = 127.0 / largest;
    if largest < 2f32.powi(-119) { (0.0, 0.0) } else { (largest / 127.0, inverse) }
}

#[inline(always)]
fn round_chunk<L: Lanes, F: Form>(l: L, layout: Layout<L, F>, x: &[f32], inverse: f32, chunk: usize, row: &mut [u32]) {
    /// Next to it, floats are one apart.
    const ONES: f32 = 12_582_912.0;
    // All loops are over whole chunks, so that they vectorise.
    let mut whole = [0.0; CHUNK];
    let x = x.first_chunk().unwrap_or_else(|| {
        whole[..x.len()].copy_from_slice(x);
        &whole
    });
    // What NaN or an infinity becomes is of no matter, since its group's scale is NaN; but -128, which only they become,
    // has no place in the dot products.
    let code = |x: f32| ((x * inverse + ONES).to_bits() as i32 - ONES.to_bits() as i32).clamp(-127, 127);
    let q: [i32; CHUNK] = from_fn(|i| code(x[i]));
    let mut total = 0;
    for (run, q) in q.chunks_exact(CHUNK / F::RUNS).enumerate() {
        let sum: i32 = q.iter().sum();
        row[layout.start(chunk) + run] = ((L::OFFSET - F::ZERO) * sum) as u32;
        total += sum;
    }
    if F::MINS {
        row[layout.sums() + chunk] = (total as f32).to_bits();
    }
    let bytes: [i8; CHUNK] = from_fn(|i| q[i] as i8);
    let quads = row[layout.quad(chunk, 0)..layout.quad(chunk + 1, 0)].chunks_exact_mut(L::WORDS);
    for (quad, dst) in bytes.as_chunks().0.iter().zip(quads) {
        l.store_quad(*quad, dst);
    }
}
