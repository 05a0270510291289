//! Keys and values, packed.

use super::{Attention, KEYS, Parts, Sizes, Stored};
use crate::simd::{Element, Kernel, Simd};
use crate::tile::{pack, panel, units};
use std::ops::Range;

/// Packs a block of keys and values of one head.
pub(super) struct PackKeys<'a, T> {
    pub a: &'a Attention<'a>,
    pub sizes: Sizes,
    pub k: Parts<'a, T>,
    pub v: Parts<'a, T>,
    pub kv_head: usize,
    /// At most [`KEYS`], all in one part.
    pub keys: Range<usize>,
    /// [`Sizes::room`] numbers.
    pub room: &'a mut [f32],
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

impl<T: Stored> Kernel for PackKeys<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (a, width) = (self.a, panel::<S>());
        let (packed_keys, rest) = self.packed.split_at_mut(KEYS * self.sizes.key_units);
        let (packed_values, rest) = rest.split_at_mut(self.sizes.value_units * self.sizes.value_width);
        let k = self.k.open(&self.keys, self.kv_head, a.key_dim, self.room);
        for (first, packed) in
            (0..self.keys.len()).step_by(width).zip(packed_keys.chunks_exact_mut((width * self.sizes.key_units).max(1)))
        {
            let rows = &k.data[first * k.stride..];
            pack(s, rows, k.stride, width.min(self.keys.len() - first), a.key_dim, packed, width);
        }
        let v = self.v.open(&self.keys, self.kv_head, a.value_dim, self.room);
        let mut finite = true;
        let panels = packed_values.chunks_exact_mut(self.sizes.value_units * width);
        for (column, packed) in (0..a.value_dim).step_by(width).zip(panels) {
            let columns = column..a.value_dim.min(column + width);
            let lines = packed.chunks_exact_mut(width).take(units::<T::Element>(self.keys.len()));
            for (unit, line) in lines.enumerate() {
                let key = unit * T::Element::PER_UNIT;
                let low = v.part(key, 0, columns.clone());
                let high = if T::Element::PER_UNIT == 2 && key + 1 < self.keys.len() {
                    v.part(key + 1, 0, columns.clone())
                } else {
                    &[]
                };
                finite &= T::Element::join(low, high, line);
            }
        }
        rest[0] = f32::from(u8::from(finite));
    }
}
