//! The attention of some rows of one head.

use super::keys::{PackKeys, Packed};
use super::{Attention, KEYS, Parts, Rows, Sizes, Stored};
use crate::math::exp;
use crate::parallel::Shared;
use crate::round::to_units;
use crate::simd::{Element, Kernel, MAX_LANES, Simd};
use crate::tile::{multiply, pack, panel, units};
use std::ops::Range;

/// Some rows of one key head. Row `i * group + g` is query `i` of the head's `g`-th query head.
pub(super) struct Block<'a, T> {
    pub a: &'a Attention<'a>,
    pub sizes: Sizes,
    pub q: Rows<'a>,
    pub k: Parts<'a, T>,
    pub v: Parts<'a, T>,
    /// The head's keys and values, if they were packed before.
    pub packed: Option<&'a [f32]>,
    pub out: &'a Shared<'a>,
    pub kv_head: usize,
    pub rows: Range<usize>,
    pub scratch: &'a mut [f32],
}

/// The buffers of a block, parts of one scratch.
pub(super) struct Buffers<'s> {
    /// The queries, scaled and packed.
    pub queries: &'s mut [f32],
    /// A block of keys or of values, where they are unpacked.
    pub room: &'s mut [f32],
    /// A block of keys and values, where they are packed here.
    pub keys: &'s mut [f32],
    /// Rows of units before they are packed.
    pub unpacked: &'s mut [f32],
    /// `[rows, KEYS]`: scores, then their exponentials.
    pub scores: &'s mut [f32],
    /// The exponentials, packed.
    pub weights: &'s mut [f32],
    /// `[rows, value width]`: weighted values so far.
    pub sums: &'s mut [f32],
    /// For each row the largest score so far.
    pub max: &'s mut [f32],
    /// For each row the sum of the exponentials so far.
    pub total: &'s mut [f32],
}

impl<'s> Buffers<'s> {
    fn new(mut scratch: &'s mut [f32], sizes: Sizes, rows: usize) -> Self {
        let [queries, room, keys, unpacked, scores, weights, sums, max, total] = sizes.parts(rows).map(|len| {
            let (part, rest) = std::mem::take(&mut scratch).split_at_mut(len);
            scratch = rest;
            part
        });
        sums.fill(0.0);
        max.fill(f32::NEG_INFINITY);
        total.fill(0.0);
        Self { queries, room, keys, unpacked, scores, weights, sums, max, total }
    }
}

impl<T: Stored> Kernel for Block<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let a = self.a;
        let mut buffers = Buffers::new(std::mem::take(&mut self.scratch), self.sizes, self.rows.len());
        self.pack_queries(s, &mut buffers);
        for block in self.seen(0).start / KEYS..self.seen(self.rows.len() - 1).end.div_ceil(KEYS) {
            let keys = block * KEYS..a.keys.min((block + 1) * KEYS);
            match self.thin(&keys) {
                Some((1, keys)) => self.step_thin::<S, 1>(s, keys, &mut buffers),
                Some((2, keys)) => self.step_thin::<S, 2>(s, keys, &mut buffers),
                Some((4, keys)) => self.step_thin::<S, 4>(s, keys, &mut buffers),
                Some((8, keys)) => self.step_thin::<S, 8>(s, keys, &mut buffers),
                _ => self.step(s, keys, &mut buffers),
            }
        }
        self.finish(&buffers);
    }
}

impl<T: Stored> Block<'_, T> {
    /// One block of keys.
    #[inline(always)]
    fn step<S: Simd>(&self, s: S, keys: Range<usize>, buffers: &mut Buffers<'_>) {
        let (a, sizes) = (self.a, self.sizes);
        let here = std::mem::take(&mut buffers.keys);
        let packed = match self.packed {
            Some(packed) => {
                let block = keys.start / KEYS - a.blocks().start;
                Packed::new(sizes, &packed[block * sizes.block()..][..sizes.block()])
            }
            None => {
                let (k, v, kv_head, keys) = (self.k, self.v, self.kv_head, keys.clone());
                let room = &mut *buffers.room;
                PackKeys { a, sizes, k, v, kv_head, keys, room, packed: &mut here[..sizes.block()] }.run(s);
                Packed::new(sizes, &here[..sizes.block()])
            }
        };
        self.begin_scores(&keys, buffers);
        self.score(s, keys.clone(), packed, buffers);
        let is_partial = self.soften_all(s, &keys, buffers);
        self.weigh(s, keys, packed, is_partial, buffers);
        buffers.keys = here;
    }

    fn group(&self) -> usize {
        self.a.heads / self.a.kv_heads
    }

    /// Query and query head of a row of this block.
    pub(super) fn query(&self, row: usize) -> (usize, usize) {
        let row = self.rows.start + row;
        (row / self.group(), self.kv_head * self.group() + row % self.group())
    }

    /// The keys that a row of this block sees. Neither end is before that of an earlier row.
    pub(super) fn seen(&self, row: usize) -> Range<usize> {
        self.a.seen(self.query(row).0)
    }

    /// Those of `keys` that a row sees, counted from the first of `keys`.
    fn seen_of(&self, keys: &Range<usize>, row: usize) -> Range<usize> {
        let seen = self.seen(row);
        let end = seen.end.clamp(keys.start, keys.end) - keys.start;
        seen.start.saturating_sub(keys.start).min(end)..end
    }

    #[inline(always)]
    fn pack_queries<S: Simd>(&self, s: S, buffers: &mut Buffers<'_>) {
        let (rows, dim, units) = (self.rows.len(), self.a.key_dim, self.sizes.key_units);
        for (row, unpacked) in buffers.unpacked.chunks_exact_mut(units.max(1)).take(rows).enumerate() {
            let (query, head) = self.query(row);
            let q = self.q.part(query, head, 0..dim);
            for (q, unpacked) in q.chunks(KEYS * T::Element::PER_UNIT).zip(unpacked.chunks_mut(KEYS)) {
                let mut scaled = [0.0; 2 * KEYS];
                scaled.iter_mut().zip(q).for_each(|(scaled, q)| *scaled = q * self.a.scale);
                to_units::<T::Element>(&scaled[..q.len()], unpacked);
            }
        }
        pack::<S, f32>(s, buffers.unpacked, units, rows, units, buffers.queries, rows);
    }

    /// What the scores of all rows with a block of keys begin with.
    pub(super) fn begin_scores(&self, keys: &Range<usize>, buffers: &mut Buffers<'_>) {
        buffers.scores.fill(0.0);
        if let Some(bias) = &self.a.bias {
            for (row, scores) in buffers.scores.chunks_exact_mut(KEYS).take(self.rows.len()).enumerate() {
                let (query, head) = self.query(row);
                bias.write(self.a.keys / bias.across, query * self.a.heads + head, keys.clone(), scores);
            }
        }
    }

    /// Adds the products of all rows and the keys of a block to their scores.
    #[inline(always)]
    fn score<S: Simd>(&self, s: S, keys: Range<usize>, packed: Packed<'_>, buffers: &mut Buffers<'_>) {
        let (rows, width) = (self.rows.len(), panel::<S>());
        for first in (0..keys.len()).step_by(width) {
            let panel = &packed.keys[first * self.sizes.key_units..][..width * self.sizes.key_units];
            let columns = keys.len() - first;
            multiply::<S, T::Element>(
                s,
                buffers.queries,
                rows,
                rows,
                panel,
                columns,
                &mut buffers.scores[first..],
                KEYS,
            );
        }
    }

    /// Turns scores into packed exponentials. Whether a row sees but a part of the block.
    #[inline(always)]
    pub(super) fn soften_all<S: Simd>(&self, s: S, keys: &Range<usize>, buffers: &mut Buffers<'_>) -> bool {
        let (rows, sizes) = (self.rows.len(), self.sizes);
        let mut is_partial = false;
        for row in 0..rows {
            let seen = self.seen_of(keys, row);
            is_partial |= seen.len() < keys.len();
            let scores = &mut buffers.scores[row * KEYS..][..KEYS];
            let sums = &mut buffers.sums[row * sizes.value_width..][..sizes.value_width];
            scores[..seen.start].fill(f32::NEG_INFINITY);
            soften(
                s,
                scores,
                if seen.is_empty() { 0 } else { seen.end },
                &mut buffers.max[row],
                &mut buffers.total[row],
                sums,
            );
            scores[..seen.start].fill(0.0);
            scores[seen.end..].fill(0.0);
            to_units::<T::Element>(scores, &mut buffers.unpacked[row * sizes.value_units..][..sizes.value_units]);
        }
        let key_units = units::<T::Element>(keys.len());
        pack::<S, f32>(s, buffers.unpacked, sizes.value_units, rows, key_units, buffers.weights, rows);
        is_partial
    }

    /// Adds the values of a block, by the weights of its keys.
    #[inline(always)]
    fn weigh<S: Simd>(
        &self,
        s: S,
        keys: Range<usize>,
        packed: Packed<'_>,
        is_partial: bool,
        buffers: &mut Buffers<'_>,
    ) {
        let (rows, width, sizes) = (self.rows.len(), panel::<S>(), self.sizes);
        let key_units = units::<T::Element>(keys.len());
        // A key that a row does not see has weight 0, which adds nothing unless the value is not finite: then rows are
        // taken one at a time, and only as far as they see.
        let one_by_one = is_partial && !packed.finite;
        for column in (0..self.a.value_dim).step_by(width) {
            let panel = &packed.values[column * sizes.value_units..][..key_units * width];
            let (columns, sums) = (self.a.value_dim - column, &mut buffers.sums[column..]);
            if !one_by_one {
                multiply::<S, T::Element>(s, buffers.weights, rows, rows, panel, columns, sums, sizes.value_width);
                continue;
            }
            for row in 0..rows {
                let seen = self.seen_of(&keys, row);
                let sums = &mut sums[row * sizes.value_width..];
                for unit in seen.start / T::Element::PER_UNIT..seen.end.div_ceil(T::Element::PER_UNIT) {
                    let mut line = [0.0; 2 * MAX_LANES];
                    let elements = unit * T::Element::PER_UNIT..(unit + 1) * T::Element::PER_UNIT;
                    let keep = kept::<T::Element>(&elements, &seen);
                    let values = &panel[unit * width..][..width];
                    line.iter_mut().zip(values).for_each(|(to, from)| *to = f32::from_bits(from.to_bits() & keep));
                    let weights = &buffers.weights[unit * rows + row..];
                    multiply::<S, T::Element>(s, weights, rows, 1, &line[..width], columns, sums, sizes.value_width);
                }
            }
        }
    }

    fn finish(&self, buffers: &Buffers<'_>) {
        let dim = self.a.value_dim;
        for row in 0..self.rows.len() {
            let (query, head) = self.query(row);
            let start = (query * self.a.heads + head) * dim;
            // SAFETY: this task alone has these rows of these heads.
            let out = unsafe { self.out.part(start..start + dim) };
            for (out, sum) in out.iter_mut().zip(&buffers.sums[row * self.sizes.value_width..]) {
                *out = sum / buffers.total[row];
            }
        }
    }
}

/// The bits of a unit that belong to elements which are `seen`; in a pair, the first element has the low ones.
fn kept<E: Element>(elements: &Range<usize>, seen: &Range<usize>) -> u32 {
    let is_seen = |element: usize| seen.contains(&element);
    match E::PER_UNIT {
        2 => (u32::from(is_seen(elements.start)) * 0xffff) | (u32::from(is_seen(elements.start + 1)) * 0xffff_0000),
        _ => u32::MAX,
    }
}

/// One row's step of the running softmax: replaces the first `seen` scores by their exponentials against the new
/// maximum, and scales the row's sums so far to it.
#[inline(always)]
fn soften<S: Simd>(s: S, scores: &mut [f32], seen: usize, max: &mut f32, total: &mut f32, sums: &mut [f32]) {
    if seen == 0 {
        return;
    }
    let padded = seen.next_multiple_of(S::LANES);
    let scores = &mut scores[..padded];
    scores[seen..].fill(f32::NEG_INFINITY);
    let mut largest = s.splat(*max);
    for scores in scores.chunks_exact(S::LANES) {
        largest = s.max(largest, s.load(scores));
    }
    let largest = s.largest(largest);
    // Where all scores are -∞ so far, any other reference gives weights of 0. A NaN that the maximum passes over
    // shows in its own exponential.
    let reference = if largest == f32::NEG_INFINITY { 0.0 } else { largest };
    let mut sum = s.splat(0.0);
    for scores in scores.chunks_exact_mut(S::LANES) {
        let weight = exp(s, s.sub(s.load(scores), s.splat(reference)));
        sum = s.add(sum, weight);
        s.store(weight, scores);
    }
    if *max != largest {
        let decay = exp(s, s.splat(*max - reference));
        for sums in sums.chunks_exact_mut(S::LANES) {
            s.store(s.mul(s.load(sums), decay), sums);
        }
        *total *= s.lanes(decay)[0];
    }
    *total += s.sum(sum);
    *max = largest;
}
