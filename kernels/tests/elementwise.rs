//! Norms and activations against f64, for every family of instructions.

mod common;

use common::{bits, config, cpus, random, with_threads};
use proptest::prelude::*;
use seekvl_kernels::{Cpu, gelu_erf, gelu_tanh, layer_norm, rms_norm, silu_mul};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `erfc(z)` for `z >= 0`: Abramowitz and Stegun 7.1.6, a series, and 7.1.14, a continued fraction.
fn erfc(z: f64) -> f64 {
    if z < 2.0 {
        let (mut term, mut sum, mut n) = (z, z, 0.0);
        while term > 1e-18 * sum {
            n += 1.0;
            term *= 2.0 * z * z / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - 2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum;
    }
    let fraction = (1..200).rev().fold(z, |f, n| z + f64::from(n) / 2.0 / f);
    (-z * z).exp() / std::f64::consts::PI.sqrt() / fraction
}

fn reference_gelu_erf(x: f64) -> f64 {
    x.max(0.0) - x.abs() * 0.5 * erfc(x.abs() * std::f64::consts::FRAC_1_SQRT_2)
}

fn reference_gelu_tanh(x: f64) -> f64 {
    x * sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x))
}

/// Over the whole range of f32, with all that is special.
fn inputs() -> Vec<f32> {
    let special =
        [0.0, -0.0, 1e-45, -1e-45, 1e-39, f32::MIN_POSITIVE, f32::MAX, f32::MIN, 88.7, -88.7, -87.3, -104.0, 14.4];
    let step = if cfg!(miri) { 40_000_003 } else { 9_973 };
    let patterns = (0..=u32::MAX).step_by(step).map(f32::from_bits).filter(|x| x.is_finite());
    let close = (0..if cfg!(miri) { 50 } else { 200_000 })
        .map(|i| (i as f32 / if cfg!(miri) { 25. } else { 1e5 } - 1.0) * 20.0);
    special.into_iter().chain(patterns).chain(close).collect()
}

/// Relative to the result: some units in the last place, and where the result is an exponential of a large argument
/// what rounding that four times does. Below the normal numbers the factor of `x` may be lost.
fn check_function(name: &str, run: fn(Cpu, &mut [f32]), reference: fn(f64) -> f64, argument: fn(f64) -> f64) {
    let x = inputs();
    for cpu in cpus() {
        let mut y = x.clone();
        run(cpu, &mut y);
        for (x, y) in x.iter().zip(y) {
            let expected = reference((*x).into());
            let tolerance = 7e-7 + 2f64.powi(-22) * argument((*x).into()).abs().min(110.0);
            let bound = tolerance * expected.abs() + f64::from(x.abs().clamp(2.0, 110.0) * f32::MIN_POSITIVE);
            let error = (f64::from(y) - expected).abs();
            assert!(error <= bound, "{name} {:?} f({x:e}) = {y:e}, not {expected:e}", cpu.isa());
        }
        let mut special = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        run(cpu, &mut special);
        assert!(special[0].is_nan() && special[1].is_nan(), "{name} {special:?}");
        assert_eq!(special[2..], [f32::INFINITY, 0.0], "{name}");
    }
}

#[test]
fn gelu_with_tanh() {
    let argument = |x: f64| if x < 0.0 { 1.6 * x * (1.0 + 0.045 * x * x) } else { 0.0 };
    check_function("gelu_tanh", gelu_tanh, reference_gelu_tanh, argument);
}

#[test]
fn gelu_with_erf() {
    let argument = |x: f64| if x < 0.0 { x * x / 2.0 } else { 0.0 };
    check_function("gelu_erf", gelu_erf, reference_gelu_erf, argument);
}

#[test]
fn silu() {
    // The argument is exact, its reduction nearly so.
    check_function("silu", |cpu, x| silu_mul(cpu, x, &vec![1.0; x.len()]), |x| x * sigmoid(x), |_| 0.0);
}

#[test]
fn silu_mul_multiplies() {
    let (gate, up) = (random(1, 1003), random(2, 1003));
    for cpu in cpus() {
        let mut y = gate.clone();
        silu_mul(cpu, &mut y, &up);
        for ((g, u), y) in gate.iter().zip(&up).zip(y) {
            let expected = f64::from(*g) * sigmoid((*g).into()) * f64::from(*u);
            assert!((f64::from(y) - expected).abs() <= 4e-7 * expected.abs());
        }
    }
}

type Norm = fn(Cpu, &[f32], &[f32], &[f32], &mut [f32]);

const RMS: Norm = |cpu, x, w, _, y| rms_norm(cpu, x, w, 1e-6, y);
const LAYER: Norm = |cpu, x, w, b, y| layer_norm(cpu, x, w, b, 1e-6, y);

fn reference_norm(x: &[f32], w: &[f32], b: Option<&[f32]>) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = if b.is_some() { x.iter().map(|x| f64::from(*x)).sum::<f64>() / n } else { 0.0 };
    let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
    let y = |i: usize| (f64::from(x[i]) - mean) / (variance + 1e-6).sqrt() * f64::from(w[i]);
    (0..x.len()).map(|i| y(i) + b.map_or(0.0, |b| b[i].into())).collect()
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn norms(rows in 1usize..5, width in 1usize..3000, scale in -10i32..10, seed: u64) {
        let width = if cfg!(miri) { width % 60 + 1 } else { width };
        let (w, b) = (random(seed ^ 1, width), random(seed ^ 2, width));
        let x: Vec<_> = random(seed, rows * width).into_iter().map(|x| (x + 1.0) * 10f32.powi(scale)).collect();
        for cpu in cpus() {
            for (norm, bias) in [(RMS, None), (LAYER, Some(&*b))] {
                let mut y = vec![f32::NAN; x.len()];
                norm(cpu, &x, &w, &b, &mut y);
                for (x, y) in x.chunks(width).zip(y.chunks(width)) {
                    for ((y, expected), w) in y.iter().zip(reference_norm(x, &w, bias)).zip(&w) {
                        // Of a normalised number of size 1, whose mean was taken off.
                        let bound = 1e-6 * (f64::from(w.abs()) * 2.0 + expected.abs());
                        prop_assert!((f64::from(*y) - expected).abs() <= bound, "{:?} {} {}", cpu.isa(), y, expected);
                    }
                }
            }
        }
    }
}

/// The mean of many numbers loses no digits, which a plain sum in f32 would.
#[test]
fn norms_of_wide_rows() {
    let width = if cfg!(miri) { 100 } else { 100_003 };
    let x: Vec<_> = random(1, width).into_iter().map(|x| x.abs() + 3.0).collect();
    let ones = vec![1.0; width];
    for cpu in cpus() {
        let mut y = vec![0.0; width];
        rms_norm(cpu, &x, &ones, 1e-6, &mut y);
        for (y, expected) in y.iter().zip(reference_norm(&x, &ones, None)) {
            assert!((f64::from(*y) / expected - 1.0).abs() <= 4e-7);
        }
    }
}

#[test]
fn rows_threads_and_places_do_not_matter() {
    let (rows, width) = if cfg!(miri) { (3, 20) } else { (301, 1000) };
    let (x, w, b) = (random(1, rows * width), random(2, width), random(3, width));
    for cpu in cpus() {
        for norm in [RMS, LAYER] {
            let run = |x: &[f32]| {
                let mut y = vec![0.0; x.len()];
                norm(cpu, x, &w, &b, &mut y);
                y
            };
            let all = with_threads(2, || run(&x));
            let last = (rows - 1) * width;
            assert_eq!(bits(&all[last..]), bits(&run(&x[last..])));
        }
        for function in [gelu_tanh, gelu_erf] {
            let mut all = x.clone();
            with_threads(2, || function(cpu, &mut all));
            let mut some = x[7..20].to_vec();
            function(cpu, &mut some);
            assert_eq!(bits(&all[7..20]), bits(&some));
        }
    }
}

#[test]
fn nan_propagates_through_norms() {
    let w = random(1, 50);
    for cpu in cpus() {
        for norm in [RMS, LAYER] {
            for place in [0, 31, 49] {
                let (mut x, mut y) = (random(2, 100), vec![0.0; 100]);
                x[place] = f32::NAN;
                norm(cpu, &x, &w, &w, &mut y);
                assert!(y[..50].iter().all(|y| y.is_nan()) && y[50..].iter().all(|y| y.is_finite()));
            }
        }
    }
}
