//! The attention of some rows of one head.

use super::keys::{PackKeys, Packed};
use super::{Attention, KEYS, Rows, Sizes};
use crate::math::exp;
use crate::parallel::Shared;
use crate::round::to_units;
use crate::simd::{Element, Kernel, MAX_LANES, Simd};
use crate::tile::{multiply, pack, panel, units};
use std::ops::Range;

/// Some rows of one key head. Row `i * group + g` is query `i` of the head's `g`-th query head.
pub(super) struct Block<'a, E> {
    pub a: &'a Attention<'a>,
    pub sizes: Sizes,
    pub q: Rows<'a>,
    pub k: Rows<'a, E>,
    pub v: Rows<'a, E>,
    /// The head's keys and values, if they were packed before.
    pub packed: Option<&'a [f32]>,
    pub out: &'a Shared<'a>,
    pub kv_head: usize,
    pub rows: Range<usize>,
    pub scratch: &'a mut [f32],
}

/// The buffers of a block, parts of one scratch.
struct Buffers<'s> {
    /// The queries, scaled and packed.
    queries: &'s mut [f32],
    /// A block of keys and values, where they are packed here.
    keys: &'s mut [f32],
    /// Rows of units before they are packed.
    unpacked: &'s mut [f32],
    /// `[rows, KEYS]`: scores, then their exponentials.
    scores: &'s mut [f32],
    /// The exponentials, packed.
    weights: &'s mut [f32],
    /// `[rows, value width]`: weighted values so far.
    sums: &'s mut [f32],
    /// For each row the largest score so far.
    max: &'s mut [f32],
    /// For each row the sum of the exponentials so far.
    total: &'s mut [f32],
}

impl<'s> Buffers<'s> {
    fn new(mut scratch: &'s mut [f32], sizes: Sizes, rows: usize) -> Self {
        let [queries, keys, unpacked, scores, weights, sums, max, total] = sizes.parts(rows).map(|len| {
            let (part, rest) = std::mem::take(&mut scratch).split_at_mut(len);
            scratch = rest;
            part
        });
        sums.fill(0.0);
        max.fill(f32::NEG_INFINITY);
        total.fill(0.0);
        Self { queries, keys, unpacked, scores, weights, sums, max, total }
    }
}

impl<E: Element> Kernel for Block<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (a, sizes) = (self.a, self.sizes);
        let mut buffers = Buffers::new(std::mem::take(&mut self.scratch), sizes, self.rows.len());
        self.pack_queries(s, &mut buffers);
        let seen = self.seen(self.rows.len() - 1);
        for start in (0..seen).step_by(KEYS) {
            let keys = start..a.keys.min(start + KEYS);
            let here = std::mem::take(&mut buffers.keys);
            let packed = match self.packed {
                Some(packed) => Packed::new(sizes, &packed[start / KEYS * sizes.block()..][..sizes.block()]),
                None => {
                    let (k, v, kv_head, keys) = (self.k, self.v, self.kv_head, keys.clone());
                    PackKeys { a, sizes, k, v, kv_head, keys, packed: &mut here[..sizes.block()] }.run(s);
                    Packed::new(sizes, &here[..sizes.block()])
                }
            };
            self.score(s, keys.clone(), packed, &mut buffers);
            self.accumulate(s, keys, packed, &mut buffers);
            buffers.keys = here;
        }
        self.finish(&buffers);
    }
}

impl<E: Element> Block<'_, E> {
    fn group(&self) -> usize {
        self.a.heads / self.a.kv_heads
    }

    /// Query and query head of a row of this block.
    fn query(&self, row: usize) -> (usize, usize) {
        let row = self.rows.start + row;
        (row / self.group(), self.kv_head * self.group() + row % self.group())
    }

    /// How many keys a row of this block sees. Later rows see no fewer.
    fn seen(&self, row: usize) -> usize {
        self.a.seen(self.query(row).0)
    }

    #[inline(always)]
    fn pack_queries<S: Simd>(&self, s: S, buffers: &mut Buffers<'_>) {
        let (rows, dim, units) = (self.rows.len(), self.a.key_dim, self.sizes.key_units);
        for (row, unpacked) in buffers.unpacked.chunks_exact_mut(units.max(1)).take(rows).enumerate() {
            let (query, head) = self.query(row);
            let q = self.q.part(query, head * dim..(head + 1) * dim);
            for (q, unpacked) in q.chunks(KEYS * E::PER_UNIT).zip(unpacked.chunks_mut(KEYS)) {
                let mut scaled = [0.0; 2 * KEYS];
                scaled.iter_mut().zip(q).for_each(|(scaled, q)| *scaled = q * self.a.scale);
                to_units::<E>(&scaled[..q.len()], unpacked);
            }
        }
        pack::<S, f32>(s, buffers.unpacked, units, rows, units, buffers.queries, rows);
    }

    /// The scores of all rows with a block of keys.
    #[inline(always)]
    fn score<S: Simd>(&self, s: S, keys: Range<usize>, packed: Packed<'_>, buffers: &mut Buffers<'_>) {
        let (rows, width) = (self.rows.len(), panel::<S>());
        buffers.scores.fill(0.0);
        if let Some(bias) = &self.a.bias {
            for (row, scores) in buffers.scores.chunks_exact_mut(KEYS).take(rows).enumerate() {
                let (query, head) = self.query(row);
                bias.write(self.a.keys / bias.across, query * self.a.heads + head, keys.clone(), scores);
            }
        }
        for first in (0..keys.len()).step_by(width) {
            let panel = &packed.keys[first * self.sizes.key_units..][..width * self.sizes.key_units];
            multiply::<S, E>(s, buffers.queries, rows, rows, panel, &mut buffers.scores[first..], KEYS);
        }
    }

    /// Turns scores into exponentials and adds the values that they weigh.
    #[inline(always)]
    fn accumulate<S: Simd>(&self, s: S, keys: Range<usize>, packed: Packed<'_>, buffers: &mut Buffers<'_>) {
        let (rows, width, sizes) = (self.rows.len(), panel::<S>(), self.sizes);
        let key_units = units::<E>(keys.len());
        // The first rows may see a part of the block.
        let mut partial = 0;
        for row in 0..rows {
            let seen = self.seen(row).saturating_sub(keys.start).min(keys.len());
            partial += usize::from(seen < keys.len());
            let scores = &mut buffers.scores[row * KEYS..][..KEYS];
            let sums = &mut buffers.sums[row * sizes.value_width..][..sizes.value_width];
            soften(s, scores, seen, &mut buffers.max[row], &mut buffers.total[row], sums);
            scores[seen..].fill(0.0);
            to_units::<E>(scores, &mut buffers.unpacked[row * sizes.value_units..][..sizes.value_units]);
        }
        pack::<S, f32>(s, buffers.unpacked, sizes.value_units, rows, key_units, buffers.weights, rows);
        // A key that a row does not see has weight 0, which adds nothing unless the value is not finite: then these rows
        // are taken one at a time, and only as far as they see.
        let whole = if packed.finite { 0 } else { partial };
        for column in (0..self.a.value_dim).step_by(width) {
            let panel = &packed.values[column * sizes.value_units..][..key_units * width];
            let sums = &mut buffers.sums[column..];
            for row in 0..whole {
                let seen = self.seen(row).saturating_sub(keys.start);
                let sums = &mut sums[row * sizes.value_width..];
                let whole = seen / E::PER_UNIT;
                multiply::<S, E>(s, &buffers.weights[row..], rows, 1, &panel[..whole * width], sums, sizes.value_width);
                if seen > whole * E::PER_UNIT {
                    let mut line = [0.0; 2 * MAX_LANES];
                    line.iter_mut().zip(&panel[whole * width..][..width]).for_each(|(to, from)| *to = first(*from));
                    let weights = &buffers.weights[whole * rows + row..];
                    multiply::<S, E>(s, weights, rows, 1, &line[..width], sums, sizes.value_width);
                }
            }
            if whole < rows {
                let (weights, sums) = (&buffers.weights[whole..], &mut sums[whole * sizes.value_width..]);
                multiply::<S, E>(s, weights, rows, rows - whole, panel, sums, sizes.value_width);
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

/// A pair of bf16 with its second replaced by 0.
fn first(pair: f32) -> f32 {
    f32::from_bits(pair.to_bits() & 0xffff)
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
    let largest = s.lanes(largest)[..S::LANES].iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
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
