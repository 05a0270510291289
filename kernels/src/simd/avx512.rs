//! Vectors of sixteen, for AVX-512, with or without its bf16 dot product.

use super::{Element, Kernel, Simd, check_fours, check_transpose};
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 F, BW and VL, and BF16 if so marked.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const BF16: bool>(());

impl<const BF16: bool> Avx512<BF16> {
    /// # Safety
    /// The processor has AVX-512 F, BW and VL, AVX2 and FMA, and AVX-512 BF16 if `BF16`.
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

const LANES: usize = 16;

// SAFETY, of every block below that gives no other reason: `self` proves that the processor has the instructions.
#[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
impl<const BF16: bool> Simd for Avx512<BF16> {
    type V = __m512;

    const LANES: usize = LANES;
    const ROWS: usize = 12;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
        fn run<K: Kernel, const BF16: bool>(s: Avx512<BF16>, kernel: K) -> K::Out {
            kernel.run(s)
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
        fn run_bf16<K: Kernel, const BF16: bool>(s: Avx512<BF16>, kernel: K) -> K::Out {
            kernel.run(s)
        }
        unsafe { if BF16 { run_bf16(self, kernel) } else { run(self, kernel) } }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, src: &[f32]) -> Self::V {
        // SAFETY: the slice has that many numbers.
        unsafe { _mm512_loadu_ps(src[..LANES].as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: Self::V, dst: &mut [f32]) {
        // SAFETY: the slice has that many numbers.
        unsafe { _mm512_storeu_ps(dst[..LANES].as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    // The instruction gives its second operand where either is NaN, which is what the trait asks for.
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn shift_to_exponent(self, v: Self::V) -> Self::V {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(v))) }
    }

    #[inline(always)]
    fn times_power_of_two(self, x: Self::V, n: Self::V) -> Self::V {
        unsafe { _mm512_scalef_ps(x, n) }
    }

    #[inline(always)]
    fn add_pixels(self, sums: Self::V, weight: i32, pixels: &[u8]) -> Self::V {
        unsafe {
            // SAFETY: the slice has as many pixels as are loaded.
            let pixels = _mm512_cvtepu8_epi32(_mm_loadu_si128(pixels[..LANES].as_ptr().cast()));
            let products = _mm512_mullo_epi32(_mm512_set1_epi32(weight), pixels);
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(sums), products))
        }
    }

    #[inline(always)]
    fn widen(self, units: Self::V) -> (Self::V, Self::V) {
        unsafe {
            let units = _mm512_castps_si512(units);
            let high = _mm512_and_si512(units, _mm512_set1_epi32(0xffff_0000_u32 as i32));
            (_mm512_castsi512_ps(_mm512_slli_epi32::<16>(units)), _mm512_castsi512_ps(high))
        }
    }

    #[inline(always)]
    fn dot_pairs(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        if BF16 {
            // SAFETY: `self` proves the instruction, and both types are 64 bytes in which any bits are valid.
            return unsafe {
                _mm512_dpbf16_ps(
                    c,
                    std::mem::transmute::<__m512, __m512bh>(a),
                    std::mem::transmute::<__m512, __m512bh>(b),
                )
            };
        }
        let ((a0, a1), (b0, b1)) = (self.widen(a), self.widen(b));
        self.fma(a1, b1, self.fma(a0, b0, c))
    }

    #[inline(always)]
    fn splat_four(self, four: &[f32]) -> Self::V {
        // SAFETY: the slice has that many numbers.
        unsafe { _mm512_broadcast_f32x4(_mm_loadu_ps(four[..4].as_ptr())) }
    }

    #[inline(always)]
    fn load_fours<E: Element>(self, src: &[E], stride: usize) -> [Self::V; 4] {
        check_fours(LANES, src, stride);
        // SAFETY: the four rows of 16 units are inside of the slice, as just checked.
        unsafe {
            let row = |r: usize| _mm512_loadu_ps(src.as_ptr().add(r * stride).cast());
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            // First and second fours, and third and last, of two rows each.
            let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d));
            let (ef, gh) = (_mm512_shuffle_f32x4::<0xee>(a, b), _mm512_shuffle_f32x4::<0xee>(c, d));
            [
                _mm512_shuffle_f32x4::<0x88>(ab, cd),
                _mm512_shuffle_f32x4::<0xdd>(ab, cd),
                _mm512_shuffle_f32x4::<0x88>(ef, gh),
                _mm512_shuffle_f32x4::<0xdd>(ef, gh),
            ]
        }
    }

    #[inline(always)]
    fn transpose<E: Element>(self, src: &[E], stride: usize, dst: &mut [f32], strand: usize, width: usize) {
        let at = check_transpose(LANES, src, stride, dst, strand, width);
        let (src, dst) = (src.as_ptr(), dst.as_mut_ptr());
        // SAFETY: all of the 16 rows of 16 units that are read and written are inside of the slices, as just checked.
        unsafe {
            let mut a = [_mm512_setzero_ps(); LANES];
            for (r, a) in a.iter_mut().enumerate() {
                *a = _mm512_loadu_ps(src.add(r * stride).cast());
            }
            // Pairs of rows, then fours within each quarter of a vector, then the quarters, in two steps.
            let mut b = a;
            for i in 0..8 {
                b[2 * i] = _mm512_unpacklo_ps(a[2 * i], a[2 * i + 1]);
                b[2 * i + 1] = _mm512_unpackhi_ps(a[2 * i], a[2 * i + 1]);
            }
            for i in [0, 4, 8, 12] {
                a[i] = _mm512_shuffle_ps::<0x44>(b[i], b[i + 2]);
                a[i + 1] = _mm512_shuffle_ps::<0xee>(b[i], b[i + 2]);
                a[i + 2] = _mm512_shuffle_ps::<0x44>(b[i + 1], b[i + 3]);
                a[i + 3] = _mm512_shuffle_ps::<0xee>(b[i + 1], b[i + 3]);
            }
            for i in 0..4 {
                b[i] = _mm512_shuffle_f32x4::<0x88>(a[i], a[i + 4]);
                b[i + 4] = _mm512_shuffle_f32x4::<0xdd>(a[i], a[i + 4]);
                b[i + 8] = _mm512_shuffle_f32x4::<0x88>(a[i + 8], a[i + 12]);
                b[i + 12] = _mm512_shuffle_f32x4::<0xdd>(a[i + 8], a[i + 12]);
            }
            for i in 0..8 {
                _mm512_storeu_ps(dst.add(at(i)), _mm512_shuffle_f32x4::<0x88>(b[i], b[i + 8]));
                _mm512_storeu_ps(dst.add(at(i + 8)), _mm512_shuffle_f32x4::<0xdd>(b[i], b[i + 8]));
            }
        }
    }
}
