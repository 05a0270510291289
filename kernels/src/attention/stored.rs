//! What keys and values lie in memory as.

use super::{Parts, Rows};
use crate::q8;
use crate::simd::Element;
use half::bf16;
use std::ops::Range;

/// What keys and values lie in memory as: elements that products are made of, or something that they are unpacked from, a
/// block of keys at a time, where it stays in the processor's cache.
pub(super) trait Stored: Copy + Send + Sync {
    /// What they are multiplied as.
    type Element: Element;

    /// How many there are in a row of `width` numbers.
    fn len(width: usize) -> usize;

    /// Units that unpacked rows of `width` numbers take each.
    fn room(width: usize) -> usize;

    /// The first `count` rows of the first head, unpacked into `room` if need be.
    fn open<'a>(rows: Rows<'a, Self>, count: usize, width: usize, room: &'a mut [f32]) -> Rows<'a, Self::Element>;
}

impl<E: Element> Stored for E {
    type Element = E;

    fn len(width: usize) -> usize {
        width
    }

    fn room(_: usize) -> usize {
        0
    }

    #[inline(always)]
    fn open<'a>(rows: Rows<'a, E>, _: usize, _: usize, _: &'a mut [f32]) -> Rows<'a, E> {
        rows
    }
}

/// The bytes of [`q8`].
impl Stored for u8 {
    type Element = bf16;

    fn len(width: usize) -> usize {
        q8::bytes(width)
    }

    fn room(width: usize) -> usize {
        // Rows begin on whole vectors.
        width.next_multiple_of(2 * crate::simd::MAX_LANES) / 2
    }

    #[inline(always)]
    fn open<'a>(rows: Rows<'a, u8>, count: usize, width: usize, room: &'a mut [f32]) -> Rows<'a, bf16> {
        let stride = 2 * Self::room(width);
        let room = pairs(room);
        for (row, room) in room.chunks_exact_mut(stride.max(1)).take(count).enumerate() {
            q8::unpack_bf16(rows.part(row, 0, 0..q8::bytes(width)), &mut room[..width]);
        }
        Rows { data: room, stride, head_stride: 0 }
    }
}

/// Two elements for each unit.
fn pairs(units: &mut [f32]) -> &mut [bf16] {
    let len = 2 * units.len();
    // SAFETY: `bf16` are 16 bits of which each value is one, and may lie wherever an `f32` does.
    unsafe { std::slice::from_raw_parts_mut(units.as_mut_ptr().cast(), len) }
}

impl<'a, T: Stored> Parts<'a, T> {
    /// A head's rows of some keys, all in one part.
    #[inline(always)]
    pub fn open<'o>(&self, keys: &Range<usize>, head: usize, width: usize, room: &'o mut [f32]) -> Rows<'o, T::Element>
    where
        'a: 'o,
    {
        T::open(self.from(keys.start).head(head), keys.len(), width, room)
    }
}
