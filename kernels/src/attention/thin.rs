//! Blocks of few rows, which take keys and values as they lie in memory: to write them packed would take longer than the products.
//! Each sum runs as in packed blocks, and so to the same bits.
//!
//! What takes time is to read. What follows a block is asked for while it is computed with, a line at a time and in the order of
//! memory.

use super::block::{Block, Buffers};
use super::{KEYS, Rows, Stored};
use crate::simd::{Element, MAX_LANES, Simd, prefetch};
use crate::tile::{pack, panel, units};
use std::ops::Range;

/// Bytes of a cache line.
const LINE: usize = 64;

impl<T: Stored> Block<'_, T> {
    /// The number of rows, and those of `keys` that they see, if that is the same for all and begins with the first: so it is
    /// for the heads of one query that share their keys.
    pub(super) fn thin(&self, keys: &Range<usize>) -> Option<(usize, Range<usize>)> {
        let last = self.rows.len() - 1;
        let seen = self.seen(0);
        let is_thin = self.packed.is_none() && self.query(0).0 == self.query(last).0 && seen.start <= keys.start;
        is_thin.then(|| (self.rows.len(), keys.start..seen.end.min(keys.end)))
    }

    /// One block of keys, for `R` rows that see all of them.
    #[inline(always)]
    pub(super) fn step_thin<S: Simd, const R: usize>(&self, s: S, keys: Range<usize>, buffers: &mut Buffers<'_>) {
        let room = std::mem::take(&mut buffers.room);
        let (head, next) = (self.kv_head, keys.start + KEYS);
        self.begin_scores(&keys, buffers);
        let k = self.k.open(&keys, head, self.a.key_dim, room);
        let soon = Soon::new(self.k.get(next), head, T::len(self.a.key_dim));
        self.score_thin::<S, R>(s, k, keys.len(), soon, buffers);
        self.soften_all(s, &keys, buffers);
        let v = self.v.open(&keys, head, self.a.value_dim, room);
        let mut soon = Soon::new(self.v.get(next), head, T::len(self.a.value_dim));
        let (dim, width) = (self.a.value_dim, self.sizes.value_width);
        let mut column = 0;
        while column < dim {
            // As many columns at once as registers can hold the sums of.
            let vectors = (width - column) / S::LANES;
            column += match R {
                1 if vectors >= 8 => self.weigh_thin::<S, R, 8>(s, v, keys.len(), column, &mut soon, buffers),
                1 | 2 if vectors >= 4 => self.weigh_thin::<S, R, 4>(s, v, keys.len(), column, &mut soon, buffers),
                _ => self.weigh_thin::<S, R, 2>(s, v, keys.len(), column, &mut soon, buffers),
            };
        }
        buffers.room = room;
    }

    /// Adds the products of the rows and the keys to their scores.
    #[inline(always)]
    fn score_thin<S: Simd, const R: usize>(
        &self,
        s: S,
        k: Rows<'_, T::Element>,
        keys: usize,
        mut soon: Soon<'_, T>,
        buffers: &mut Buffers<'_>,
    ) {
        let (dim, step) = (self.a.key_dim, S::LANES * T::Element::PER_UNIT);
        let mut laid = [0.0; 2 * MAX_LANES * MAX_LANES];
        for first in (0..keys).step_by(panel::<S>()) {
            let count = panel::<S>().min(keys - first);
            let mut sums = [[s.splat(0.0); 2]; R];
            for (sums, scores) in sums.iter_mut().zip(buffers.scores.chunks_exact(KEYS)) {
                *sums = [s.load(&scores[first..]), s.load(&scores[first + S::LANES..])];
            }
            let mut queries = buffers.queries.chunks_exact(R);
            let rows = &k.data[first * k.stride..];
            for from in (0..dim).step_by(step) {
                let len = step.min(dim - from);
                pack(s, &rows[from..], k.stride, count, len, &mut laid, panel::<S>());
                for (w, x) in laid.chunks_exact(panel::<S>()).take(units::<T::Element>(len)).zip(&mut queries) {
                    // Each step takes two lines for each unit.
                    soon.ask();
                    soon.ask();
                    add::<S, T::Element, R, 2>(s, &mut sums, x, [s.load(w), s.load(&w[S::LANES..])]);
                }
            }
            for (sums, scores) in sums.iter().zip(buffers.scores.chunks_exact_mut(KEYS)) {
                s.store(sums[0], &mut scores[first..]);
                s.store(sums[1], &mut scores[first + S::LANES..]);
            }
        }
    }

    /// Adds the values to the sums of the rows, by their weights: `V` vectors of columns from `column` on. Returns how many
    /// columns that is.
    #[inline(always)]
    fn weigh_thin<S: Simd, const R: usize, const V: usize>(
        &self,
        s: S,
        v: Rows<'_, T::Element>,
        keys: usize,
        column: usize,
        soon: &mut Soon<'_, T>,
        buffers: &mut Buffers<'_>,
    ) -> usize {
        let columns = column..self.a.value_dim.min(column + V * S::LANES);
        let mut sums = [[s.splat(0.0); V]; R];
        for (sums, from) in sums.iter_mut().zip(buffers.sums.chunks_exact(self.sizes.value_width)) {
            for (sum, from) in sums.iter_mut().zip(from[column..].chunks_exact(S::LANES)) {
                *sum = s.load(from);
            }
        }
        let mut line = [0.0; 8 * MAX_LANES];
        for (key, x) in (0..keys).step_by(T::Element::PER_UNIT).zip(buffers.weights.chunks_exact(R)) {
            (0..V).for_each(|_| soon.ask());
            let low = v.part(key, 0, columns.clone());
            let high =
                if T::Element::PER_UNIT == 2 && key + 1 < keys { v.part(key + 1, 0, columns.clone()) } else { &[] };
            T::Element::join(low, high, &mut line[..V * S::LANES]);
            let mut w = [s.splat(0.0); V];
            for (w, line) in w.iter_mut().zip(line.chunks_exact(S::LANES)) {
                *w = s.load(line);
            }
            add::<S, T::Element, R, V>(s, &mut sums, x, w);
        }
        for (sums, to) in sums.iter().zip(buffers.sums.chunks_exact_mut(self.sizes.value_width)) {
            for (sum, to) in sums.iter().zip(to[column..].chunks_exact_mut(S::LANES)) {
                s.store(*sum, to);
            }
        }
        V * S::LANES
    }
}

#[inline(always)]
fn add<S: Simd, E: Element, const R: usize, const V: usize>(s: S, sums: &mut [[S::V; V]; R], x: &[f32], w: [S::V; V]) {
    for (sums, x) in sums.iter_mut().zip(x) {
        let x = s.splat(*x);
        for (sum, w) in sums.iter_mut().zip(w) {
            *sum = s.dot_units::<E>(x, w, *sum);
        }
    }
}

/// The lines of a head's rows that will be needed soon, in the order of memory.
struct Soon<'a, T> {
    data: &'a [T],
    stride: usize,
    width: usize,
    row: usize,
    column: usize,
}

impl<'a, T> Soon<'a, T> {
    fn new(rows: Option<Rows<'a, T>>, head: usize, width: usize) -> Self {
        let (data, stride, row) =
            rows.map_or((&[][..], 0, 0), |rows| (rows.data, rows.stride, head * rows.head_stride));
        Self { data, stride, width, row, column: 0 }
    }

    /// Begins to load the next line, if there is one.
    #[inline(always)]
    fn ask(&mut self) {
        prefetch(self.data, self.row + self.column);
        self.column += LINE / size_of::<T>();
        if self.column >= self.width {
            (self.row, self.column) = (self.row + self.stride, 0);
        }
    }
}
