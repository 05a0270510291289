//! Sixteen lanes in two registers, for AVX2.

use super::{Kernel, Lanes};
use std::arch::x86_64::*;
use std::array::from_fn;

/// Proof that the processor has AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The processor has AVX2, FMA and F16C.
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY, of every block below that gives no other reason: `self` proves that the processor has the instructions, and
// references to arrays are as long as what is read or written.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl Lanes for Avx2 {
    type Bytes = [__m256i; 2];
    // The product of bytes saturates, that of 16-bit numbers does not: the even bytes and the odd ones, widened.
    type Codes = [[__m256i; 2]; 2];
    // The even activations and the odd ones, likewise.
    type Quad = [__m256i; 2];
    type Sums = [__m256i; 2];
    type Floats = [__m256; 2];

    const ROWS: usize = 4;
    const PANELS: usize = 1;
    const WORDS: usize = 2;
    const OFFSET: i32 = 0;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn run<K: Kernel>(l: Avx2, kernel: K) -> K::Out {
            kernel.run(l)
        }
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn load_bytes(self, src: &[u8; 64]) -> Self::Bytes {
        unsafe { [_mm256_loadu_si256(src.as_ptr().cast()), _mm256_loadu_si256(src.as_ptr().add(32).cast())] }
    }

    #[inline(always)]
    fn store_bytes(self, v: Self::Bytes, dst: &mut [u8; 64]) {
        unsafe {
            _mm256_storeu_si256(dst.as_mut_ptr().cast(), v[0]);
            _mm256_storeu_si256(dst.as_mut_ptr().add(32).cast(), v[1]);
        }
    }

    #[inline(always)]
    fn field(self, v: Self::Bytes, shift: i32, mask: u8) -> Self::Bytes {
        v.map(|v| unsafe {
            let count = _mm_cvtsi32_si128(shift.abs());
            let shifted = if shift < 0 { _mm256_sll_epi16(v, count) } else { _mm256_srl_epi16(v, count) };
            _mm256_and_si256(shifted, _mm256_set1_epi8(mask as i8))
        })
    }

    #[inline(always)]
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        from_fn(|i| unsafe { _mm256_or_si256(a[i], b[i]) })
    }

    #[inline(always)]
    fn codes(self, v: Self::Bytes) -> Self::Codes {
        v.map(|v| unsafe { [_mm256_and_si256(v, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(v)] })
    }

    #[inline(always)]
    fn store_quad(self, q: [i8; 4], dst: &mut [u32]) {
        let pair = |low: i8, high: i8| i32::from(low) as u32 & 0xffff | (i32::from(high) as u32) << 16;
        dst[0] = pair(q[0], q[2]);
        dst[1] = pair(q[1], q[3]);
    }

    #[inline(always)]
    fn quad(self, src: &[u32]) -> Self::Quad {
        unsafe { [_mm256_set1_epi32(src[0] as i32), _mm256_set1_epi32(src[1] as i32)] }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Sums, codes: Self::Codes, quad: Self::Quad) -> Self::Sums {
        from_fn(|i| unsafe {
            let even = _mm256_madd_epi16(codes[i][0], quad[0]);
            let odd = _mm256_madd_epi16(codes[i][1], quad[1]);
            _mm256_add_epi32(_mm256_add_epi32(sums[i], even), odd)
        })
    }

    #[inline(always)]
    fn splat_sums(self, x: i32) -> Self::Sums {
        [unsafe { _mm256_set1_epi32(x) }; 2]
    }

    #[inline(always)]
    fn floats(self, sums: Self::Sums) -> Self::Floats {
        sums.map(|sums| unsafe { _mm256_cvtepi32_ps(sums) })
    }

    #[inline(always)]
    fn halves(self, src: &[u8; 32]) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_cvtph_ps(_mm_loadu_si128(src.as_ptr().add(16 * i).cast())) })
    }

    #[inline(always)]
    fn unsigned(self, src: &[u8; 16]) -> Self::Floats {
        from_fn(|i| unsafe {
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(src.as_ptr().add(8 * i).cast())))
        })
    }

    #[inline(always)]
    fn signed(self, src: &[u8; 16]) -> Self::Floats {
        from_fn(|i| unsafe {
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(src.as_ptr().add(8 * i).cast())))
        })
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::Floats {
        [unsafe { _mm256_set1_ps(x) }; 2]
    }

    #[inline(always)]
    fn load(self, src: &[f32; 16]) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_loadu_ps(src.as_ptr().add(8 * i)) })
    }

    #[inline(always)]
    fn store(self, v: Self::Floats, dst: &mut [f32; 16]) {
        unsafe {
            _mm256_storeu_ps(dst.as_mut_ptr(), v[0]);
            _mm256_storeu_ps(dst.as_mut_ptr().add(8), v[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_add_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_sub_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_mul_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_div_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_min_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_max_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn pick(self, a: Self::Floats, b: Self::Floats, then: Self::Floats, or: Self::Floats) -> Self::Floats {
        from_fn(|i| unsafe { _mm256_blendv_ps(or[i], then[i], _mm256_cmp_ps::<_CMP_LT_OQ>(a[i], b[i])) })
    }
}
