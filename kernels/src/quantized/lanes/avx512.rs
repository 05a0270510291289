//! Sixteen lanes in one register, for AVX-512 with VNNI.

use super::{Kernel, Lanes};
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 F, BW, VL and VNNI, AVX2, FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx512Vnni(());

impl Avx512Vnni {
    /// # Safety
    /// The processor has AVX-512 F, BW, VL and VNNI, AVX2 and FMA.
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY, of every block below that gives no other reason: `self` proves that the processor has the instructions, and
// references to arrays are as long as what is read or written.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl Lanes for Avx512Vnni {
    type Bytes = __m512i;
    type Codes = __m512i;
    type Quad = __m512i;
    type Sums = __m512i;
    type Floats = __m512;

    // 12 sums of integers and 12 of floats; a load of codes, which come from the second cache, serves six rows.
    const ROWS: usize = 6;
    const PANELS: usize = 2;
    const WORDS: usize = 1;
    const OFFSET: i32 = 0;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
        fn run<K: Kernel>(l: Avx512Vnni, kernel: K) -> K::Out {
            kernel.run(l)
        }
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn load_bytes(self, src: &[u8; 64]) -> Self::Bytes {
        unsafe { _mm512_loadu_si512(src.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_bytes(self, v: Self::Bytes, dst: &mut [u8; 64]) {
        unsafe { _mm512_storeu_si512(dst.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn field(self, v: Self::Bytes, shift: i32, mask: u8) -> Self::Bytes {
        unsafe {
            let count = _mm_cvtsi32_si128(shift.abs());
            let shifted = if shift < 0 { _mm512_sll_epi16(v, count) } else { _mm512_srl_epi16(v, count) };
            _mm512_and_si512(shifted, _mm512_set1_epi8(mask as i8))
        }
    }

    #[inline(always)]
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        unsafe { _mm512_or_si512(a, b) }
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
        unsafe { _mm512_set1_epi32(src[0] as i32) }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, codes: Self::Codes, quad: Self::Quad) -> Self::Sums {
        unsafe { _mm512_dpbusd_epi32(sums, codes, quad) }
    }

    #[inline(always)]
    fn splat_sums(self, x: i32) -> Self::Sums {
        unsafe { _mm512_set1_epi32(x) }
    }

    #[inline(always)]
    fn floats(self, sums: Self::Sums) -> Self::Floats {
        unsafe { _mm512_cvtepi32_ps(sums) }
    }

    #[inline(always)]
    fn halves(self, src: &[u8; 32]) -> Self::Floats {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(src.as_ptr().cast())) }
    }

    #[inline(always)]
    fn unsigned(self, src: &[u8; 16]) -> Self::Floats {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(src.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn signed(self, src: &[u8; 16]) -> Self::Floats {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(src.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::Floats {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, src: &[f32; 16]) -> Self::Floats {
        unsafe { _mm512_loadu_ps(src.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: Self::Floats, dst: &mut [f32; 16]) {
        unsafe { _mm512_storeu_ps(dst.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn pick(self, a: Self::Floats, b: Self::Floats, then: Self::Floats, or: Self::Floats) -> Self::Floats {
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), or, then) }
    }
}
