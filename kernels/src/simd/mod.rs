//! Vectors of `f32` behind one trait, so that each kernel is written once.
//!
//! A value of a type that implements [`Simd`] is proof that the processor has its instructions, so the methods are
//! safe. They have to be inlined into a function that is compiled for those instructions: a kernel is a type that
//! implements [`Kernel`] with `#[inline(always)]`, and [`Simd::vectorize`] is that function.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;

use half::bf16;

/// The most lanes that a vector has.
pub(crate) const MAX_LANES: usize = 16;

/// A computation that is written for any [`Simd`].
pub(crate) trait Kernel {
    type Out;

    /// Implementations carry `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Out;
}

/// What weights are made of. Kernels take them in *units* of 32 bits, held in an `f32`: one `f32`, or two
/// neighbouring `bf16` of a row, the first in the low half.
pub(crate) trait Element: Copy + Send + Sync {
    /// Elements in a unit.
    const PER_UNIT: usize;

    /// The first unit of `elements`, which is not empty; what is missing is 0.
    fn unit(elements: &[Self]) -> f32;
}

impl Element for f32 {
    const PER_UNIT: usize = 1;

    #[inline(always)]
    fn unit(elements: &[Self]) -> f32 {
        elements[0]
    }
}

impl Element for bf16 {
    const PER_UNIT: usize = 2;

    #[inline(always)]
    fn unit(elements: &[Self]) -> f32 {
        let high = elements.get(1).map_or(0, |x| x.to_bits());
        f32::from_bits(u32::from(high) << 16 | u32::from(elements[0].to_bits()))
    }
}

/// Vectors of `f32`.
pub(crate) trait Simd: Copy + Send + Sync {
    /// A vector of [`Self::LANES`] numbers (or units).
    type V: Copy;

    /// Numbers in a vector, at most [`MAX_LANES`].
    const LANES: usize;

    /// Rows of the tile of two vectors' width that the registers hold: 12, 6 or 4.
    const ROWS: usize;

    /// Runs `kernel`, compiled for these instructions.
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out;

    fn splat(self, x: f32) -> Self::V;
    /// The first numbers of `src`; panics if there are too few.
    fn load(self, src: &[f32]) -> Self::V;
    /// Into the first numbers of `dst`; panics if there are too few.
    fn store(self, v: Self::V, dst: &mut [f32]);

    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once except on [`Portable`].
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger; NaN where `b` is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; NaN where `b` is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The bits of each number, shifted left by 23: a whole number in the low bits becomes an exponent.
    fn shift_to_exponent(self, v: Self::V) -> Self::V;
    /// The low and the high `bf16` of each unit.
    fn widen(self, units: Self::V) -> (Self::V, Self::V);

    /// `c` plus the products of the low and of the high `bf16` of two units.
    #[inline(always)]
    fn dot_pairs(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let ((a0, a1), (b0, b1)) = (self.widen(a), self.widen(b));
        self.fma(a1, b1, self.fma(a0, b0, c))
    }

    /// Transposes [`Self::LANES`] units of each of as many rows that begin `stride` elements from each other:
    /// `dst[u * width + r]` is unit `u` of row `r`. Panics where that is outside of a slice.
    #[inline(always)]
    fn transpose<E: Element>(self, src: &[E], stride: usize, dst: &mut [f32], width: usize) {
        for r in 0..Self::LANES {
            let row = &src[r * stride..][..Self::LANES * E::PER_UNIT];
            for (u, unit) in row.chunks_exact(E::PER_UNIT).enumerate() {
                dst[u * width + r] = E::unit(unit);
            }
        }
    }

    /// Asks for the cache line of an address, which need not be valid, to be brought to the second-level cache.
    #[inline(always)]
    fn prefetch<E: Element>(self, _: *const E) {}

    /// The lanes, then zeros.
    #[inline(always)]
    fn lanes(self, v: Self::V) -> [f32; MAX_LANES] {
        let mut lanes = [0.0; MAX_LANES];
        self.store(v, &mut lanes);
        lanes
    }

    /// The sum of the lanes, in order.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        self.lanes(v).iter().sum()
    }
}

/// Checks what [`Simd::transpose`] promises, for the implementations that work on pointers.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn check_transpose<E: Element>(lanes: usize, src: &[E], stride: usize, dst: &[f32], width: usize) {
    const { assert!(size_of::<E>() * E::PER_UNIT == size_of::<f32>()) };
    assert!(src.len() >= (lanes - 1) * stride + lanes * E::PER_UNIT && dst.len() >= (lanes - 1) * width + lanes);
}
