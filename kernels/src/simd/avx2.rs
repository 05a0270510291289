//! Vectors of eight, for AVX2 and FMA.

use super::{Element, Kernel, Simd, check_fours, check_transpose};
use std::arch::x86_64::*;

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The processor has AVX2 and FMA.
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

const LANES: usize = 8;

// SAFETY, of every block below that gives no other reason: `self` proves that the processor has the instructions.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl Simd for Avx2 {
    type V = __m256;

    const LANES: usize = LANES;
    const ROWS: usize = 6;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "avx2,fma")]
        fn run<K: Kernel>(s: Avx2, kernel: K) -> K::Out {
            kernel.run(s)
        }
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, src: &[f32]) -> Self::V {
        // SAFETY: the slice has that many numbers.
        unsafe { _mm256_loadu_ps(src[..LANES].as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: Self::V, dst: &mut [f32]) {
        // SAFETY: the slice has that many numbers.
        unsafe { _mm256_storeu_ps(dst[..LANES].as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    // The instruction gives its second operand where either is NaN, which is what the trait asks for.
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn shift_to_exponent(self, v: Self::V) -> Self::V {
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(v))) }
    }

    #[inline(always)]
    fn add_pixels(self, sums: Self::V, weight: i32, pixels: &[u8]) -> Self::V {
        unsafe {
            // SAFETY: the slice has as many pixels as are loaded.
            let pixels = _mm256_cvtepu8_epi32(_mm_loadl_epi64(pixels[..LANES].as_ptr().cast()));
            let products = _mm256_mullo_epi32(_mm256_set1_epi32(weight), pixels);
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sums), products))
        }
    }

    #[inline(always)]
    fn widen(self, units: Self::V) -> (Self::V, Self::V) {
        unsafe {
            let units = _mm256_castps_si256(units);
            let high = _mm256_and_si256(units, _mm256_set1_epi32(0xffff_0000_u32 as i32));
            (_mm256_castsi256_ps(_mm256_slli_epi32::<16>(units)), _mm256_castsi256_ps(high))
        }
    }

    #[inline(always)]
    fn splat_four(self, four: &[f32]) -> Self::V {
        // SAFETY: the slice has that many numbers.
        unsafe { _mm256_broadcast_ps(&_mm_loadu_ps(four[..4].as_ptr())) }
    }

    #[inline(always)]
    fn load_fours<E: Element>(self, src: &[E], stride: usize) -> [Self::V; 4] {
        check_fours(LANES, src, stride);
        // SAFETY: the two rows of 8 units are inside of the slice, as just checked.
        unsafe {
            let (a, b) = (_mm256_loadu_ps(src.as_ptr().cast()), _mm256_loadu_ps(src.as_ptr().add(stride).cast()));
            let zero = _mm256_setzero_ps();
            [_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b), zero, zero]
        }
    }

    #[inline(always)]
    fn transpose<E: Element>(self, src: &[E], stride: usize, dst: &mut [f32], strand: usize, width: usize) {
        let at = check_transpose(LANES, src, stride, dst, strand, width);
        let (src, dst) = (src.as_ptr(), dst.as_mut_ptr());
        // SAFETY: all of the 8 rows of 8 units that are read and written are inside of the slices, as just checked.
        unsafe {
            let mut a = [_mm256_setzero_ps(); LANES];
            for (r, a) in a.iter_mut().enumerate() {
                *a = _mm256_loadu_ps(src.add(r * stride).cast());
            }
            // Pairs of rows, then fours within each half of a vector, then the halves.
            let mut b = a;
            for i in 0..4 {
                b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
                b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
            }
            for i in [0, 4] {
                a[i] = _mm256_shuffle_ps::<0x44>(b[i], b[i + 2]);
                a[i + 1] = _mm256_shuffle_ps::<0xee>(b[i], b[i + 2]);
                a[i + 2] = _mm256_shuffle_ps::<0x44>(b[i + 1], b[i + 3]);
                a[i + 3] = _mm256_shuffle_ps::<0xee>(b[i + 1], b[i + 3]);
            }
            for i in 0..4 {
                _mm256_storeu_ps(dst.add(at(i)), _mm256_permute2f128_ps::<0x20>(a[i], a[i + 4]));
                _mm256_storeu_ps(dst.add(at(i + 4)), _mm256_permute2f128_ps::<0x31>(a[i], a[i + 4]));
            }
        }
    }
}
