//! Products that do more than multiply, and sums of weighted rows, against f64, for every family of instructions.

mod common;

use common::weight::Weight;
use common::{config, cpus, random};
use proptest::prelude::*;
use seekvl_kernels::{
    Activation, Cpu, Epilogue, Group, Weights, linear_gated, linear_grouped, linear_then, weighted_sums,
};

/// Sizes of activations: subnormal numbers, some that vanish, ordinary ones, and so large that a sigmoid of them is 0 or 1.
fn scales() -> impl Strategy<Value = f32> {
    prop_oneof![Just(1e-40), Just(1e-20), Just(1.0), Just(30.0), Just(1e8)]
}

fn scaled(seed: u64, len: usize, scale: f32) -> Vec<f32> {
    random(seed, len).into_iter().map(|x| x * scale).collect()
}

fn near(cpu: Cpu, y: f32, expected: f64, bound: f64) {
    // A few of the last digits are lost in the functions themselves.
    let bound = bound + 2e-6 * expected.abs() + 1e-37;
    assert!((f64::from(y) - expected).abs() <= bound, "{:?}: {y}, not {expected}", cpu.isa());
}

/// What a gated product is, and how far off it may be: the sigmoid's slope is at most 1.1 times that of its argument.
fn gated(gate: &Weight, up: &Weight, x: &[f32], output: usize) -> (f64, f64) {
    let ((gate, gate_bound), (up, up_bound)) = (gate.product(x, output, 0.0), up.product(x, output, 0.0));
    let silu = gate / (1.0 + (-gate).exp());
    (silu * up, 1.1 * gate_bound * (up.abs() + up_bound) + silu.abs() * up_bound)
}

/// Abramowitz and Stegun's series of the error function, 7.1.5, or where it is as good as 1.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..150 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn gelu(kind: Activation, x: f64) -> f64 {
    match kind {
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        _ => 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()),
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn gates_are_multiplied(
        m in 1usize..40, k in 1usize..90, n in 1usize..90, half: bool, scale in scales(), seed: u64,
    ) {
        let x = scaled(seed, m * k, scale);
        let (gate, up) = (Weight::new(seed ^ 1, n * k, half), Weight::new(seed ^ 2, n * k, half));
        for cpu in cpus() {
            let mut y = vec![f32::NAN; m * n];
            linear_gated(cpu, &x, gate.matrix(n, k), up.matrix(n, k), &mut y);
            for (i, y) in y.iter().enumerate() {
                let (expected, bound) = gated(&gate, &up, &x[i / n * k..][..k], i % n);
                near(cpu, *y, expected, bound);
            }
        }
    }

    /// Rows in any order, of which groups may have none, with weights of their own.
    #[test]
    fn groups_have_their_weights(
        counts in prop::collection::vec(0usize..9, 1..6), rows in 1usize..20, k in 1usize..70, n in 1usize..70,
        half: bool, with_gates: bool, sorted: bool, seed: u64,
    ) {
        let m = counts.iter().sum::<usize>();
        let rows = if sorted { m } else { rows };
        let source: Vec<u32> = (0..m as u64).map(|i| (i.wrapping_mul(seed | 1) % rows as u64) as u32).collect();
        let x = random(seed, rows * k);
        let weights: Vec<[Weight; 2]> =
            (0..counts.len() as u64).map(|i| [1, 2].map(|part| Weight::new(seed ^ (4 * i + part), n * k, half))).collect();
        let groups: Vec<Group<'_>> = (weights.iter().zip(&counts))
            .map(|([gate, up], &rows)| {
                let (gate, up) = (gate.matrix(n, k), up.matrix(n, k));
                Group { weights: if with_gates { Weights::Gated { gate, up } } else { Weights::Plain(gate) }, rows }
            })
            .collect();
        let of_row: Vec<usize> = counts.iter().enumerate().flat_map(|(i, &rows)| vec![i; rows]).collect();
        for cpu in cpus() {
            let mut y = vec![f32::NAN; m * n];
            linear_grouped(cpu, &x, (!sorted).then_some(&*source), &groups, &mut y);
            for (i, y) in y.iter().enumerate() {
                let row = if sorted { i / n } else { source[i / n] as usize };
                let (x, [gate, up]) = (&x[row * k..][..k], &weights[of_row[i / n]]);
                let (expected, bound) = if with_gates { gated(gate, up, x, i % n) } else { gate.product(x, i % n, 0.0) };
                near(cpu, *y, expected, bound);
            }
        }
    }

    #[test]
    fn epilogues_come_after_the_sum(
        m in 1usize..40, k in 1usize..90, n in 1usize..90, half: bool, scale in scales(),
        kind in prop_oneof![Just(None), Just(Some(Activation::Gelu)), Just(Some(Activation::GeluTanh))],
        biased: bool, added: bool, seed: u64,
    ) {
        let (x, w) = (scaled(seed, m * k, scale), Weight::new(seed ^ 1, n * k, half));
        let (bias, residual) = (scaled(seed ^ 2, n, scale), scaled(seed ^ 3, m * n, scale));
        let then = Epilogue {
            bias: biased.then_some(&*bias), activation: kind, residual: added.then_some(&*residual),
        };
        for cpu in cpus() {
            let mut y = vec![f32::NAN; m * n];
            linear_then(cpu, &x, w.matrix(n, k), then, &mut y);
            for (i, y) in y.iter().enumerate() {
                let (sum, bound) = w.product(&x[i / n * k..][..k], i % n, if biased { bias[i % n] } else { 0.0 });
                let active = kind.map_or(sum, |kind| gelu(kind, sum));
                let residual = if added { f64::from(residual[i]) } else { 0.0 };
                // Of a sum near 0 the function loses digits of 1, not of the result.
                let lost = 2e-6 * (sum.abs().min(10.0) + active.abs() + residual.abs());
                near(cpu, *y, active + residual, 1.2 * bound + lost);
            }
        }
    }

    #[test]
    fn rows_are_weighed(
        rows in 1usize..30, sums in 0usize..50, terms in 0usize..9, width in 1usize..150, scale in scales(), seed: u64,
    ) {
        let (x, weights) = (scaled(seed, rows * width, scale), random(seed ^ 1, sums * terms));
        let picks: Vec<u32> = (0..weights.len() as u64).map(|i| (i.wrapping_mul(seed | 1) % rows as u64) as u32).collect();
        for cpu in cpus() {
            let mut y = vec![f32::NAN; sums * width];
            weighted_sums(cpu, &x, &picks, &weights, width, &mut y);
            for (i, y) in y.iter().enumerate() {
                let (sum, column) = (i / width, i % width);
                let of_it = (sum * terms..(sum + 1) * terms)
                    .map(|at| f64::from(weights[at]) * f64::from(x[picks[at] as usize * width + column]));
                let magnitude: f64 = of_it.clone().map(f64::abs).sum();
                near(cpu, *y, of_it.sum(), 2.0 * (terms + 1) as f64 * 2f64.powi(-24) * magnitude);
            }
        }
    }
}
