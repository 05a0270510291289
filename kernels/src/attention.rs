//! Softmax attention, a block of keys at a time.
//!
//! Follows FlashAttention (Dao et al. 2022, Milakov and Gimelshein 2018 for the running softmax): scores exist for one
//! block of keys only, with the maximum, the sum and the weighted values so far of each query. Blocks of keys begin at
//! fixed places, and all sums run over the keys that a query sees, in order, so that a query's result does not depend
//! on the others. Query heads that share their keys are rows of one block, so that keys are packed once for all.

use crate::Cpu;
use crate::math::exp;
use crate::parallel::{Shared, for_each, threads, with_scratch};
use crate::simd::{Kernel, MAX_LANES, Simd};
use crate::tile::{BLOCK, multiply, pack, panel};
use std::ops::Range;

/// Rows of equal length at equal distances in one slice: row `i` is `data[i * stride..][..width]`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The numbers; the first row begins at 0.
    pub data: &'a [f32],
    /// Distance between the starts of two rows.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    fn part(&self, row: usize, columns: Range<usize>) -> &'a [f32] {
        &self.data[row * self.stride..][columns]
    }
}

/// Which keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// All.
    None,
    /// Query `i` sees keys `0..=first + i`.
    Causal {
        /// Position of the first query among the keys.
        first: usize,
    },
}

/// The shape of an [`attention`].
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Number of queries.
    pub queries: usize,
    /// Number of keys and values.
    pub keys: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`. Query head `h` reads key head `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Numbers in a query or key of one head.
    pub key_dim: usize,
    /// Numbers in a value of one head.
    pub value_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// Who sees whom.
    pub mask: Mask,
}

impl Attention {
    /// How many keys query `i` sees.
    fn seen(&self, i: usize) -> usize {
        match self.mask {
            Mask::None => self.keys,
            Mask::Causal { first } => self.keys.min(first.saturating_add(i + 1)),
        }
    }

    fn check(&self, q: Rows<'_>, k: Rows<'_>, v: Rows<'_>, out: &[f32]) {
        let holds = |rows: Rows<'_>, count: usize, width: usize| {
            count == 0 || rows.data.len() >= (count - 1) * rows.stride + width
        };
        assert!(self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads), "{self:?}");
        assert!(holds(q, self.queries, self.heads * self.key_dim), "queries of {self:?}");
        assert!(holds(k, self.keys, self.kv_heads * self.key_dim), "keys of {self:?}");
        assert!(holds(v, self.keys, self.kv_heads * self.value_dim), "values of {self:?}");
        assert_eq!(out.len(), self.queries * self.heads * self.value_dim, "outputs of {self:?}");
    }
}

/// Keys in a block: a multiple of every panel's width.
const KEYS: usize = 128;

/// Softmax attention without materialised scores: row `i` of `out` (`heads * value_dim` wide, contiguous) is, head by
/// head, `softmax(scale * q_i · kᵀ) · v`.
///
/// Within a row of `q` (`k`, `v`) the heads follow each other: head `h` is at `h * key_dim` (`value_dim`). A query's
/// result does not depend on the other queries of the call, bit for bit, nor on keys that it does not see, nor on the
/// number of threads. A score of NaN makes the result NaN, and so does seeing no key at all.
///
/// # Panics
/// If a slice is too short for the shape, or `out` not of its size.
pub fn attention(cpu: Cpu, a: &Attention, q: Rows<'_>, k: Rows<'_>, v: Rows<'_>, out: &mut [f32]) {
    a.check(q, k, v, out);
    let rows = a.queries * (a.heads / a.kv_heads);
    if rows == 0 {
        return;
    }
    let work = a.queries * a.heads * a.keys * (a.key_dim + a.value_dim);
    // Smaller blocks where there would be too few for the threads.
    let block = (rows * a.kv_heads).div_ceil(threads()).clamp(1, BLOCK);
    let blocks = rows.div_ceil(block);
    let out = Shared::new(out);
    for_each(blocks * a.kv_heads, work, |task| {
        let (kv_head, first) = (task / blocks, task % blocks * block);
        let rows = first..rows.min(first + block);
        with_scratch(Buffers::sizes(a, rows.len()).iter().sum(), |scratch| {
            cpu.run(Block { a, q, k, v, out: &out, kv_head, rows, scratch });
        });
    });
}

/// Some rows of one key head. Row `i * group + g` is query `i` of the head's `g`-th query head.
struct Block<'a> {
    a: &'a Attention,
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    out: &'a Shared<'a>,
    kv_head: usize,
    rows: Range<usize>,
    scratch: &'a mut [f32],
}

/// The buffers of a block, parts of one scratch.
struct Buffers<'s> {
    /// The queries, scaled and packed.
    queries: &'s mut [f32],
    /// A block of keys, as packed panels.
    keys: &'s mut [f32],
    /// A block of values, as packed panels.
    values: &'s mut [f32],
    /// `[rows, KEYS]`: scores, then their exponentials.
    scores: &'s mut [f32],
    /// The exponentials, packed.
    weights: &'s mut [f32],
    /// `[rows, value width]`: weighted values so far, the width rounded up to panels.
    sums: &'s mut [f32],
    /// For each row the largest score so far.
    max: &'s mut [f32],
    /// For each row the sum of the exponentials so far.
    total: &'s mut [f32],
}

impl<'s> Buffers<'s> {
    fn sizes(a: &Attention, rows: usize) -> [usize; 8] {
        let key_dim = a.key_dim;
        let value_width = a.value_dim.next_multiple_of(2 * MAX_LANES);
        [rows * key_dim, KEYS * key_dim, KEYS * value_width, rows * KEYS, rows * KEYS, rows * value_width, rows, rows]
            // Each begins on a cache line.
            .map(|len| len.next_multiple_of(16))
    }

    fn new(mut scratch: &'s mut [f32], a: &Attention, rows: usize) -> Self {
        let [queries, keys, values, scores, weights, sums, max, total] = Self::sizes(a, rows).map(|len| {
            let (part, rest) = std::mem::take(&mut scratch).split_at_mut(len);
            scratch = rest;
            part
        });
        sums.fill(0.0);
        max.fill(f32::NEG_INFINITY);
        total.fill(0.0);
        Self { queries, keys, values, scores, weights, sums, max, total }
    }
}

impl Kernel for Block<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let a = self.a;
        let mut buffers = Buffers::new(std::mem::take(&mut self.scratch), a, self.rows.len());
        self.pack_queries(s, &mut buffers);
        let seen = self.seen(self.rows.len() - 1);
        for start in (0..seen).step_by(KEYS) {
            let keys = start..a.keys.min(start + KEYS);
            self.score(s, keys.clone(), &mut buffers);
            self.accumulate(s, keys, &mut buffers);
        }
        self.finish(s, &buffers);
    }
}

impl Block<'_> {
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
        let (rows, dim) = (self.rows.len(), self.a.key_dim);
        // The buffer of the keys is free yet, and at least as large.
        let scaled = &mut buffers.keys[..rows * dim];
        for (row, scaled) in scaled.chunks_exact_mut(dim.max(1)).enumerate() {
            let (query, head) = self.query(row);
            let q = self.q.part(query, head * dim..(head + 1) * dim);
            for (scaled, q) in scaled.iter_mut().zip(q) {
                *scaled = q * self.a.scale;
            }
        }
        pack(s, &*scaled, dim, rows, dim, buffers.queries, rows, &[]);
    }

    /// The scores of all rows with a block of keys.
    #[inline(always)]
    fn score<S: Simd>(&self, s: S, keys: Range<usize>, buffers: &mut Buffers<'_>) {
        let (rows, dim, width) = (self.rows.len(), self.a.key_dim, panel::<S>());
        buffers.scores.fill(0.0);
        for first in (0..keys.len()).step_by(width) {
            let count = width.min(keys.len() - first);
            let packed = &mut buffers.keys[first * dim..][..width * dim];
            let k = &self.k.data[(keys.start + first) * self.k.stride + self.kv_head * dim..];
            pack(s, k, self.k.stride, count, dim, packed, width, &[]);
            multiply::<S, false>(s, buffers.queries, rows, rows, packed, &mut buffers.scores[first..], KEYS);
        }
    }

    /// Turns scores into exponentials and adds the values that they weigh.
    #[inline(always)]
    fn accumulate<S: Simd>(&self, s: S, keys: Range<usize>, buffers: &mut Buffers<'_>) {
        let (rows, width) = (self.rows.len(), panel::<S>());
        let value_width = self.a.value_dim.next_multiple_of(width);
        let seen = |row: usize| self.seen(row).saturating_sub(keys.start).min(keys.len());
        for row in 0..rows {
            let scores = &mut buffers.scores[row * KEYS..][..KEYS];
            let sums = &mut buffers.sums[row * value_width..][..value_width];
            soften(s, scores, seen(row), &mut buffers.max[row], &mut buffers.total[row], sums);
        }
        pack(s, &*buffers.scores, KEYS, rows, keys.len(), buffers.weights, rows, &[]);
        // The first rows may see a part of the block. A key that a row does not see takes no part in its sums, not
        // even with weight 0, which would let a NaN through; so these rows are taken one at a time.
        let partial = (0..rows).take_while(|row| seen(*row) < keys.len()).count();
        for column in (0..self.a.value_dim).step_by(width) {
            let packed = &mut buffers.values[column * KEYS..][..keys.len() * width];
            self.copy_values(keys.start, column..self.a.value_dim.min(column + width), packed, width);
            let sums = &mut buffers.sums[column..];
            for row in 0..partial {
                let packed = &packed[..seen(row) * width];
                multiply::<S, false>(
                    s,
                    &buffers.weights[row..],
                    rows,
                    1,
                    packed,
                    &mut sums[row * value_width..],
                    value_width,
                );
            }
            if partial < rows {
                let (weights, sums) = (&buffers.weights[partial..], &mut sums[partial * value_width..]);
                multiply::<S, false>(s, weights, rows, rows - partial, packed, sums, value_width);
            }
        }
    }

    /// Copies some columns of a block of values into a panel.
    #[inline(always)]
    fn copy_values(&self, start: usize, columns: Range<usize>, packed: &mut [f32], width: usize) {
        let offset = self.kv_head * self.a.value_dim;
        for (key, packed) in packed.chunks_exact_mut(width).enumerate() {
            let v = self.v.part(start + key, offset + columns.start..offset + columns.end);
            packed[..v.len()].copy_from_slice(v);
            packed[v.len()..].fill(0.0);
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, _: S, buffers: &Buffers<'_>) {
        let dim = self.a.value_dim;
        let value_width = dim.next_multiple_of(panel::<S>());
        for row in 0..self.rows.len() {
            let (query, head) = self.query(row);
            let start = (query * self.a.heads + head) * dim;
            // SAFETY: this task alone has these rows of these heads.
            let out = unsafe { self.out.part(start..start + dim) };
            for (out, sum) in out.iter_mut().zip(&buffers.sums[row * value_width..]) {
                *out = sum / buffers.total[row];
            }
        }
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
