//! Products of few rows: dot products with some rows of the weights after the other, as they lie in memory. Reading the
//! weights is all that takes time, and a sequential stream is what memory is fastest at.

use super::operands::{Output, Typed};
use crate::math::silu;
use crate::round::to_units;
use crate::simd::{Element, Kernel, MAX_LANES, STRANDS, Simd, prefetch};
use std::marker::PhantomData;
use std::ops::Range;

/// The most rows that are taken in this way.
pub(super) const FEW: usize = 8;

/// Bytes of rows that are read side by side, up to which they are asked for ahead, in the order of memory: rows that are longer
/// are streams that the processor finds by itself, and would be gone from the first-level cache when they are needed.
const AHEAD: usize = 24 << 10;

/// Rows as which `rows` count: the fewest that there is code for.
pub(super) const fn filled(rows: usize) -> usize {
    rows.next_power_of_two()
}

/// Makes rows ready: `[units / LANES, filled rows, LANES]`, zeros for the rows that are not there.
pub(super) struct Prepare<'a, E, I> {
    pub x: I,
    pub count: usize,
    /// `[units]`.
    pub row: &'a mut [f32],
    pub out: &'a mut [f32],
    pub element: PhantomData<E>,
}

impl<'x, E: Element, I: Iterator<Item = &'x [f32]>> Kernel for Prepare<'_, E, I> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let filled = filled(self.count);
        if filled > self.count {
            self.out.fill(0.0);
        }
        for (i, x) in self.x.enumerate() {
            to_units::<E>(x, self.row);
            for (out, row) in self.out.chunks_exact_mut(filled * S::LANES).zip(self.row.chunks_exact(S::LANES)) {
                out[i * S::LANES..][..S::LANES].copy_from_slice(row);
            }
        }
    }
}

/// The product of up to [`FEW`] rows with the weights of some outputs.
pub(super) struct Few<'a, E> {
    pub weights: Typed<'a, E>,
    pub k: usize,
    /// As [`Prepare`] leaves them.
    pub x: &'a [f32],
    /// Where the rows are in the output.
    pub rows: Range<usize>,
    /// Begins at a multiple of the vector's width.
    pub outputs: Range<usize>,
    pub output: &'a Output<'a>,
}

impl<E: Element> Kernel for Few<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match filled(self.rows.len()) {
            1 => self.run_rows::<S, 1>(s),
            2 => self.run_rows::<S, 2>(s),
            4 => self.run_rows::<S, 4>(s),
            _ => self.run_rows::<S, FEW>(s),
        }
    }
}

impl<E: Element> Few<'_, E> {
    #[inline(always)]
    fn run_rows<S: Simd, const M: usize>(&self, s: S) {
        for first in self.outputs.clone().step_by(S::LANES) {
            let rows = first * self.k..self.outputs.end.min(first + S::LANES) * self.k;
            let sums = match self.weights {
                Typed::Plain(w) => self.sums::<S, M>(s, &w[rows.clone()], &w[rows.start..]),
                Typed::Gated { gate, up } => {
                    let mut gate = self.sums::<S, M>(s, &gate[rows.clone()], &gate[rows.start..]);
                    let up = self.sums::<S, M>(s, &up[rows.clone()], &up[rows.start..]);
                    for (gate, up) in gate.iter_mut().zip(up) {
                        *gate = s.mul(silu(s, *gate), up);
                    }
                    gate
                }
            };
            for (row, sums) in self.rows.clone().zip(sums) {
                // SAFETY: this task alone has these outputs of these rows.
                unsafe { self.output.put(s, row, first, sums) };
            }
        }
    }

    /// The sums of `M` rows with rows of weights, at most as many as a vector has lanes, where `all` goes on after `w`.
    #[inline(always)]
    fn sums<S: Simd, const M: usize>(&self, s: S, w: &[E], all: &[E]) -> [S::V; M] {
        let mut strands = [[0.0; MAX_LANES * STRANDS]; M];
        let together = S::LANES / STRANDS;
        let is_short = together * self.k * size_of::<E>() <= AHEAD;
        for (group, w) in w.chunks(together * self.k.max(1)).enumerate() {
            let mut sums = [s.splat(0.0); M];
            for (step, x) in self.x.chunks_exact(M * S::LANES).enumerate() {
                let fours = self.fours(s, w, step * S::LANES * E::PER_UNIT);
                if is_short {
                    let next = (group + 1) * together * self.k + step * together * S::LANES * E::PER_UNIT;
                    (0..together).for_each(|line| prefetch(all, next + line * S::LANES * E::PER_UNIT));
                }
                for (i, four) in fours.into_iter().take(together).enumerate() {
                    for (sum, x) in sums.iter_mut().zip(x.chunks_exact(S::LANES)) {
                        *sum = s.dot_units::<E>(s.splat_four(&x[i * STRANDS..]), four, *sum);
                    }
                }
            }
            for (strands, sum) in strands.iter_mut().zip(sums) {
                s.store(sum, &mut strands[group * S::LANES..]);
            }
        }
        let mut sums = [s.splat(0.0); M];
        for (strands, sum) in strands.iter().zip(&mut sums) {
            let mut totals = [0.0; MAX_LANES];
            for (total, [a, b, c, d]) in totals.iter_mut().zip(strands.as_chunks::<STRANDS>().0) {
                *total = a + b + c + d;
            }
            *sum = s.load(&totals);
        }
        sums
    }

    /// Units of some rows of weights from element `from` on, as [`Simd::load_fours`] gives them; 0 beyond the ends.
    #[inline(always)]
    fn fours<S: Simd>(&self, s: S, w: &[E], from: usize) -> [S::V; 4] {
        let (k, together) = (self.k, S::LANES / STRANDS);
        let step = S::LANES * E::PER_UNIT;
        if w.len() == together * k && from + step <= k {
            return s.load_fours(&w[from..], k);
        }
        let mut units = [0.0; MAX_LANES * MAX_LANES / STRANDS];
        for (units, w) in units.chunks_exact_mut(S::LANES).zip(w.chunks_exact(k)) {
            for (unit, elements) in units.iter_mut().zip(w[from..].chunks(E::PER_UNIT)) {
                *unit = E::unit(elements);
            }
        }
        s.load_fours(&units, S::LANES)
    }
}
