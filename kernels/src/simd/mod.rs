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

use crate::Elements;
use half::bf16;

/// The most lanes that a vector has.
pub(crate) const MAX_LANES: usize = 16;

/// Sums that a result of a product is made of: unit `u` is added to sum `u % STRANDS`, and the sums to each other in the end,
/// in order. So few rows can be multiplied with units as they lie in memory, and many with packed ones, to the same bits.
pub(crate) const STRANDS: usize = 4;

/// Begins to load the cache line of `data[at]`, if there is one, where there is an instruction for that.
#[inline(always)]
pub(crate) fn prefetch<T>(data: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: prefetching faults nowhere, and every x86-64 processor can.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(data.as_ptr().wrapping_add(at).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, at);
}

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

    /// The elements of this type. Panics if they are of another.
    fn of(elements: Elements<'_>) -> &[Self];

    /// The first unit of `elements`, which is not empty; what is missing is 0.
    fn unit(elements: &[Self]) -> f32;

    /// Writes one unit for each column of two rows, or of `low` alone where a unit is one element; zeros for a row that is
    /// empty, and beyond the rows. Returns whether all elements are finite.
    fn join(low: &[Self], high: &[Self], units: &mut [f32]) -> bool;
}

impl Element for f32 {
    const PER_UNIT: usize = 1;

    fn of(elements: Elements<'_>) -> &[Self] {
        match elements {
            Elements::F32(elements) => elements,
            Elements::Bf16(_) => panic!("weights of one product in two types"),
        }
    }

    #[inline(always)]
    fn unit(elements: &[Self]) -> f32 {
        elements[0]
    }

    #[inline(always)]
    fn join(low: &[Self], _: &[Self], units: &mut [f32]) -> bool {
        units[..low.len()].copy_from_slice(low);
        units[low.len()..].fill(0.0);
        low.iter().fold(true, |finite, x| finite & x.is_finite())
    }
}

impl Element for bf16 {
    const PER_UNIT: usize = 2;

    fn of(elements: Elements<'_>) -> &[Self] {
        match elements {
            Elements::Bf16(elements) => elements,
            Elements::F32(_) => panic!("weights of one product in two types"),
        }
    }

    #[inline(always)]
    fn unit(elements: &[Self]) -> f32 {
        let high = elements.get(1).map_or(0, |x| x.to_bits());
        f32::from_bits(u32::from(high) << 16 | u32::from(elements[0].to_bits()))
    }

    #[inline(always)]
    fn join(low: &[Self], high: &[Self], units: &mut [f32]) -> bool {
        units[low.len()..].fill(0.0);
        let mut finite = true;
        if high.is_empty() {
            for (unit, low) in units.iter_mut().zip(low) {
                finite &= low.to_bits() & 0x7f80 != 0x7f80;
                *unit = f32::from_bits(u32::from(low.to_bits()));
            }
            return finite;
        }
        for ((unit, low), high) in units.iter_mut().zip(low).zip(high) {
            finite &= low.to_bits() & 0x7f80 != 0x7f80 && high.to_bits() & 0x7f80 != 0x7f80;
            *unit = f32::from_bits(u32::from(high.to_bits()) << 16 | u32::from(low.to_bits()));
        }
        finite
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
    /// For lanes whose bits are 32-bit integers: those of `sums`, plus `weight` times the first pixels of `pixels`, wrapping. Panics
    /// if there are too few.
    fn add_pixels(self, sums: Self::V, weight: i32, pixels: &[u8]) -> Self::V;
    /// The low and the high `bf16` of each unit.
    fn widen(self, units: Self::V) -> (Self::V, Self::V);

    /// `2^n` for a whole `n` in -126..=127.
    #[inline(always)]
    fn power_of_two(self, n: Self::V) -> Self::V {
        // 2^23 makes room: the sum's low bits are n + 127, the biased exponent.
        self.shift_to_exponent(self.add(n, self.splat(8_388_608.0 + 127.0)))
    }

    /// `x · 2^n` for a whole `n` in -252..=254, rounded once where that is not a normal number.
    #[inline(always)]
    fn times_power_of_two(self, x: Self::V, n: Self::V) -> Self::V {
        // In two factors, since n alone may be out of the exponent's range. Adding 1.5 · 2^23 rounds the first.
        let magic = self.splat(12_582_912.0);
        let half = self.sub(self.fma(n, self.splat(0.5), magic), magic);
        self.mul(self.mul(x, self.power_of_two(half)), self.power_of_two(self.sub(n, half)))
    }

    /// `c` plus the products of the low and of the high `bf16` of two units.
    #[inline(always)]
    fn dot_pairs(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let ((a0, a1), (b0, b1)) = (self.widen(a), self.widen(b));
        self.fma(a1, b1, self.fma(a0, b0, c))
    }

    /// `c` plus the products of units of elements of type `E`.
    #[inline(always)]
    fn dot_units<E: Element>(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        if E::PER_UNIT == 2 { self.dot_pairs(a, b, c) } else { self.fma(a, b, c) }
    }

    /// At most [`Self::LANES`] numbers, then `pad`.
    #[inline(always)]
    fn load_part(self, part: &[f32], pad: f32) -> Self::V {
        if part.len() == Self::LANES {
            return self.load(part);
        }
        let mut lanes = [pad; MAX_LANES];
        lanes[..part.len()].copy_from_slice(part);
        self.load(&lanes)
    }

    /// Into all of `part`, which has at most [`Self::LANES`] numbers.
    #[inline(always)]
    fn store_part(self, v: Self::V, part: &mut [f32]) {
        if part.len() == Self::LANES {
            return self.store(v, part);
        }
        part.copy_from_slice(&self.lanes(v)[..part.len()]);
    }

    /// Four numbers, over and over.
    #[inline(always)]
    fn splat_four(self, four: &[f32]) -> Self::V {
        let mut lanes = [0.0; MAX_LANES];
        for lanes in lanes.as_chunks_mut::<4>().0 {
            lanes.copy_from_slice(&four[..4]);
        }
        self.load(&lanes)
    }

    /// Loads [`Self::LANES`] units of each of `LANES / 4` rows that begin `stride` elements from each other: vector `i` of
    /// the result holds the `i`-th four units of each row, one row after the other. What is left of the result has no
    /// meaning. Panics where that is outside of the slice.
    #[inline(always)]
    fn load_fours<E: Element>(self, src: &[E], stride: usize) -> [Self::V; 4] {
        let mut fours = [[0.0; MAX_LANES]; 4];
        for row in 0..Self::LANES / 4 {
            let units = src[row * stride..][..Self::LANES * E::PER_UNIT].chunks_exact(E::PER_UNIT);
            for (u, unit) in units.enumerate() {
                fours[u / 4][row * 4 + u % 4] = E::unit(unit);
            }
        }
        [self.load(&fours[0]), self.load(&fours[1]), self.load(&fours[2]), self.load(&fours[3])]
    }

    /// Transposes [`Self::LANES`] units of each of as many rows that begin `stride` elements from each other: unit `u` of row
    /// `r` goes to `dst[u % 4 * strand + u / 4 * width + r]`. Panics where that is outside of a slice.
    #[inline(always)]
    fn transpose<E: Element>(self, src: &[E], stride: usize, dst: &mut [f32], strand: usize, width: usize) {
        for r in 0..Self::LANES {
            let row = &src[r * stride..][..Self::LANES * E::PER_UNIT];
            for (u, unit) in row.chunks_exact(E::PER_UNIT).enumerate() {
                dst[u % STRANDS * strand + u / STRANDS * width + r] = E::unit(unit);
            }
        }
    }

    /// The lanes, then zeros.
    #[inline(always)]
    fn lanes(self, v: Self::V) -> [f32; MAX_LANES] {
        let mut lanes = [0.0; MAX_LANES];
        self.store(v, &mut lanes);
        lanes
    }

    /// The sum of the lanes.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        self.fold(v, |a, b| a + b)
    }

    /// The largest of the lanes; what it is where one is NaN is left open.
    #[inline(always)]
    fn largest(self, v: Self::V) -> f32 {
        self.fold(v, |a, b| if a > b { a } else { b })
    }

    /// Joins the two halves of the lanes, then those of what comes of it, until one is left.
    #[inline(always)]
    fn fold(self, v: Self::V, join: impl Fn(f32, f32) -> f32) -> f32 {
        let mut lanes = self.lanes(v);
        let mut half = Self::LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] = join(lanes[i], lanes[i + half]);
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// Checks what [`Simd::transpose`] promises, for the implementations that work on pointers. Returns where unit `u` goes.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn check_transpose<E: Element>(
    lanes: usize,
    src: &[E],
    stride: usize,
    dst: &[f32],
    strand: usize,
    width: usize,
) -> impl Fn(usize) -> usize + use<E> {
    const { assert!(size_of::<E>() * E::PER_UNIT == size_of::<f32>()) };
    assert!(src.len() >= (lanes - 1) * stride + lanes * E::PER_UNIT);
    assert!(dst.len() >= (STRANDS - 1) * strand + (lanes / STRANDS - 1) * width + lanes);
    move |u| u % STRANDS * strand + u / STRANDS * width
}

/// Checks what [`Simd::load_fours`] promises.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn check_fours<E: Element>(lanes: usize, src: &[E], stride: usize) {
    const { assert!(size_of::<E>() * E::PER_UNIT == size_of::<f32>()) };
    assert!(src.len() >= (lanes / 4 - 1) * stride + lanes * E::PER_UNIT);
}
