//! Sixteen outputs at a time, whatever the width of the processor's registers.
//!
//! The packed forms of weights have panels of sixteen outputs on every processor, so that they, and the products, are
//! the same everywhere. All that a [`Lanes`] computes is exact (integers) or one rounding of f32 per step (no fused
//! multiply-add), hence bit for bit what [`Portable`] computes.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

pub(in crate::quantized) use portable::Portable;

use crate::{Cpu, Isa};

/// A computation that is written for any [`Lanes`].
pub(crate) trait Kernel {
    type Out;

    /// Implementations carry `#[inline(always)]`.
    fn run<L: Lanes>(self, l: L) -> Self::Out;
}

/// Sixteen lanes, one for each output of a panel. A value is proof that the processor has the instructions.
pub(crate) trait Lanes: Copy + Send + Sync {
    /// Four codes of each lane, the first lane's first.
    type Bytes: Copy;
    /// [`Self::Bytes`] as [`Self::dot`] takes them.
    type Codes: Copy;
    /// Four activations for all lanes, as [`Self::dot`] takes them.
    type Quad: Copy;
    /// 32-bit integers.
    type Sums: Copy;
    /// 32-bit floats.
    type Floats: Copy;

    /// Rows, at most 6, and panels of the tile that the registers hold.
    const ROWS: usize;
    const PANELS: usize;
    /// 32-bit words that a quad takes in memory.
    const WORDS: usize;
    /// What [`Self::codes`] subtracts from each code: [`Self::dot`] is of signed numbers on some processors.
    const OFFSET: i32;

    /// Runs `kernel`, compiled for these instructions.
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out;

    fn load_bytes(self, src: &[u8; 64]) -> Self::Bytes;
    fn store_bytes(self, v: Self::Bytes, dst: &mut [u8; 64]);
    /// Each byte shifted, to the right if `shift` is positive, and then masked. Bits of a neighbour that are shifted in
    /// have to be masked out.
    fn field(self, v: Self::Bytes, shift: i32, mask: u8) -> Self::Bytes;
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    fn codes(self, v: Self::Bytes) -> Self::Codes;

    /// Writes four activations to the first words of `dst`, for [`Self::quad`] to read.
    fn store_quad(self, q: [i8; 4], dst: &mut [u32]);
    fn quad(self, src: &[u32]) -> Self::Quad;
    /// `sums` plus the four products of each lane.
    fn dot(self, sums: Self::Sums, codes: Self::Codes, quad: Self::Quad) -> Self::Sums;

    fn splat_sums(self, x: i32) -> Self::Sums;
    /// Exact for magnitudes up to 2^24.
    fn floats(self, sums: Self::Sums) -> Self::Floats;
    /// From f16, little-endian. Exact.
    fn halves(self, src: &[u8; 32]) -> Self::Floats;
    fn unsigned(self, src: &[u8; 16]) -> Self::Floats;
    fn signed(self, src: &[u8; 16]) -> Self::Floats;

    fn splat(self, x: f32) -> Self::Floats;
    fn load(self, src: &[f32; 16]) -> Self::Floats;
    fn store(self, v: Self::Floats, dst: &mut [f32; 16]);
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a` where it is the smaller, else `b`.
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a` where it is the larger, else `b`.
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `then` where `a < b`, else `or`, also where either is NaN.
    fn pick(self, a: Self::Floats, b: Self::Floats, then: Self::Floats, or: Self::Floats) -> Self::Floats;
}

/// Runs `kernel` with the best lanes that belong to a family: AVX-512 without VNNI uses AVX2's, and AVX2 without F16C
/// (which no processor is known to lack) plain Rust.
pub(crate) fn run<K: Kernel>(cpu: Cpu, kernel: K) -> K::Out {
    match cpu.isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 | Isa::Avx512 if is_x86_feature_detected!("avx512vnni") => {
            // SAFETY: a `Cpu` of this family proves all that is needed but for VNNI, which was just found.
            unsafe { avx512::Avx512Vnni::new() }.vectorize(kernel)
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 | Isa::Avx512 | Isa::Avx2 if is_x86_feature_detected!("f16c") => {
            // SAFETY: these families include AVX2, and F16C was just found.
            unsafe { avx2::Avx2::new() }.vectorize(kernel)
        }
        #[cfg(target_arch = "aarch64")]
        Isa::Neon if std::arch::is_aarch64_feature_detected!("dotprod") => {
            // SAFETY: a `Cpu` of this family proves NEON, and the dot product was just found.
            unsafe { neon::Neon::<true>::new() }.vectorize(kernel)
        }
        // SAFETY: a `Cpu` of this family proves NEON.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { neon::Neon::<false>::new() }.vectorize(kernel),
        _ => Portable.vectorize(kernel),
    }
}
