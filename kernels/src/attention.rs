//! Softmax attention, a block of keys at a time.
//!
//! Follows FlashAttention (Dao et al. 2022, Milakov and Gimelshein 2018 for the running softmax): scores exist for one
//! block of keys only, with the maximum, the sum and the weighted values so far of each query. Blocks of keys begin at
//! fixed places, and all sums run over the keys that a query sees, in order, so that a query's result does not depend
//! on the others. Query heads that share their keys are rows of one block, so that keys are packed once for all; where
//! there are several blocks of rows, all keys and values are packed before.

mod block;
mod keys;
mod stored;
mod thin;

use crate::Cpu;
use crate::parallel::{Shared, for_each, threads, with_scratch};
use crate::simd::MAX_LANES;
use crate::tile::{BLOCK, units};
use block::Block;
use half::bf16;
use keys::PackKeys;
use std::ops::Range;
use stored::Stored;

/// Rows of heads at equal distances in one slice: head `h` of row `i` begins at `i * stride + h * head_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T = f32> {
    /// The numbers; the first head of the first row begins at 0.
    pub data: &'a [T],
    /// Distance between the starts of two rows.
    pub stride: usize,
    /// Distance between the starts of two heads of a row.
    pub head_stride: usize,
}

impl<'a, T> Rows<'a, T> {
    /// Some columns of a head of a row.
    fn part(&self, row: usize, head: usize, columns: Range<usize>) -> &'a [T] {
        &self.data[row * self.stride + head * self.head_stride..][columns]
    }

    /// One head.
    fn head(&self, head: usize) -> Self {
        Rows { data: &self.data[head * self.head_stride..], stride: self.stride, head_stride: 0 }
    }

    fn holds(&self, count: usize, heads: usize, width: usize) -> bool {
        count == 0 || self.data.len() >= (count - 1) * self.stride + (heads - 1) * self.head_stride + width
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
    /// Query `i` sees the last `size` keys of `0..=first + i`.
    Window {
        /// Position of the first query among the keys.
        first: usize,
        /// How many keys a query sees at most.
        size: usize,
    },
}

/// What is added to the scores of keys that lie on a grid, line after line: for each query and head one number by the key's
/// line, and one by its column.
#[derive(Clone, Copy)]
pub struct GridBias<'a> {
    /// `[queries, heads, keys / across]`.
    pub lines: &'a [f32],
    /// `[queries, heads, across]`.
    pub columns: &'a [f32],
    /// Keys in a line.
    pub across: usize,
}

impl std::fmt::Debug for GridBias<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GridBias({} + {}, {} across)", self.lines.len(), self.columns.len(), self.across)
    }
}

impl GridBias<'_> {
    /// The bias of some keys for one query and head, by their number `query * heads + head`.
    fn write(&self, lines: usize, number: usize, keys: Range<usize>, scores: &mut [f32]) {
        let lines = &self.lines[number * lines..][..lines];
        let columns = &self.columns[number * self.across..][..self.across];
        let (mut key, mut rest) = (keys.start, &mut scores[..keys.len()]);
        while !rest.is_empty() {
            let (line, columns) = (lines[key / self.across], &columns[key % self.across..]);
            let (part, after) = rest.split_at_mut(columns.len().min(rest.len()));
            part.iter_mut().zip(columns).for_each(|(score, column)| *score = line + column);
            (key, rest) = (key + part.len(), after);
        }
    }
}

/// The shape of an [`attention`].
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
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
    /// What is added to the scaled scores, if anything.
    pub bias: Option<GridBias<'a>>,
}

impl Attention<'_> {
    /// The keys that query `i` sees. Neither end is before that of an earlier query.
    fn seen(&self, i: usize) -> Range<usize> {
        match self.mask {
            Mask::None => 0..self.keys,
            Mask::Causal { first } => 0..self.keys.min(first.saturating_add(i + 1)),
            Mask::Window { first, size } => {
                let end = first.saturating_add(i + 1);
                end.saturating_sub(size).min(self.keys)..end.min(self.keys)
            }
        }
    }

    /// The blocks of keys that any query sees.
    fn blocks(&self) -> Range<usize> {
        let end = self.seen(self.queries.saturating_sub(1)).end;
        self.seen(0).start / KEYS..end.div_ceil(KEYS)
    }

    fn check<T: Stored>(&self, q: Rows<'_>, k: Parts<'_, T>, v: Parts<'_, T>, out: &[f32]) {
        assert!(self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads), "{self:?}");
        assert!(q.holds(self.queries, self.heads, self.key_dim), "queries of {self:?}");
        assert!(k.holds(self.keys, self.kv_heads, T::len(self.key_dim)), "keys of {self:?}");
        assert!(v.holds(self.keys, self.kv_heads, T::len(self.value_dim)), "values of {self:?}");
        assert_eq!(out.len(), self.queries * self.heads * self.value_dim, "outputs of {self:?}");
        if let Some(bias) = &self.bias {
            assert!(bias.across > 0 && self.keys.is_multiple_of(bias.across), "grid of {self:?}");
            let wanted = [self.keys / bias.across, bias.across].map(|numbers| self.queries * self.heads * numbers);
            assert_eq!([bias.lines.len(), bias.columns.len()], wanted, "bias of {self:?}");
        }
    }
}

/// Keys in a block: a multiple of every panel's width. Keys and values may be in parts of so many.
pub const KEYS: usize = 128;

/// Rows in one part, or in parts of [`KEYS`] rows of which the last may have fewer.
#[derive(Clone, Copy)]
struct Parts<'a, T>(&'a [Rows<'a, T>]);

impl<'a, T: Copy> Parts<'a, T> {
    /// The rows from row `row` on to the end of its block, at least. None beyond the last part.
    fn get(&self, row: usize) -> Option<Rows<'a, T>> {
        let (part, row) = if self.0.len() == 1 { (0, row) } else { (row / KEYS, row % KEYS) };
        let part = self.0.get(part)?;
        Some(Rows { data: part.data.get(row * part.stride..)?, ..*part })
    }

    /// The same of a row that is there.
    fn from(&self, row: usize) -> Rows<'a, T> {
        self.get(row).expect("a row that is there")
    }

    fn holds(&self, count: usize, heads: usize, width: usize) -> bool {
        match self.0 {
            [all] => all.holds(count, heads, width),
            parts => {
                let rows = |part: usize| KEYS.min(count - part * KEYS);
                parts.len() == count.div_ceil(KEYS)
                    && parts.iter().enumerate().all(|(part, data)| data.holds(rows(part), heads, width))
            }
        }
    }
}

/// Softmax attention without materialised scores: row `i` of `out` (`heads * value_dim` wide, contiguous) is, head by
/// head, `softmax(scale * q_i · kᵀ + bias) · v`.
///
/// Keys and values are in one part each, or in parts of [`KEYS`] rows of which the last may have fewer. A query's result does
/// not depend on the other queries of the call, bit for bit, nor on keys that it does not see, nor on the number of threads.
/// A score of NaN makes the result NaN, and so does seeing no key at all.
///
/// # Panics
/// If a slice is too short for the shape, or `out` not of its size.
pub fn attention(cpu: Cpu, a: &Attention<'_>, q: Rows<'_>, k: &[Rows<'_>], v: &[Rows<'_>], out: &mut [f32]) {
    attend(cpu, a, q, Parts(k), Parts(v), out);
}

/// [`attention`] over keys and values in bf16. Scaled queries and the exponentials of scores are rounded to bf16 for the two
/// products, whose sums are in f32, as is all else.
///
/// # Panics
/// As [`attention`].
pub fn attention_bf16(
    cpu: Cpu,
    a: &Attention<'_>,
    q: Rows<'_>,
    k: &[Rows<'_, bf16>],
    v: &[Rows<'_, bf16>],
    out: &mut [f32],
) {
    attend(cpu, a, q, Parts(k), Parts(v), out);
}

/// [`attention_bf16`] over keys and values as [`q8`](crate::q8) packs them, which become bf16 a block at a time.
///
/// # Panics
/// As [`attention`].
pub fn attention_q8(cpu: Cpu, a: &Attention<'_>, q: Rows<'_>, k: &[Rows<'_, u8>], v: &[Rows<'_, u8>], out: &mut [f32]) {
    attend(cpu, a, q, Parts(k), Parts(v), out);
}

fn attend<T: Stored>(cpu: Cpu, a: &Attention<'_>, q: Rows<'_>, k: Parts<'_, T>, v: Parts<'_, T>, out: &mut [f32]) {
    a.check(q, k, v, out);
    let rows = a.queries * (a.heads / a.kv_heads);
    if rows == 0 {
        return;
    }
    let work = a.queries * a.heads * a.keys * (a.key_dim + a.value_dim);
    // Smaller blocks where there would be too few for the threads.
    let block = (rows * a.kv_heads).div_ceil(threads()).clamp(1, BLOCK);
    let blocks = rows.div_ceil(block);
    let sizes = Sizes::new::<T>(a);
    let (first_block, count) = (a.blocks().start, a.blocks().len());
    let out = &Shared::new(out);
    let each = |packed: Option<&[f32]>| {
        for_each(blocks * a.kv_heads, work, |task| {
            let (kv_head, first) = (task / blocks, task % blocks * block);
            let rows = first..rows.min(first + block);
            let packed = packed.map(|packed| &packed[kv_head * count * sizes.block()..]);
            with_scratch(sizes.scratch(rows.len()), |scratch| {
                cpu.run(Block { a, sizes, q, k, v, packed, out, kv_head, rows, scratch });
            });
        });
    };
    if blocks == 1 {
        return each(None);
    }
    with_scratch(a.kv_heads * count * sizes.block(), |packed| {
        let shared = Shared::new(packed);
        for_each(a.kv_heads * count, work, |task| {
            let (kv_head, block) = (task / count, task % count);
            // SAFETY: each task has its own part.
            let packed = unsafe { shared.part(task * sizes.block()..(task + 1) * sizes.block()) };
            let first = (first_block + block) * KEYS;
            let keys = first..a.keys.min(first + KEYS);
            with_scratch(sizes.room, |room| cpu.run(PackKeys { a, sizes, k, v, kv_head, keys, room, packed }));
        });
        each(Some(packed));
    });
}

/// How much room things take, in numbers that begin on cache lines.
#[derive(Clone, Copy)]
struct Sizes {
    /// Units of a query or key.
    key_units: usize,
    /// Units of a column of [`KEYS`] values.
    value_units: usize,
    /// Numbers in a row of values, filled up to panels.
    value_width: usize,
    /// Units of [`KEYS`] unpacked keys or values.
    room: usize,
}

impl Sizes {
    fn new<T: Stored>(a: &Attention<'_>) -> Self {
        Self {
            key_units: units::<T::Element>(a.key_dim),
            value_units: units::<T::Element>(KEYS),
            value_width: a.value_dim.next_multiple_of(2 * MAX_LANES),
            room: KEYS * T::room(a.key_dim.max(a.value_dim)),
        }
    }

    /// A packed block of keys and values: the keys' panels, the values' panels, and 1 where all values are finite.
    fn block(&self) -> usize {
        KEYS * self.key_units + self.value_units * self.value_width + MAX_LANES
    }

    /// The scratch of a block of rows.
    fn scratch(&self, rows: usize) -> usize {
        self.parts(rows).iter().sum()
    }

    /// The parts of it, as in `block::Buffers`.
    fn parts(&self, rows: usize) -> [usize; 9] {
        let unpacked = rows * self.key_units.max(self.value_units);
        [
            rows * self.key_units,
            self.room,
            self.block(),
            unpacked,
            rows * KEYS,
            rows * self.value_units,
            rows * self.value_width,
            rows,
            rows,
        ]
        .map(|len| len.next_multiple_of(MAX_LANES))
    }
}
