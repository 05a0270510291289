//! Products of many rows: panels of the weights are packed, and tiles of rows pass over them.
//!
//! A packed panel is transposed so that one vector holds a unit of each of its outputs, and a tile of rows so that one
//! number after the other is multiplied with it; all sums of a tile are in registers. Units are packed strand by strand, so
//! that they are summed as in [`few`](super::few).

use super::operands::{Output, Typed};
use crate::math::silu;
use crate::round::to_units;
use crate::simd::{Element, Kernel, MAX_LANES, STRANDS, Simd};
use crate::tile::panel;
use std::marker::PhantomData;
use std::ops::Range;

/// Rows of the tile that is used where `rows` are left.
pub(super) const fn height<S: Simd>(rows: usize) -> usize {
    let step = if S::ROWS.is_multiple_of(3) { S::ROWS / 3 } else { S::ROWS / 2 };
    let height = rows.next_multiple_of(step);
    if height < S::ROWS { height } else { S::ROWS }
}

/// Rows as which `rows` count in tiles.
pub(super) const fn filled<S: Simd>(rows: usize) -> usize {
    let whole = rows / S::ROWS * S::ROWS;
    whole + if whole < rows { height::<S>(rows - whole) } else { 0 }
}

/// Makes the rows of one tile ready: `[strands, units / strands, height]`, zeros for rows that are not there.
pub(super) struct Prepare<'a, E, I> {
    pub x: I,
    pub count: usize,
    /// `[height rounded up to LANES, units]`.
    pub rows: &'a mut [f32],
    pub out: &'a mut [f32],
    pub element: PhantomData<E>,
}

impl<'x, E: Element, I: Iterator<Item = &'x [f32]>> Kernel for Prepare<'_, E, I> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let height = height::<S>(self.count);
        let units = self.out.len() / height;
        for (x, row) in self.x.zip(self.rows.chunks_exact_mut(units.max(1))) {
            to_units::<E>(x, row);
        }
        self.rows[self.count * units..].fill(0.0);
        let mut columns = [0.0; MAX_LANES * MAX_LANES];
        for first in (0..height).step_by(S::LANES) {
            let count = S::LANES.min(height - first);
            for from in (0..units).step_by(S::LANES) {
                s.transpose(&self.rows[first * units + from..], units, &mut columns, S::LANES, STRANDS * S::LANES);
                for (unit, column) in columns.chunks_exact(S::LANES).take(S::LANES).enumerate() {
                    let at = (unit % STRANDS * units / STRANDS + (from + unit) / STRANDS) * height + first;
                    self.out[at..at + count].copy_from_slice(&column[..count]);
                }
            }
        }
    }
}

/// The product of many rows with the weights of a panel.
pub(super) struct Many<'a, E> {
    pub weights: Typed<'a, E>,
    pub n: usize,
    pub k: usize,
    /// Tiles as [`Prepare`] leaves them, one after the other.
    pub x: &'a [f32],
    /// Where the rows are in the output.
    pub rows: Range<usize>,
    /// The panel's first output.
    pub first: usize,
    pub output: &'a Output<'a>,
    /// Room for the packed panel.
    pub packed: &'a mut [f32],
}

impl<E: Element> Kernel for Many<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let units = self.packed.len() / panel::<S>();
        for half in 0..2 {
            let (w, count) = self.weights.half::<S>(half, self.first, self.n, self.k);
            pack::<S, E>(s, w, self.k, count, &mut self.packed[half * S::LANES..], units);
        }
        let mut row = 0;
        while row < self.rows.len() {
            let height = height::<S>(self.rows.len() - row);
            let x = &self.x[row * units..][..height * units];
            match height {
                12 => self.tile::<S, 12>(s, x, row),
                8 => self.tile::<S, 8>(s, x, row),
                6 => self.tile::<S, 6>(s, x, row),
                4 => self.tile::<S, 4>(s, x, row),
                _ => self.tile::<S, 2>(s, x, row),
            }
            row += height;
        }
    }
}

impl<E: Element> Many<'_, E> {
    /// The product of the `R` rows from `row` on with the packed panel.
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&self, s: S, x: &[f32], row: usize) {
        let width = panel::<S>();
        let mut totals = [[s.splat(0.0); 2]; R];
        let strands = (x.len() / STRANDS).max(1);
        for (x, w) in x.chunks_exact(strands).zip(self.packed.chunks_exact(strands / R * width)) {
            let mut sums = [[s.splat(0.0); 2]; R];
            for (x, w) in x.as_chunks::<R>().0.iter().zip(w.chunks_exact(width)) {
                let w = [s.load(w), s.load(&w[S::LANES..])];
                for (sum, x) in sums.iter_mut().zip(x) {
                    let x = s.splat(*x);
                    for (sum, w) in sum.iter_mut().zip(w) {
                        *sum = s.dot_units::<E>(x, w, *sum);
                    }
                }
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = [s.add(total[0], sum[0]), s.add(total[1], sum[1])];
            }
        }
        for (row, [a, b]) in self.rows.clone().skip(row).zip(totals) {
            // SAFETY: this task alone has these outputs of these rows.
            unsafe {
                match self.weights {
                    Typed::Gated { .. } => self.output.put(s, row, self.first, s.mul(silu(s, a), b)),
                    Typed::Plain(_) => {
                        self.output.put(s, row, self.first, a);
                        if self.first + S::LANES < self.n {
                            self.output.put(s, row, self.first + S::LANES, b);
                        }
                    }
                }
            }
        }
    }
}

/// Packs the first `count` rows of `w` into one vector's width of a panel; zeros beyond the ends.
#[inline(always)]
fn pack<S: Simd, E: Element>(s: S, w: &[E], k: usize, count: usize, packed: &mut [f32], units: usize) {
    let width = panel::<S>();
    let (strand, step) = (units / STRANDS * width, S::LANES * E::PER_UNIT);
    for from in (0..k).step_by(step) {
        let packed = &mut packed[from / E::PER_UNIT / STRANDS * width..];
        if count == S::LANES && from + step <= k {
            s.transpose(&w[from..], k, packed, strand, width);
            continue;
        }
        for unit in 0..S::LANES {
            let lanes = &mut packed[unit % STRANDS * strand + unit / STRANDS * width..][..S::LANES];
            let elements = from + unit * E::PER_UNIT..k.min(from + (unit + 1) * E::PER_UNIT);
            lanes.fill(0.0);
            for (lane, output) in lanes.iter_mut().zip(0..if elements.is_empty() { 0 } else { count }) {
                *lane = E::unit(&w[output * k..][elements.clone()]);
            }
        }
    }
}
