//! The nearest codes, scale and minimum, by least squares.
//!
//! For given codes the best scale (and minimum) is a linear regression; for a given scale the best codes are the
//! nearest. The search starts from several scales about the one that spans the range, as quantisers of GGUF's K formats
//! do, and keeps the regression that leaves the smallest squared error.
//!
//! Sixteen runs of weights are fitted at once, one in each lane, each as if it were alone. Loops stand here where an
//! iterator would do: its closures would be compiled without the processor's vectors.

use crate::quantized::lanes::Lanes;

/// Runs that are fitted at once.
pub(super) const RUNS: usize = 16;

/// 1.5 · 2^23: numbers of this size have no fraction, and the lowest bits of their representation are their own.
const WHOLE: f32 = 12_582_912.0;

/// The weights of all runs, the first of each first.
#[inline(always)]
fn across<L: Lanes, const N: usize>(l: L, runs: &[&[f32; N]; RUNS]) -> [L::Floats; N] {
    let mut across = [l.splat(0.0); N];
    for (i, across) in across.iter_mut().enumerate() {
        let mut lanes = [0.0; RUNS];
        for (lane, run) in lanes.iter_mut().zip(runs) {
            *lane = run[i];
        }
        *across = l.load(&lanes);
    }
    across
}

/// The sums of codes, of their squares and of their products with `x`, for the codes next to `inverse · x`.
#[inline(always)]
fn sums<L: Lanes, const N: usize>(l: L, x: &[L::Floats; N], inverse: f32, least: f32, most: f32) -> [L::Floats; 3] {
    let (inverse, least, most, whole) = (l.splat(inverse), l.splat(least), l.splat(most), l.splat(WHOLE));
    let mut sums = [l.splat(0.0); 3];
    for x in x {
        let q = l.sub(l.add(l.mul(*x, inverse), whole), whole);
        let q = l.min(l.max(q, least), most);
        sums[0] = l.add(sums[0], q);
        sums[1] = l.add(sums[1], l.mul(q, q));
        sums[2] = l.add(sums[2], l.mul(q, *x));
    }
    sums
}

/// Of each run, `scale` and `min`, both at least 0, of the affine code `scale · q - min`, `q` in `0..=largest`.
#[inline(always)]
pub(super) fn affine<L: Lanes>(l: L, runs: &[&[f32; 32]; RUNS], largest: f32) -> ([f32; RUNS], [f32; RUNS]) {
    const STEPS: i32 = 10;
    let mut x = across(l, runs);
    let (zero, n) = (l.splat(0.0), l.splat(32.0));
    let mut low = zero;
    for x in &x {
        low = l.min(*x, low);
    }
    let mut high = low;
    for x in &x {
        high = l.max(*x, high);
    }
    // From here on `x` is what is above the lowest, and all numbers are parts of the range.
    let range = l.sub(high, low);
    let unit = l.div(l.splat(1.0), range);
    let offset = l.mul(low, unit);
    let mut sum_x = zero;
    for x in &mut x {
        *x = l.mul(l.sub(*x, low), unit);
        sum_x = l.add(sum_x, *x);
    }
    let sum = l.add(sum_x, l.mul(n, offset));
    let (mut most, mut scale, mut min) = (l.splat(f32::NEG_INFINITY), l.splat(1.0 / largest), l.sub(zero, offset));
    for step in -STEPS..=STEPS {
        // A little more than the tenths, among which is a half: the highest weight would be a tie.
        let [sum_q, sum_qq, sum_qx] = sums(l, &x, largest + 0.1 * step as f32 + 1e-3, 0.0, largest);
        // Variance of the codes and covariance, both times n². The former is exact, and 0 if all codes are the same.
        let variance = l.sub(l.mul(n, sum_qq), l.mul(sum_q, sum_q));
        let covariance = l.sub(l.mul(n, sum_qx), l.mul(sum_q, sum_x));
        let s = l.pick(zero, variance, l.div(covariance, variance), zero);
        let m = l.mul(l.sub(l.mul(s, sum_q), sum), l.splat(1.0 / 32.0));
        // What the regression takes off the squared error of the mean.
        let gain = l.mul(l.mul(s, covariance), l.splat(1.0 / 32.0));
        // The format has no negative minimum: then the regression goes through 0, which costs something.
        let through = l.div(l.add(sum_qx, l.mul(sum_q, offset)), sum_qq);
        let cost = l.div(l.mul(l.mul(m, m), variance), sum_qq);
        let s = l.pick(m, zero, through, s);
        let gain = l.pick(m, zero, l.sub(gain, cost), gain);
        let m = l.max(m, zero);
        scale = l.pick(most, gain, s, scale);
        min = l.pick(most, gain, m, min);
        most = l.pick(most, gain, gain, most);
    }
    // Nothing to fit, or what has no reciprocal.
    let least = l.splat(1e-30);
    let (mut scales, mut mins) = ([0.0; RUNS], [0.0; RUNS]);
    l.store(l.pick(range, least, zero, l.mul(scale, range)), &mut scales);
    l.store(l.pick(range, least, l.sub(zero, low), l.mul(min, range)), &mut mins);
    (scales, mins)
}

/// Of each run, `scale` of either sign of the symmetric code `scale · q`, `q` in `-half..half`.
#[inline(always)]
pub(super) fn symmetric<L: Lanes>(l: L, runs: &[&[f32; 16]; RUNS], half: f32) -> [f32; RUNS] {
    const STEPS: i32 = 9;
    let mut x = across(l, runs);
    let zero = l.splat(0.0);
    let (mut extreme, mut size) = (zero, zero);
    for x in &x {
        let magnitude = l.max(*x, l.sub(zero, *x));
        extreme = l.pick(size, magnitude, *x, extreme);
        size = l.max(magnitude, size);
    }
    // Relative to the extreme, so that squares neither overflow nor vanish. The extreme takes the side that has one code
    // more, which is the negative one: so does the unit.
    let unit = l.div(l.splat(-1.0), extreme);
    for x in &mut x {
        *x = l.mul(*x, unit);
    }
    let (mut most, mut scale) = (zero, l.splat(1.0 / half));
    for step in -STEPS..=STEPS {
        let [_, sum_qq, sum_qx] = sums(l, &x, half + 0.1 * step as f32, -half, half - 1.0);
        let s = l.div(sum_qx, sum_qq);
        // What the regression takes off the squared weights.
        let gain = l.mul(s, sum_qx);
        scale = l.pick(most, gain, s, scale);
        most = l.pick(most, gain, gain, most);
    }
    let scale = l.mul(l.sub(zero, scale), extreme);
    let mut scales = [0.0; RUNS];
    l.store(l.pick(size, l.splat(1e-30), zero, scale), &mut scales);
    scales
}

/// The codes next to `(x + min) · inverse`, from `least` to `most`, as the lowest eight bits of whole numbers.
#[inline(always)]
pub(super) fn codes<L: Lanes>(l: L, x: &[f32; 16], min: f32, inverse: f32, least: f32, most: f32) -> [u8; 16] {
    let x = l.mul(l.add(l.load(x), l.splat(min)), l.splat(inverse));
    let mut whole = [0.0; 16];
    l.store(l.add(l.min(l.max(x, l.splat(least)), l.splat(most)), l.splat(WHOLE)), &mut whole);
    let mut codes = [0; 16];
    for (code, whole) in codes.iter_mut().zip(whole) {
        *code = whole.to_bits() as u8;
    }
    codes
}
