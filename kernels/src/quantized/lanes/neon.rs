//! Sixteen lanes in four registers, for 64-bit Arm with or without the dot product of bytes.

use super::{Kernel, Lanes};
use std::arch::aarch64::*;
use std::arch::asm;
use std::array::from_fn;

/// Proof that the processor has NEON, and the dot product if so marked.
#[derive(Clone, Copy)]
pub(super) struct Neon<const DOT: bool>(());

impl<const DOT: bool> Neon<DOT> {
    /// # Safety
    /// The processor has NEON, and the dot product if `DOT`.
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY, of every block below that gives no other reason: `self` proves that the processor has the instructions, and
// references to arrays are as long as what is read or written.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl<const DOT: bool> Lanes for Neon<DOT> {
    type Bytes = [uint8x16_t; 4];
    type Codes = [int8x16_t; 4];
    type Quad = int8x16_t;
    type Sums = [int32x4_t; 4];
    type Floats = [float32x4_t; 4];

    const ROWS: usize = 4;
    const PANELS: usize = 1;
    const WORDS: usize = 1;
    const OFFSET: i32 = 128;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "neon")]
        fn run<K: Kernel, const DOT: bool>(l: Neon<DOT>, kernel: K) -> K::Out {
            kernel.run(l)
        }
        #[target_feature(enable = "neon,dotprod")]
        fn run_dot<K: Kernel, const DOT: bool>(l: Neon<DOT>, kernel: K) -> K::Out {
            kernel.run(l)
        }
        unsafe { if DOT { run_dot(self, kernel) } else { run(self, kernel) } }
    }

    #[inline(always)]
    fn load_bytes(self, src: &[u8; 64]) -> Self::Bytes {
        from_fn(|i| unsafe { vld1q_u8(src.as_ptr().add(16 * i)) })
    }

    #[inline(always)]
    fn store_bytes(self, v: Self::Bytes, dst: &mut [u8; 64]) {
        for (v, dst) in v.into_iter().zip(dst.as_chunks_mut::<16>().0) {
            unsafe { vst1q_u8(dst.as_mut_ptr(), v) }
        }
    }

    #[inline(always)]
    fn field(self, v: Self::Bytes, shift: i32, mask: u8) -> Self::Bytes {
        // A shift to the left by a negative number is one to the right.
        v.map(|v| unsafe { vandq_u8(vshlq_u8(v, vdupq_n_s8(-shift as i8)), vdupq_n_u8(mask)) })
    }

    #[inline(always)]
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        from_fn(|i| unsafe { vorrq_u8(a[i], b[i]) })
    }

    #[inline(always)]
    fn codes(self, v: Self::Bytes) -> Self::Codes {
        v.map(|v| unsafe { vreinterpretq_s8_u8(veorq_u8(v, vdupq_n_u8(0x80))) })
    }

    #[inline(always)]
    fn store_quad(self, q: [i8; 4], dst: &mut [u32]) {
        dst[0] = u32::from_le_bytes(q.map(|q| q as u8));
    }

    #[inline(always)]
    fn quad(self, src: &[u32]) -> Self::Quad {
        unsafe { vreinterpretq_s8_u32(vdupq_n_u32(src[0])) }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, codes: Self::Codes, quad: Self::Quad) -> Self::Sums {
        from_fn(|i| unsafe {
            if DOT {
                // SAFETY: `self` proves the instruction, for which the standard library has no stable function.
                let mut sum = sums[i];
                asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sum, in(vreg) codes[i], in(vreg) quad,
                     options(pure, nomem, nostack, preserves_flags));
                return sum;
            }
            // Two products fit 16 bits, since no activation is -128.
            let low = vmull_s8(vget_low_s8(codes[i]), vget_low_s8(quad));
            vpadalq_s16(sums[i], vpaddq_s16(low, vmull_high_s8(codes[i], quad)))
        })
    }

    #[inline(always)]
    fn splat_sums(self, x: i32) -> Self::Sums {
        [unsafe { vdupq_n_s32(x) }; 4]
    }

    #[inline(always)]
    fn floats(self, sums: Self::Sums) -> Self::Floats {
        sums.map(|sums| unsafe { vcvtq_f32_s32(sums) })
    }

    #[inline(always)]
    fn halves(self, src: &[u8; 32]) -> Self::Floats {
        from_fn(|i| unsafe {
            // SAFETY: NEON has the conversion, for which the standard library's function needs another type of vector.
            let halves = vld1_u8(src.as_ptr().add(8 * i));
            let floats: float32x4_t;
            asm!("fcvtl {0:v}.4s, {1:v}.4h", lateout(vreg) floats, in(vreg) halves,
                 options(pure, nomem, nostack, preserves_flags));
            floats
        })
    }

    #[inline(always)]
    fn unsigned(self, src: &[u8; 16]) -> Self::Floats {
        unsafe {
            let v = vld1q_u8(src.as_ptr());
            let (low, high) = (vmovl_u8(vget_low_u8(v)), vmovl_high_u8(v));
            let words = [vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high))];
            [words[0], words[1], words[2], vmovl_high_u16(high)].map(|v| vcvtq_f32_u32(v))
        }
    }

    #[inline(always)]
    fn signed(self, src: &[u8; 16]) -> Self::Floats {
        unsafe {
            let v = vreinterpretq_s8_u8(vld1q_u8(src.as_ptr()));
            let (low, high) = (vmovl_s8(vget_low_s8(v)), vmovl_high_s8(v));
            let words = [vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high))];
            [words[0], words[1], words[2], vmovl_high_s16(high)].map(|v| vcvtq_f32_s32(v))
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::Floats {
        [unsafe { vdupq_n_f32(x) }; 4]
    }

    #[inline(always)]
    fn load(self, src: &[f32; 16]) -> Self::Floats {
        from_fn(|i| unsafe { vld1q_f32(src.as_ptr().add(4 * i)) })
    }

    #[inline(always)]
    fn store(self, v: Self::Floats, dst: &mut [f32; 16]) {
        for (v, dst) in v.into_iter().zip(dst.as_chunks_mut::<4>().0) {
            unsafe { vst1q_f32(dst.as_mut_ptr(), v) }
        }
    }

    #[inline(always)]
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { vaddq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { vsubq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { vmulq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { vdivq_f32(a[i], b[i]) })
    }

    // Not `vminq_f32` nor `vmaxq_f32`, which treat NaN and the sign of 0 in another way.
    #[inline(always)]
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        self.pick(a, b, a, b)
    }

    #[inline(always)]
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        self.pick(b, a, a, b)
    }

    #[inline(always)]
    fn pick(self, a: Self::Floats, b: Self::Floats, then: Self::Floats, or: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { vbslq_f32(vcltq_f32(a[i], b[i]), then[i], or[i]) })
    }
}
