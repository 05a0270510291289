//! Products with quantised weights against sums in f64, and every family of instructions against plain Rust.

mod common;

use common::{bits, config, cpus, random, with_threads};
use proptest::prelude::*;
use seekvl_kernels::quantized::blocks::{Q4_0, Q4K, Q5K, Q6K, Q8_0, Quantize};
use seekvl_kernels::quantized::{Format, Quantized, linear_quantized};
use seekvl_kernels::{Activation, Cpu, Epilogue, Isa, Shelf, gelu_erf, gelu_tanh};
use std::ops::Range;

fn portable() -> Cpu {
    Cpu::force(Isa::Portable).expect("every processor")
}

fn quantize(format: Format, values: &[f32], n: usize, k: usize) -> Quantized {
    Quantized::quantize(Cpu::detect(), format, n, k, None, |row, dst| dst.copy_from_slice(&values[row * k..][..k]))
}

fn dequantize(w: &Quantized) -> Vec<f32> {
    let mut values = vec![f32::NAN; w.rows() * w.cols()];
    for (row, values) in values.chunks_mut(w.cols().max(1)).enumerate() {
        w.dequantize_row(row, values);
    }
    values
}

fn run(cpu: Cpu, x: &[f32], w: &Quantized, outputs: Range<usize>, bias: Option<&[f32]>) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len() / w.cols() * outputs.len()];
    linear_quantized(cpu, x, w, outputs, Epilogue { bias, ..Epilogue::default() }, &mut y);
    y
}

/// `y` within the bound that the module documents. The minima are at most as large as the weights of their block are
/// apart, which twice the largest weight of the row bounds. `exact` says that the activations are not rounded.
fn check(x: &[f32], w: &Quantized, bias: Option<&[f32]>, y: &[f32], exact: bool) {
    let (n, k, group) = (w.rows(), w.cols(), w.format().group());
    let weights = dequantize(w);
    for (i, y) in y.iter().enumerate() {
        let (x, w) = (&x[i / n * k..][..k], &weights[i % n * k..][..k]);
        let bias = bias.map_or(0.0, |bias| f64::from(bias[i % n]));
        let min = 2.0 * w.iter().fold(0f64, |most, w| most.max(f64::from(w.abs())));
        let (mut sum, mut rounding, mut magnitude) = (0.0, 0.0, 0.0);
        for (x, w) in x.chunks(group).zip(w.chunks(group)) {
            let largest = x.iter().fold(0f64, |most, x| most.max(f64::from(x.abs())));
            for (x, w) in x.iter().zip(w) {
                sum += f64::from(*x) * f64::from(*w);
                rounding += f64::from(w.abs()) * largest / 254.0;
                // Groups below 2^-119 count as 0.
                magnitude += (f64::from(w.abs()) + min) * largest;
                rounding += f64::from(w.abs()) * 2f64.powi(-119);
            }
        }
        let float = (k as f64 / 8.0 + 8.0) * 2f64.powi(-24) * (magnitude + bias.abs());
        let bound = float + if exact { 0.0 } else { rounding } + 1e-37;
        let error = (f64::from(*y) - sum - bias).abs();
        assert!(error <= bound, "{n}x{k} at {i}: {y}, not {}: {error:e} over {bound:e}", sum + bias);
    }
}

fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

proptest! {
    #![proptest_config(config(120))]

    /// Any shape, tails included, each family.
    #[test]
    fn is_the_product(format in formats(), m in 0usize..14, k in 1usize..700, n in 1usize..90, biased: bool, seed: u64) {
        let (x, values, bias) = (random(seed, m * k), random(seed ^ 1, n * k), random(seed ^ 2, n));
        let bias = biased.then_some(&*bias);
        let w = quantize(format, &values, n, k);
        let y = run(portable(), &x, &w, 0..n, bias);
        check(&x, &w, bias, &y, false);
        for cpu in cpus() {
            prop_assert_eq!(bits(&y), bits(&run(cpu, &x, &w, 0..n, bias)), "{:?} {:?}", cpu.isa(), format);
        }
    }

    /// Whole numbers whose group has ±127 are not rounded, which leaves nothing but the errors of f32.
    #[test]
    fn whole_activations_are_exact(format in formats(), m in 1usize..9, k in 1usize..700, n in 1usize..40, seed: u64) {
        let mut x: Vec<f32> = random(seed, m * k).into_iter().map(|x| (x * 40.0).round().clamp(-127.0, 127.0)).collect();
        for row in x.chunks_mut(k) {
            row.chunks_mut(format.group()).for_each(|group| group[0] = -127.0);
        }
        let w = quantize(format, &random(seed ^ 1, n * k), n, k);
        for cpu in cpus() {
            check(&x, &w, None, &run(cpu, &x, &w, 0..n, None), true);
        }
    }

    #[test]
    fn some_outputs_are_a_part_of_all(format in formats(), m in 1usize..9, k in 1usize..200, n in 1usize..90, cut: (usize, usize), seed: u64) {
        let (x, bias) = (random(seed, m * k), random(seed ^ 2, n));
        let w = quantize(format, &random(seed ^ 1, n * k), n, k);
        let (a, b) = (cut.0 % (n + 1), cut.1 % (n + 1));
        let outputs = a.min(b)..a.max(b);
        let all = run(Cpu::detect(), &x, &w, 0..n, Some(&bias));
        let expected: Vec<f32> = all.chunks(n).flat_map(|row| row[outputs.clone()].iter().copied()).collect();
        for cpu in cpus() {
            let some = run(cpu, &x, &w, outputs.clone(), Some(&bias[outputs.clone()]));
            prop_assert_eq!(bits(&expected), bits(&some));
        }
    }

    /// Large enough for several tiles in each direction, and for threads.
    #[test]
    fn rows_and_threads_do_not_matter(format in formats(), m in 1usize..130, k in 300usize..1100, n in 60usize..200, seed: u64) {
        if cfg!(miri) {
            return Ok(());
        }
        let (x, bias) = (random(seed, m * k), random(seed ^ 2, n));
        let w = quantize(format, &random(seed ^ 1, n * k), n, k);
        for cpu in cpus().filter(|cpu| cpu.isa() != Isa::Portable) {
            let product = |x: &[f32]| run(cpu, x, &w, 0..n, Some(&bias));
            let all = with_threads(2, || product(&x));
            prop_assert_eq!(bits(&all), bits(&with_threads(1, || product(&x))));
            prop_assert_eq!(bits(&all), bits(&with_threads(5, || product(&x))));
            for (first, count) in [(0, 1), (m / 2, 1), (m - 1, 1), (m / 3, m / 2), (m / 4, m.min(3) - m.min(3) / 2)] {
                let some = product(&x[first * k..][..count * k]);
                prop_assert_eq!(bits(&all[first * n..][..count * n]), bits(&some), "{:?}", cpu.isa());
            }
        }
    }

    /// Packing loses nothing, whatever the tails, and one row rounds as the next.
    #[test]
    fn packed_weights_are_those_of_the_blocks(n in 1usize..40, k in 1usize..600, seed: u64) {
        fn check_format<B: Quantize>(format: Format, n: usize, k: usize, seed: u64) {
            let values = random(seed, n * k);
            let w = quantize(format, &values, n, k);
            assert_eq!(Some(w.bytes().next_multiple_of(64)), format.bytes(n, k).map(|bytes| bytes.next_multiple_of(64)));
            let width = k.next_multiple_of(B::VALUES);
            let mut file = Vec::new();
            for (row, packed) in values.chunks(k).zip(dequantize(&w).chunks(k)) {
                let mut padded = row.to_vec();
                padded.resize(width, 0.0);
                let mut expected = vec![0.0; width];
                for (x, y) in padded.chunks(B::VALUES).zip(expected.chunks_mut(B::VALUES)) {
                    let block = B::quantize(x);
                    block.dequantize(y);
                    file.resize(file.len() + B::BYTES, 0);
                    let at = file.len() - B::BYTES;
                    block.write(&mut file[at..]);
                }
                assert_eq!(bits(packed), bits(&expected[..k]), "{format:?}");
            }
            let Some(read) = Quantized::from_blocks(format, n, width, None, &file) else { panic!("{format:?} {n}x{width}") };
            for (whole, part) in dequantize(&read).chunks(width).zip(dequantize(&w).chunks(k)) {
                assert_eq!(bits(&whole[..k]), bits(part), "{format:?}");
            }
            assert!(Quantized::from_blocks(format, n, width + 1, None, &file).is_none());
            assert!(Quantized::from_blocks(format, n, width, None, &file[1..]).is_none());
            assert!(Quantized::from_blocks(format, usize::MAX, width, None, &file).is_none());
        }
        check_format::<Q8_0>(Format::Q8_0, n, k, seed);
        check_format::<Q4_0>(Format::Q4_0, n, k, seed);
        check_format::<Q4K>(Format::Q4K, n, k, seed);
        check_format::<Q5K>(Format::Q5K, n, k, seed);
        check_format::<Q6K>(Format::Q6K, n, k, seed);
    }

    /// Any bytes of a file: codes at their limits, scales of any size, NaN among them.
    #[test]
    fn any_blocks_give_the_same_everywhere(format in formats(), m in 1usize..7, seed: u64, bytes in prop::collection::vec(any::<u8>(), 210)) {
        let (n, k) = (5, 256);
        let values = random(seed, m * k);
        let bytes: Vec<u8> = bytes.into_iter().cycle().take(n * format.row_bytes(k).expect("whole blocks")).collect();
        let Some(w) = Quantized::from_blocks(format, n, k, None, &bytes) else { panic!("{format:?}") };
        let y = run(portable(), &values, &w, 0..n, None);
        for cpu in cpus() {
            let other = run(cpu, &values, &w, 0..n, None);
            for (a, b) in y.iter().zip(&other) {
                prop_assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{a} {b} {:?}", cpu.isa());
            }
        }
    }
}

#[test]
fn real_shapes() {
    if cfg!(miri) {
        return;
    }
    for (m, k, n) in [(37, 4304, 129), (1, 4304, 1152), (100, 1152, 300), (3, 10_944, 64)] {
        for format in Format::ALL {
            let (x, w) = (random(1, m * k), quantize(format, &random(2, n * k), n, k));
            let y = run(portable(), &x, &w, 0..n, None);
            check(&x, &w, None, &y, false);
            for cpu in cpus() {
                assert_eq!(bits(&y), bits(&run(cpu, &x, &w, 0..n, None)), "{:?}", cpu.isa());
            }
        }
    }
}

/// The largest codes against the largest activations: no sum of integers saturates or wraps.
#[test]
fn codes_at_their_limits() {
    for sign in [1.0, -1.0] {
        for format in Format::ALL {
            let k = 320;
            let w = quantize(format, &vec![sign; 17 * k], 17, k);
            for x in [1.0, -1.0] {
                for m in [1, 6] {
                    for cpu in cpus() {
                        check(&vec![x; m * k], &w, None, &run(cpu, &vec![x; m * k], &w, 0..17, None), true);
                    }
                }
            }
        }
    }
}

/// Extremes reach the rows that they belong to, and no others.
#[test]
fn extreme_activations() {
    let (m, k, n) = (7, 300, 20);
    for format in Format::ALL {
        let w = quantize(format, &random(1, n * k), n, k);
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let clean = random(2, m * k);
            let mut x = clean.clone();
            x[5 * k + k - 1] = special;
            for cpu in cpus() {
                let (clean, y) = (run(cpu, &clean, &w, 0..n, None), run(cpu, &x, &w, 0..n, None));
                for (row, (clean, y)) in clean.chunks(n).zip(y.chunks(n)).enumerate() {
                    if row == 5 {
                        assert!(y.iter().all(|y| y.is_nan()), "{format:?} {special} {:?}", cpu.isa());
                    } else {
                        assert_eq!(bits(clean), bits(y), "{format:?} {special} {:?}", cpu.isa());
                    }
                }
            }
        }
        for scale in [0.0, 1e-45, 1e-38, 2f32.powi(-119), 2f32.powi(-121), 1e30] {
            let x: Vec<f32> = random(3, m * k).into_iter().map(|x| x * scale).collect();
            let y = run(portable(), &x, &w, 0..n, None);
            check(&x, &w, None, &y, false);
            for cpu in cpus() {
                assert_eq!(bits(&y), bits(&run(cpu, &x, &w, 0..n, None)), "{format:?} {scale} {:?}", cpu.isa());
            }
        }
    }
}

/// What rounding activations costs where they are normally distributed: the module's documentation gives the number.
#[test]
fn error_of_normal_activations() {
    let (m, k, n) = if cfg!(miri) { (2, 256, 3) } else { (8, 1280, 512) };
    let x = random(1, m * k);
    for format in [Format::Q8_0, Format::Q4K] {
        let w = quantize(format, &random(2, n * k), n, k);
        let (weights, y) = (dequantize(&w), run(Cpu::detect(), &x, &w, 0..n, None));
        let (mut error, mut total) = (0.0, 0.0);
        for (i, y) in y.iter().enumerate() {
            let (x, w) = (&x[i / n * k..][..k], &weights[i % n * k..][..k]);
            let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            error += (f64::from(*y) - sum).powi(2);
            total += sum * sum;
        }
        let error = (error / total).sqrt();
        println!("{format:?}: {error}");
        assert!(cfg!(miri) || (0.003..0.0085).contains(&error), "{format:?}: {error}");
    }
}

#[test]
fn what_follows_is_fused() {
    let (k, n) = (70, 37);
    for (format, m) in Format::ALL.into_iter().flat_map(|format| [(format, 1), (format, 3), (format, 60)]) {
        let w = quantize(format, &random(2, n * k), n, k);
        let (x, bias, residual) = (random(3, m * k), random(4, 20), random(5, m * 20));
        for cpu in cpus() {
            let sums = run(cpu, &x, &w, 9..29, Some(&bias));
            for activation in [None, Some(Activation::GeluTanh), Some(Activation::Gelu)] {
                let mut apart = sums.clone();
                match activation {
                    None => {}
                    Some(Activation::GeluTanh) => gelu_tanh(cpu, &mut apart),
                    Some(Activation::Gelu) => gelu_erf(cpu, &mut apart),
                }
                apart.iter_mut().zip(&residual).for_each(|(y, residual)| *y += residual);
                let mut fused = vec![f32::NAN; m * 20];
                let then = Epilogue { bias: Some(&bias), activation, residual: Some(&residual) };
                linear_quantized(cpu, &x, &w, 9..29, then, &mut fused);
                assert_eq!(fused, apart, "{cpu:?} {format:?} {m} {activation:?}");
            }
        }
    }
}

#[test]
fn without_inputs_or_outputs() {
    for format in Format::ALL {
        for cpu in cpus() {
            let w = quantize(format, &[], 3, 0);
            let (mut y, none) = ([f32::NAN; 6], Epilogue::default());
            linear_quantized(
                cpu,
                &[],
                &w,
                0..3,
                Epilogue { bias: Some(&[1.0, 2.0, 3.0]), residual: Some(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]), ..none },
                &mut y,
            );
            assert_eq!(y, [1., 2., 4., 1., 2., 3.]);
            let w = quantize(format, &random(1, 3 * 40), 3, 40);
            linear_quantized(cpu, &random(1, 40), &w, 2..2, none, &mut []);
            linear_quantized(cpu, &[], &w, 0..3, none, &mut []);
        }
    }
}

#[test]
#[should_panic(expected = "inputs")]
fn lengths_must_fit() {
    let w = quantize(Format::Q8_0, &[0.0; 6], 2, 3);
    linear_quantized(Cpu::detect(), &[0.0; 5], &w, 0..2, Epilogue::default(), &mut [0.0; 4]);
}

#[test]
#[should_panic(expected = "outputs 1..3 of 2")]
fn outputs_must_exist() {
    let w = quantize(Format::Q8_0, &[0.0; 6], 2, 3);
    linear_quantized(Cpu::detect(), &[0.0; 3], &w, 1..3, Epilogue::default(), &mut [0.0; 2]);
}

/// Neighbours on a shelf are what each is alone, and stay it when others and the shelf are gone.
#[test]
#[cfg_attr(miri, ignore = "it asks the system for memory")]
fn weights_on_a_shelf() {
    let shelf = Shelf::new();
    let shapes = [(1, 1), (17, 300), (0, 32), (5, 0), (64, 256)];
    let cases = shapes.into_iter().flat_map(|shape| Format::ALL.map(|format| (format, shape)));
    let mut weights = Vec::new();
    for (seed, (format, (n, k))) in (0..).zip(cases) {
        let values = random(seed, n * k);
        let fill = |row: usize, dst: &mut [f32]| dst.copy_from_slice(&values[row * k..][..k]);
        let alone = quantize(format, &values, n, k);
        let shelved = Quantized::quantize(Cpu::detect(), format, n, k, Some(&shelf), fill);
        assert_eq!(alone.bytes(), shelved.bytes());
        weights.push((alone, shelved));
        if let Some(bytes) = format.row_bytes(k) {
            let file: Vec<u8> = (0..n * bytes).map(|i| i as u8 % 59).collect();
            let read = |shelf| Quantized::from_blocks(format, n, k, shelf, &file).expect("whole blocks");
            weights.push((read(None), read(Some(&shelf))));
        }
    }
    drop(shelf);
    let mut index = 0;
    weights.retain(|_| {
        index += 1;
        index % 3 > 0
    });
    for (alone, shelved) in &weights {
        assert_eq!(bits(&dequantize(alone)), bits(&dequantize(shelved)));
        let (n, k) = (alone.rows(), alone.cols());
        let x = random(7, 3 * k);
        let product = |w| {
            let mut y = vec![f32::NAN; 3 * n];
            linear_quantized(Cpu::detect(), &x, w, 0..n, Epilogue::default(), &mut y);
            y
        };
        assert_eq!(bits(&product(alone)), bits(&product(shelved)));
    }
}
