//! Vectors in plain Rust.

use super::{Kernel, Simd};
use std::array::from_fn;

/// Four numbers, which every compiler target with vectors has registers for.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const LANES: usize = 4;

impl Simd for Portable {
    type V = [f32; LANES];

    const LANES: usize = LANES;
    const ROWS: usize = 4;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, src: &[f32]) -> Self::V {
        let src = &src[..LANES];
        from_fn(|i| src[i])
    }

    #[inline(always)]
    fn store(self, v: Self::V, dst: &mut [f32]) {
        dst[..LANES].copy_from_slice(&v);
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] / b[i])
    }

    // Not `f32::mul_add`, which is a call into a library where the processor has no such instruction.
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        from_fn(|i| a[i] * b[i] + c[i])
    }

    // Not `f32::max`, which drops NaN.
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn shift_to_exponent(self, v: Self::V) -> Self::V {
        v.map(|x| f32::from_bits(x.to_bits() << 23))
    }

    #[inline(always)]
    fn add_pixels(self, sums: Self::V, weight: i32, pixels: &[u8]) -> Self::V {
        from_fn(|i| {
            let sum = sums[i].to_bits().cast_signed();
            f32::from_bits(sum.wrapping_add(weight.wrapping_mul(pixels[i].into())).cast_unsigned())
        })
    }

    #[inline(always)]
    fn widen(self, units: Self::V) -> (Self::V, Self::V) {
        (units.map(|x| f32::from_bits(x.to_bits() << 16)), units.map(|x| f32::from_bits(x.to_bits() & 0xffff_0000)))
    }
}
