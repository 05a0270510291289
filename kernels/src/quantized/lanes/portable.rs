//! Sixteen lanes in plain Rust.

use super::{Kernel, Lanes};
use half::f16;
use std::array::from_fn;

/// What every other implementation has to equal.
#[derive(Clone, Copy)]
pub(in super::super) struct Portable;

impl Lanes for Portable {
    type Bytes = [u8; 64];
    type Codes = [u8; 64];
    type Quad = [i8; 4];
    type Sums = [i32; 16];
    type Floats = [f32; 16];

    const ROWS: usize = 2;
    const PANELS: usize = 1;
    const WORDS: usize = 1;
    const OFFSET: i32 = 0;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out {
        kernel.run(self)
    }

    #[inline(always)]
    fn load_bytes(self, src: &[u8; 64]) -> Self::Bytes {
        *src
    }

    #[inline(always)]
    fn store_bytes(self, v: Self::Bytes, dst: &mut [u8; 64]) {
        *dst = v;
    }

    #[inline(always)]
    fn field(self, v: Self::Bytes, shift: i32, mask: u8) -> Self::Bytes {
        v.map(|byte| if shift < 0 { byte << -shift } else { byte >> shift } & mask)
    }

    #[inline(always)]
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    fn codes(self, v: Self::Bytes) -> Self::Codes {
        v
    }

    #[inline(always)]
    fn store_quad(self, q: [i8; 4], dst: &mut [u32]) {
        dst[0] = u32::from_le_bytes(q.map(|q| q as u8));
    }

    #[inline(always)]
    fn quad(self, src: &[u32]) -> Self::Quad {
        src[0].to_le_bytes().map(|q| q as i8)
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, codes: Self::Codes, quad: Self::Quad) -> Self::Sums {
        from_fn(|lane| {
            let product = |i: usize| i32::from(codes[4 * lane + i]) * i32::from(quad[i]);
            sums[lane] + product(0) + product(1) + product(2) + product(3)
        })
    }

    #[inline(always)]
    fn splat_sums(self, x: i32) -> Self::Sums {
        [x; 16]
    }

    #[inline(always)]
    fn floats(self, sums: Self::Sums) -> Self::Floats {
        sums.map(|x| x as f32)
    }

    #[inline(always)]
    fn halves(self, src: &[u8; 32]) -> Self::Floats {
        from_fn(|lane| f16::from_le_bytes([src[2 * lane], src[2 * lane + 1]]).to_f32())
    }

    #[inline(always)]
    fn unsigned(self, src: &[u8; 16]) -> Self::Floats {
        src.map(f32::from)
    }

    #[inline(always)]
    fn signed(self, src: &[u8; 16]) -> Self::Floats {
        src.map(|x| f32::from(x as i8))
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::Floats {
        [x; 16]
    }

    #[inline(always)]
    fn load(self, src: &[f32; 16]) -> Self::Floats {
        *src
    }

    #[inline(always)]
    fn store(self, v: Self::Floats, dst: &mut [f32; 16]) {
        *dst = v;
    }

    #[inline(always)]
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| a[i] / b[i])
    }

    // Neither `f32::min` nor `max`, which drop NaN.
    #[inline(always)]
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn pick(self, a: Self::Floats, b: Self::Floats, then: Self::Floats, or: Self::Floats) -> Self::Floats {
        from_fn(|i| if a[i] < b[i] { then[i] } else { or[i] })
    }
}
