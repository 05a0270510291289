//! Keys and values, packed.

use super::{Attention, KEYS, Parts, Sizes};
use crate::simd::{Element, Kernel, Simd};
use crate::tile::{pack, panel, units};
use std::ops::Range;

/// Packs a block of keys and values of one head.
pub(super) struct PackKeys<'a, E> {
    pub a: &'a Attention<'a>,
    pub sizes: Sizes,
    pub k: Parts<'a, E>,
    pub v: Parts<'a, E>,
    pub kv_head: usize,
    /// At most [`KEYS`], all in one part.
    pub keys: Range<usize>,
    /// [`Sizes::block`] numbers.
    pub packed: &'a mut [f32],
}

/// A packed block of keys and values.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    /// Panels of keys, `[key units, panel]` each.
    pub keys: &'a [f32],
    /// Panels of columns of values, `[units of keys, panel]` each, of which `value_units` are there.
    pub values: &'a [f32],
    /// Whether no value is NaN or infinite.
    pub finite: bool,
}

impl<'a> Packed<'a> {
    pub fn new(sizes: Sizes, packed: &'a [f32]) -> Self {
        let (keys, rest) = packed.split_at(KEYS * sizes.key_units);
        let (values, rest) = rest.split_at(sizes.value_units * sizes.value_width);
        Self { keys, values, finite: rest[0] == 1.0 }
    }
}

impl<E: Element> Kernel for PackKeys<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (a, width) = (self.a, panel::<S>());
        let (k, v) = (self.k.from(self.keys.start), self.v.from(self.keys.start));
        let (packed_keys, rest) = self.packed.split_at_mut(KEYS * self.sizes.key_units);
        let (packed_values, rest) = rest.split_at_mut(self.sizes.value_units * self.sizes.value_width);
        for (first, packed) in
            (0..self.keys.len()).step_by(width).zip(packed_keys.chunks_exact_mut((width * self.sizes.key_units).max(1)))
        {
            let rows = &k.data[first * k.stride + self.kv_head * k.head_stride..];
            pack(s, rows, k.stride, width.min(self.keys.len() - first), a.key_dim, packed, width);
        }
        let mut finite = true;
        let panels = packed_values.chunks_exact_mut(self.sizes.value_units * width);
        for (column, packed) in (0..a.value_dim).step_by(width).zip(panels) {
            let columns = column..a.value_dim.min(column + width);
            let lines = packed.chunks_exact_mut(width).take(units::<E>(self.keys.len()));
            for (unit, line) in lines.enumerate() {
                let key = unit * E::PER_UNIT;
                let low = v.part(key, self.kv_head, columns.clone());
                let high = if E::PER_UNIT == 2 && key + 1 < self.keys.len() {
                    v.part(key + 1, self.kv_head, columns.clone())
                } else {
                    &[]
                };
                finite &= E::join(low, high, line);
            }
        }
        rest[0] = f32::from(u8::from(finite));
    }
}
