//! Elementary functions on vectors.

use crate::simd::Simd;

/// Sum of `coefficients[i] * x^i`, by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::V, coefficients: [f32; N]) -> S::V {
    let mut sum = s.splat(coefficients[N - 1]);
    for c in coefficients[..N - 1].iter().rev() {
        sum = s.fma(sum, x, s.splat(*c));
    }
    sum
}

/// `e^x`, to two units in the last place; 1 exactly at 0, 0 at -∞, ∞ where it overflows, NaN for NaN.
///
/// Cody and Waite's reduction to `e^r · 2^n` with |r| ≤ ln 2 / 2, and the polynomial of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    // Beyond these limits the result is 0 or ∞ anyway. The order of the operands keeps NaN.
    let x = s.min(s.splat(89.0), s.max(s.splat(-105.0), x));
    // Adding 1.5 · 2^23 leaves no bits for a fraction, which rounds.
    let magic = s.splat(12_582_912.0);
    let n = s.sub(s.fma(x, s.splat(std::f32::consts::LOG2_E), magic), magic);
    // ln 2 in two parts, the first with so few bits that its product with n is exact.
    let r = s.fma(n, s.splat(-0.693_359_4), x);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let p = polynomial(s, r, [0.5, 1.666_666_5e-1, 4.166_579_6e-2, 8.333_452e-3, 1.398_199_9e-3, 1.987_569_1e-4]);
    let p = s.add(s.fma(p, s.mul(r, r), r), s.splat(1.0));
    s.times_power_of_two(p, n)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// `x · sigmoid(x)`; 0 at -∞.
#[inline(always)]
pub(crate) fn silu<S: Simd>(s: S, x: S::V) -> S::V {
    // The sigmoid is 0 well before the limit, which keeps -∞ · 0 from happening.
    s.mul(s.max(s.splat(-1e4), x), sigmoid(s, x))
}

/// GELU by its tanh approximation; 0 at -∞.
///
/// `0.5 (1 + tanh u)` is `sigmoid(2u)`, which loses no digits where tanh is close to -1.
#[inline(always)]
pub(crate) fn gelu_tanh<S: Simd>(s: S, x: S::V) -> S::V {
    // 2 · sqrt(2 / π) and 0.044715 times that.
    const LINEAR: f32 = 1.595_769_2;
    const CUBIC: f32 = 0.071_354_814;
    let u = s.mul(x, s.fma(s.mul(x, x), s.splat(CUBIC), s.splat(LINEAR)));
    s.mul(s.max(s.splat(-1e4), x), sigmoid(s, u))
}

/// `x · Φ(x)`, exact GELU; 0 at -∞.
///
/// With `q = Φ(-|x|) = erfc(|x| / √2) / 2` this is `max(x, 0) - |x| q`, on both sides without cancellation. The
/// complementary error function is `e^(-z²) · t · P(t)` with `t = 1 / (1 + 0.35 z)`; P is a minimax fit of relative
/// error 1.1e-8 for z ≤ 14.5.
#[inline(always)]
pub(crate) fn gelu_erf<S: Simd>(s: S, x: S::V) -> S::V {
    const HALF_P: [f32; 10] = [
        0.098_734_49,
        0.098_710_31,
        0.092_800_26,
        0.080_867_335,
        0.058_028_68,
        0.070_978_32,
        -0.046_361_547,
        0.114_746_414,
        -0.089_534_9,
        0.021_030_648,
    ];
    let zero = s.splat(0.0);
    // q is 0 in f32 from 14.5 on; the limit keeps ∞ · 0 from happening.
    let magnitude = s.min(s.splat(20.0), s.max(s.sub(zero, x), x));
    let one = s.splat(1.0);
    let t = s.div(one, s.fma(magnitude, s.splat(0.35 * std::f32::consts::FRAC_1_SQRT_2), one));
    let gauss = exp(s, s.mul(s.mul(magnitude, magnitude), s.splat(-0.5)));
    let q = s.mul(gauss, s.mul(t, polynomial(s, t, HALF_P)));
    s.sub(s.max(zero, x), s.mul(magnitude, q))
}
