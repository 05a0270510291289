//! Products with weights against sums in f64, for every family of instructions.

mod common;

use common::weight::Weight;
use common::{bits, config, cpus, random, with_threads};
use half::bf16;
use proptest::prelude::*;
use seekvl_kernels::{Cpu, Elements, Isa, Matrix, linear};

fn check(cpu: Cpu, x: &[f32], w: &Weight, bias: Option<&[f32]>, n: usize, k: usize, y: &[f32]) {
    for (i, y) in y.iter().enumerate() {
        let (row, output) = (i / n, i % n);
        let (sum, bound) = w.product(&x[row * k..][..k], output, bias.map_or(0.0, |bias| bias[output]));
        assert!((f64::from(*y) - sum).abs() <= bound, "{:?} y[{row}, {output}] = {y}, not {sum}", cpu.isa());
    }
}

fn run(cpu: Cpu, x: &[f32], w: Matrix<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    let m = if w.cols() == 0 { 2 } else { x.len() / w.cols() };
    let mut y = vec![f32::NAN; m * w.rows()];
    linear(cpu, x, w, bias, &mut y);
    y
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn is_the_product(m in 0usize..70, k in 1usize..90, n in 1usize..90, half: bool, biased: bool, seed: u64) {
        let (x, w, bias) = (random(seed, m * k), Weight::new(seed ^ 1, n * k, half), random(seed ^ 2, n));
        let bias = biased.then_some(&*bias);
        for cpu in cpus() {
            check(cpu, &x, &w, bias, n, k, &run(cpu, &x, w.matrix(n, k), bias));
        }
    }

    /// Large enough for several blocks in each direction, and for threads.
    #[test]
    fn rows_and_threads_do_not_matter(m in 1usize..130, k in 500usize..1100, n in 60usize..200, half: bool, seed: u64) {
        if cfg!(miri) {
            return Ok(());
        }
        let (x, w, bias) = (random(seed, m * k), Weight::new(seed ^ 1, n * k, half), random(seed ^ 2, n));
        for cpu in cpus() {
            let product = |x: &[f32]| run(cpu, x, w.matrix(n, k), Some(&bias));
            let all = with_threads(2, || product(&x));
            check(cpu, &x[..k], &w, Some(&bias), n, k, &all[..n]);
            prop_assert_eq!(bits(&all), bits(&with_threads(1, || product(&x))));
            for (first, count) in [(0, 1), (m / 2, 1), (m - 1, 1), (m / 3, m / 2)] {
                let some = product(&x[first * k..][..count * k]);
                prop_assert_eq!(bits(&all[first * n..][..count * n]), bits(&some), "{:?}", cpu.isa());
            }
        }
    }
}

#[test]
fn large_products() {
    if cfg!(miri) {
        return;
    }
    for (m, k, n, half) in [(37, 4304, 1152, true), (1, 4097, 300, true), (729, 300, 65, true), (37, 1152, 100, false)]
    {
        let (x, w) = (random(1, m * k), Weight::new(2, n * k, half));
        for cpu in cpus() {
            check(cpu, &x, &w, None, n, k, &run(cpu, &x, w.matrix(n, k), None));
        }
    }
}

#[test]
fn without_inputs_the_outputs_are_the_bias() {
    for cpu in cpus() {
        assert_eq!(
            run(cpu, &[], Matrix::new(Elements::F32(&[]), 3, 0), Some(&[1.0, 2.0, 3.0])),
            [1., 2., 3., 1., 2., 3.]
        );
        assert_eq!(run(cpu, &[], Matrix::new(Elements::Bf16(&[]), 2, 0), None), [0.0; 4]);
    }
}

/// Extremes reach the outputs that they belong to, and no others.
#[test]
fn extremes_propagate() {
    let (m, k, n) = (14, 35, 40);
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        for half in [false, true] {
            for cpu in cpus() {
                let mut x = random(1, m * k);
                let ones = vec![1.0f32; n * k];
                let w = if half {
                    Weight::Bf16(ones.iter().map(|w| bf16::from_f32(*w)).collect())
                } else {
                    Weight::F32(ones)
                };
                x[5 * k + k - 1] = special;
                let y = run(cpu, &x, w.matrix(n, k), None);
                for (i, y) in y.iter().enumerate() {
                    let expected = if half { bf16::from_f32(special).to_f32() } else { special };
                    if i / n == 5 && special.is_nan() {
                        assert!(y.is_nan(), "{:?} {half} {i}", cpu.isa());
                    } else if i / n == 5 {
                        assert_eq!(*y, expected, "{:?} {half} {i}", cpu.isa());
                    } else {
                        assert!(y.is_finite(), "{:?} {half} {i}", cpu.isa());
                    }
                }
                let mut w = random(2, n * k);
                w[7 * k] = special;
                let w =
                    if half { Weight::Bf16(w.iter().map(|w| bf16::from_f32(*w)).collect()) } else { Weight::F32(w) };
                let y = run(cpu, &vec![1.0; m * k], w.matrix(n, k), None);
                for (i, y) in y.iter().enumerate() {
                    assert_eq!(y.is_nan(), special.is_nan() && i % n == 7, "{:?} {half} {i}", cpu.isa());
                }
            }
        }
    }
}

#[test]
fn detection_gives_an_available_family() {
    assert_eq!(Cpu::force(Cpu::detect().isa()), Some(Cpu::detect()));
    assert!(Cpu::force(Isa::Portable).is_some());
}

#[test]
#[should_panic(expected = "inputs")]
fn lengths_must_fit() {
    linear(Cpu::detect(), &[0.0; 5], Matrix::new(Elements::F32(&[0.0; 6]), 2, 3), None, &mut [0.0; 4]);
}
