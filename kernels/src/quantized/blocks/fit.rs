//! The nearest codes, scale and minimum, by least squares.
//!
//! For given codes the best scale (and minimum) is a linear regression; for a given scale the best codes are the
//! nearest. The search starts from several scales about the one that spans the range, as quantisers of GGUF's K formats
//! do, and keeps the regression that leaves the smallest squared error.

use std::array::from_fn;

/// `sum_i f(i)`, over eight sums, so that it vectorises; the same on every processor.
#[inline(always)]
fn sum<const N: usize>(f: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0f32; 8];
    for i in (0..N).step_by(8) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += f(i + lane);
        }
    }
    sums.iter().sum()
}

/// `scale` and `min`, both at least 0, of the affine code `scale · q - min`, `q` in `0..=largest`, next to `x`.
#[inline(always)]
pub(super) fn affine(x: &[f32; 32], largest: f32) -> (f32, f32) {
    const STEPS: i32 = 10;
    let low = x.iter().fold(0.0, |low: f32, x| low.min(*x));
    let high = x.iter().fold(low, |high: f32, x| high.max(*x));
    let range = high - low;
    // Nothing to fit, or what has no reciprocal.
    if range < 1e-30 {
        return (0.0, -low);
    }
    let n = x.len() as f32;
    let sum_x = sum::<32>(|i| x[i]);
    let mut best = (f32::INFINITY, range / largest, -low);
    for step in -STEPS..=STEPS {
        let inverse = (largest + 0.1 * step as f32) / range;
        let q: [f32; 32] = from_fn(|i| ((x[i] - low) * inverse).round().clamp(0.0, largest));
        let (sum_q, sum_qq, sum_qx) = (sum::<32>(|i| q[i]), sum::<32>(|i| q[i] * q[i]), sum::<32>(|i| q[i] * x[i]));
        let determinant = n * sum_qq - sum_q * sum_q;
        let mut scale = (n * sum_qx - sum_q * sum_x) / determinant;
        let mut min = (sum_q * sum_qx - sum_qq * sum_x) / determinant;
        // The format has no negative minimum: then the regression goes through 0.
        if min.is_nan() || min < 0.0 {
            (scale, min) = (sum_qx / sum_qq, 0.0);
        }
        let error = sum::<32>(|i| (scale * q[i] - min - x[i]) * (scale * q[i] - min - x[i]));
        if error < best.0 && scale > 0.0 {
            best = (error, scale, min);
        }
    }
    (best.1, best.2)
}

/// `scale` of either sign of the symmetric code `scale · q`, `q` in `-half..half`, next to `x`.
#[inline(always)]
pub(super) fn symmetric(x: &[f32; 16], half: f32) -> f32 {
    const STEPS: i32 = 9;
    let extreme = x.iter().fold(0.0, |extreme: f32, x| if x.abs() > extreme.abs() { *x } else { extreme });
    if extreme.abs() < 1e-30 {
        return 0.0;
    }
    // Relative to the extreme, so that squares neither overflow nor vanish.
    let x: [f32; 16] = from_fn(|i| x[i] / extreme);
    let mut best = (0.0, -1.0 / half);
    for step in -STEPS..=STEPS {
        // The extreme takes the side that has one code more.
        let inverse = -(half + 0.1 * step as f32);
        let q: [f32; 16] = from_fn(|i| (x[i] * inverse).round().clamp(-half, half - 1.0));
        let (sum_qq, sum_qx) = (sum::<16>(|i| q[i] * q[i]), sum::<16>(|i| q[i] * x[i]));
        // What the regression takes off the squared error.
        let gain = sum_qx * sum_qx / sum_qq;
        if gain > best.0 {
            best = (gain, sum_qx / sum_qq);
        }
    }
    best.1 * extreme
}
