//! Vectors of four, for 64-bit Arm.

use super::{Element, Kernel, Simd, check_fours, check_transpose};
use std::arch::aarch64::*;

/// Proof that the processor has NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// # Safety
    /// The processor has NEON.
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

const LANES: usize = 4;

// SAFETY, of every block below that gives no other reason: `self` proves that the processor has the instructions.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl Simd for Neon {
    type V = float32x4_t;

    const LANES: usize = LANES;
    const ROWS: usize = 12;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "neon")]
        fn run<K: Kernel>(s: Neon, kernel: K) -> K::Out {
            kernel.run(s)
        }
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    fn load(self, src: &[f32]) -> Self::V {
        // SAFETY: the slice has that many numbers.
        unsafe { vld1q_f32(src[..LANES].as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: Self::V, dst: &mut [f32]) {
        // SAFETY: the slice has that many numbers.
        unsafe { vst1q_f32(dst[..LANES].as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { vfmaq_f32(c, a, b) }
    }

    // These give NaN where either operand is NaN, which is more than the trait asks for.
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { vmaxq_f32(a, b) }
    }

    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { vminq_f32(a, b) }
    }

    #[inline(always)]
    fn shift_to_exponent(self, v: Self::V) -> Self::V {
        unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(v))) }
    }

    #[inline(always)]
    fn add_pixels(self, sums: Self::V, weight: i32, pixels: &[u8]) -> Self::V {
        let pixels: [u32; LANES] = std::array::from_fn(|i| pixels[i].into());
        unsafe {
            // SAFETY: the array has as many numbers as are loaded.
            let pixels = vreinterpretq_s32_u32(vld1q_u32(pixels.as_ptr()));
            vreinterpretq_f32_s32(vmlaq_n_s32(vreinterpretq_s32_f32(sums), pixels, weight))
        }
    }

    #[inline(always)]
    fn widen(self, units: Self::V) -> (Self::V, Self::V) {
        unsafe {
            let units = vreinterpretq_u32_f32(units);
            let high = vandq_u32(units, vdupq_n_u32(0xffff_0000));
            (vreinterpretq_f32_u32(vshlq_n_u32::<16>(units)), vreinterpretq_f32_u32(high))
        }
    }

    #[inline(always)]
    fn splat_four(self, four: &[f32]) -> Self::V {
        self.load(four)
    }

    #[inline(always)]
    fn load_fours<E: Element>(self, src: &[E], stride: usize) -> [Self::V; 4] {
        check_fours(LANES, src, stride);
        // SAFETY: the slice has that many units, and a load of bytes allows any address.
        let row = unsafe { vreinterpretq_f32_u8(vld1q_u8(src.as_ptr().cast())) };
        [row; 4]
    }

    #[inline(always)]
    fn transpose<E: Element>(self, src: &[E], stride: usize, dst: &mut [f32], strand: usize, width: usize) {
        let at = check_transpose(LANES, src, stride, dst, strand, width);
        let (src, dst) = (src.as_ptr(), dst.as_mut_ptr());
        // SAFETY: all of the 4 rows of 4 units that are read and written are inside of the slices, as just checked.
        // Rows of bf16 may begin at any even address, which a load of bytes allows.
        unsafe {
            let row = |r: usize| vreinterpretq_f32_u8(vld1q_u8(src.add(r * stride).cast()));
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            // Even and odd columns of pairs of rows, then the halves.
            let (ab0, ab1) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
            let (cd0, cd1) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
            let (ab0, ab1) = (vreinterpretq_f64_f32(ab0), vreinterpretq_f64_f32(ab1));
            let (cd0, cd1) = (vreinterpretq_f64_f32(cd0), vreinterpretq_f64_f32(cd1));
            let columns = [vtrn1q_f64(ab0, cd0), vtrn1q_f64(ab1, cd1), vtrn2q_f64(ab0, cd0), vtrn2q_f64(ab1, cd1)];
            for (u, column) in columns.into_iter().enumerate() {
                vst1q_f32(dst.add(at(u)), vreinterpretq_f32_f64(column));
            }
        }
    }
}
