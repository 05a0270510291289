//! GGUF's formats against the package `gguf`, against their definitions, and the rounding against what it promises.

mod common;
#[path = "data/gguf.rs"]
mod gguf;

use common::{bits, config, cpus, random};
use half::f16;
use proptest::prelude::*;
use seekvl_kernels::Cpu;
use seekvl_kernels::quantized::blocks::*;
use seekvl_kernels::quantized::{Format, Quantized};

fn dequantized<B: Block>(bytes: &[u8]) -> Vec<f32> {
    let mut values = vec![f32::NAN; B::VALUES];
    B::read(bytes).dequantize(&mut values);
    values
}

#[test]
fn numbers_are_those_of_gguf() {
    fn check<B: Block>(halves: &[usize], expected: &[u32]) {
        let mut bytes = gguf::bytes(B::BYTES as u32, B::BYTES);
        for (at, half) in halves.iter().zip([0x2a57u16, 0x1c03]) {
            bytes[*at..at + 2].copy_from_slice(&half.to_le_bytes());
        }
        assert_eq!(bits(&dequantized::<B>(&bytes)), expected, "{}", std::any::type_name::<B>());
    }
    check::<Q8_0>(&[0], &gguf::Q8_0_NUMBERS);
    check::<Q4_0>(&[0], &gguf::Q4_0_NUMBERS);
    check::<Q5_0>(&[0], &gguf::Q5_0_NUMBERS);
    check::<Q5_1>(&[0, 2], &gguf::Q5_1_NUMBERS);
    check::<Q4K>(&[0, 2], &gguf::Q4_K_NUMBERS);
    check::<Q5K>(&[0, 2], &gguf::Q5_K_NUMBERS);
    check::<Q6K>(&[208], &gguf::Q6_K_NUMBERS);
}

#[test]
fn rounded_bytes_are_those_of_gguf() {
    fn check<B: Quantize>(expected: &[u8]) {
        let mut bytes = vec![0xff; expected.len()];
        for (x, bytes) in gguf::values().chunks(32).zip(bytes.chunks_mut(B::BYTES)) {
            B::quantize(x).write(bytes);
        }
        assert_eq!(bytes, expected, "{}", std::any::type_name::<B>());
    }
    check::<Q8_0>(&gguf::Q8_0_BYTES);
    check::<Q4_0>(&gguf::Q4_0_BYTES);
    check::<Q5_0>(&gguf::Q5_0_BYTES);
    check::<Q5_1>(&gguf::Q5_1_BYTES);
}

/// Rows of blocks are the blocks one by one, and those that [`Quantized`] packs.
#[test]
fn rows_are_their_blocks() {
    let (rows, cols) = (19, 512);
    let x = random(3, rows * cols);
    for format in Format::ALL {
        let mut bytes = vec![0; rows * format.row_bytes(cols).expect("whole blocks")];
        let fill = |row: usize, values: &mut [f32]| values.copy_from_slice(&x[row * cols..][..cols]);
        quantize_rows(Cpu::detect(), format, cols, fill, &mut bytes);
        let mut numbers = vec![f32::NAN; rows * cols];
        format.dequantize(&bytes, &mut numbers);
        let packed = Quantized::from_blocks(format, rows, cols, None, &bytes).expect("whole blocks");
        let quantized = Quantized::quantize(Cpu::detect(), format, rows, cols, None, fill);
        for (row, numbers) in numbers.chunks(cols).enumerate() {
            let mut values = vec![f32::NAN; cols];
            packed.dequantize_row(row, &mut values);
            assert_eq!(bits(&values), bits(numbers), "{format:?}");
            quantized.dequantize_row(row, &mut values);
            assert_eq!(bits(&values), bits(numbers), "{format:?}");
        }
    }
    assert_eq!(Format::Q4K.row_bytes(128), None);
    assert_eq!(Format::Q8_0.row_bytes(usize::MAX - 31), None);
}

/// Weights that the search has every kind of trouble with, in runs of 32: no minimum that the format has, nothing to fit,
/// magnitudes at the ends of the range, weights on a grid, weights far off.
fn troublesome(len: usize) -> Vec<f32> {
    let weight = |(i, x): (usize, f32)| match i / 32 % 13 {
        0 => 0.0,
        1 => 0.25,
        2 => x.abs(),
        3 => -x.abs(),
        4 => x + 10.0,
        5 => x - 10.0,
        6 => 1e-20 * x,
        7 => 1e-32 * x,
        8 => 10.0 + 1e-6 * x,
        9 => (3.0 * x).round(),
        10 if i % 32 == 0 => 50.0 * x,
        _ => x,
    };
    let mut x: Vec<f32> = random(11, len).into_iter().enumerate().map(weight).collect();
    // In blocks of their own, since all of such a block is lost.
    x[256..512].iter_mut().for_each(|x| *x *= 1e30);
    x[700] = f32::NAN;
    x
}

/// The bytes are the same on every processor, in a row or alone, and if a row's blocks are no whole pairs.
#[test]
fn bytes_are_the_same_everywhere() {
    fn alone<B: Quantize>(x: &[f32]) -> Vec<u8> {
        let mut bytes = vec![0; x.len() / B::VALUES * B::BYTES];
        for (x, bytes) in x.chunks(B::VALUES).zip(bytes.chunks_mut(B::BYTES)) {
            B::quantize(x).write(bytes);
        }
        bytes
    }
    let (rows, cols) = (if cfg!(miri) { 1 } else { 18 }, 5 * 256);
    let x = troublesome(rows * cols);
    let fill = |row: usize, values: &mut [f32]| values.copy_from_slice(&x[row * cols..][..cols]);
    let all = [
        (Format::Q8_0, alone::<Q8_0>(&x)),
        (Format::Q4_0, alone::<Q4_0>(&x)),
        (Format::Q5_0, alone::<Q5_0>(&x)),
        (Format::Q5_1, alone::<Q5_1>(&x)),
        (Format::Q4K, alone::<Q4K>(&x)),
        (Format::Q5K, alone::<Q5K>(&x)),
        (Format::Q6K, alone::<Q6K>(&x)),
    ];
    for (format, expected) in all {
        for cpu in cpus() {
            let mut bytes = vec![0; expected.len()];
            quantize_rows(cpu, format, cols, fill, &mut bytes);
            assert!(bytes == expected, "{format:?} on {cpu:?}");
            let packed = Quantized::quantize(cpu, format, rows, cols, None, fill);
            let (mut values, mut numbers) = (vec![f32::NAN; cols], vec![f32::NAN; cols]);
            for (row, bytes) in bytes.chunks(expected.len() / rows).enumerate() {
                packed.dequantize_row(row, &mut values);
                format.dequantize(bytes, &mut numbers);
                assert!(
                    values.iter().zip(&numbers).all(|(a, b)| a == b || a.is_nan() && b.is_nan()),
                    "{format:?} on {cpu:?}"
                );
            }
        }
    }
}

/// Weight `i` of a block by the format's definition, with shifts of the whole block as one number.
mod definition {
    use super::f16;

    fn half(bytes: &[u8], at: usize) -> f64 {
        f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f64()
    }

    /// Bits `at..at + len` of the bytes from `from` on.
    fn field(bytes: &[u8], from: usize, at: usize, len: usize) -> u32 {
        (0..len).map(|i| u32::from(bytes[from + (at + i) / 8] >> ((at + i) % 8) & 1) << i).sum()
    }

    pub fn q8_0(bytes: &[u8], i: usize) -> f64 {
        half(bytes, 0) * f64::from(bytes[2 + i] as i8)
    }

    pub fn q4_0(bytes: &[u8], i: usize) -> f64 {
        half(bytes, 0) * (f64::from(field(bytes, 2, i % 16 * 8 + i / 16 * 4, 4)) - 8.0)
    }

    fn five(bytes: &[u8], from: usize, i: usize) -> f64 {
        f64::from(field(bytes, from + 4, i % 16 * 8 + i / 16 * 4, 4) + 16 * field(bytes, from, i, 1))
    }

    pub fn q5_0(bytes: &[u8], i: usize) -> f64 {
        half(bytes, 0) * (five(bytes, 2, i) - 16.0)
    }

    pub fn q5_1(bytes: &[u8], i: usize) -> f64 {
        half(bytes, 0) * five(bytes, 4, i) + half(bytes, 2)
    }

    fn affine(bytes: &[u8], i: usize, code: u32) -> f64 {
        let run = i / 32;
        let (scale, min) = if run < 4 {
            (field(bytes, 4 + run, 0, 6), field(bytes, 8 + run, 0, 6))
        } else {
            let (scale, min) = (field(bytes, 8 + run, 0, 4), field(bytes, 8 + run, 4, 4));
            (scale + 16 * field(bytes, run, 6, 2), min + 16 * field(bytes, 4 + run, 6, 2))
        };
        half(bytes, 0) * f64::from(scale) * f64::from(code) - half(bytes, 2) * f64::from(min)
    }

    fn nibble(bytes: &[u8], from: usize, i: usize) -> u32 {
        field(bytes, from + i / 64 * 32 + i % 32, i % 64 / 32 * 4, 4)
    }

    pub fn q4_k(bytes: &[u8], i: usize) -> f64 {
        affine(bytes, i, nibble(bytes, 16, i))
    }

    pub fn q5_k(bytes: &[u8], i: usize) -> f64 {
        affine(bytes, i, nibble(bytes, 48, i) + 16 * field(bytes, 16 + i % 32, i / 32, 1))
    }

    pub fn q6_k(bytes: &[u8], i: usize) -> f64 {
        let (half_block, quarter, at) = (i / 128, i % 128 / 32, i % 32);
        let low = field(bytes, 64 * half_block + at + 32 * (quarter % 2), quarter / 2 * 4, 4);
        let code = low + 16 * field(bytes, 128 + 32 * half_block + at, 2 * quarter, 2);
        half(bytes, 208) * f64::from(bytes[192 + i / 16] as i8) * (f64::from(code) - 32.0)
    }
}

proptest! {
    #![proptest_config(config(200))]

    /// Any bytes, but for scales that are not finite. All products are exact in f64; one or two roundings are left.
    #[test]
    fn numbers_are_those_of_the_definition(seed: u32) {
        fn check<B: Block + PartialEq + std::fmt::Debug>(seed: u32, halves: &[usize], weight: fn(&[u8], usize) -> f64) {
            let mut bytes = gguf::bytes(seed, B::BYTES);
            for at in halves {
                bytes[at + 1] &= 0xbf;
            }
            for (i, y) in dequantized::<B>(&bytes).into_iter().enumerate() {
                let expected = weight(&bytes, i);
                assert!((f64::from(y) - expected).abs() <= 2f64.powi(-24) * expected.abs().max(1e-9), "{i}: {y}, not {expected}");
            }
            let mut again = vec![0x55; B::BYTES];
            B::read(&bytes).write(&mut again);
            assert_eq!(again, bytes);
        }
        check::<Q8_0>(seed, &[0], definition::q8_0);
        check::<Q4_0>(seed, &[0], definition::q4_0);
        check::<Q5_0>(seed, &[0], definition::q5_0);
        check::<Q5_1>(seed, &[0, 2], definition::q5_1);
        check::<Q4K>(seed, &[0, 2], definition::q4_k);
        check::<Q5K>(seed, &[0, 2], definition::q5_k);
        check::<Q6K>(seed, &[208], definition::q6_k);
    }
}

/// The weights after rounding, and their root mean squared error relative to their deviation.
fn rounded<B: Quantize>(x: &[f32]) -> (Vec<f32>, f64) {
    let mut y = vec![f32::NAN; x.len()];
    for (x, y) in x.chunks(B::VALUES).zip(y.chunks_mut(B::VALUES)) {
        let mut bytes = vec![0; B::BYTES];
        B::quantize(x).write(&mut bytes);
        y.copy_from_slice(&dequantized::<B>(&bytes));
    }
    let squares = |f: &dyn Fn(usize) -> f32| (0..x.len()).map(|i| f64::from(f(i)).powi(2)).sum::<f64>();
    let error = (squares(&|i| x[i] - y[i]) / squares(&|i| x[i])).sqrt();
    (y, error)
}

/// Better than spanning the range of each run where there is a minimum to fit, though scales are rounded here; Q6_K, whose
/// runs are symmetric about 0, comes near.
#[test]
fn rounding_is_good() {
    let x: Vec<f32> = random(5, if cfg!(miri) { 512 } else { 1 << 16 }).into_iter().map(|x| 0.02 * x).collect();
    // What spanning each run's range gives, without rounding any scale.
    let spanned = |run: usize, levels: f32| {
        let error = |x: &[f32]| {
            let (low, high) = x.iter().fold((0f32, 0f32), |(low, high), x| (low.min(*x), high.max(*x)));
            let scale = (high - low) / levels;
            x.iter().map(|x| f64::from(((x - low) / scale).round() * scale + low - x).powi(2)).sum::<f64>()
        };
        let sum: f64 = x.chunks(run).map(error).sum();
        (sum / x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()).sqrt()
    };
    let all = [
        ("Q8_0", rounded::<Q8_0>(&x).1, 0.0056),
        ("Q4_0", rounded::<Q4_0>(&x).1, 0.095),
        ("Q5_0", rounded::<Q5_0>(&x).1, 0.047),
        ("Q5_1", rounded::<Q5_1>(&x).1, 1.01 * spanned(32, 31.0)),
        ("Q4_K", rounded::<Q4K>(&x).1, 0.95 * spanned(32, 15.0)),
        ("Q5_K", rounded::<Q5K>(&x).1, 0.98 * spanned(32, 31.0)),
        ("Q6_K", rounded::<Q6K>(&x).1, 1.12 * spanned(16, 63.0)),
    ];
    for (name, error, bound) in all {
        assert!(error <= bound, "{name}: {error}, not {bound}");
    }
}

/// The errors that a search through all steps leaves, from the program when it fitted one run after the other: with a step
/// less, or a tie broken the wrong way, they grow.
#[test]
#[cfg_attr(miri, ignore = "slow")]
fn search_is_thorough() {
    let x: Vec<f32> = random(5, 1 << 16).into_iter().map(|x| 0.02 * x).collect();
    let errors = [rounded::<Q4K>(&x).1, rounded::<Q5K>(&x).1, rounded::<Q6K>(&x).1];
    for (error, bound) in errors.into_iter().zip([0.070_423, 0.035_343, 0.017_069]) {
        assert!(error <= bound, "{errors:?}");
    }
}

#[test]
fn extremes_stay_what_they_are() {
    fn check<B: Quantize>() {
        let name = std::any::type_name::<B>();
        let zeros = vec![0f32; 256];
        assert_eq!(rounded::<B>(&zeros).0, zeros, "{name}");
        // Too small for an f16 scale, but neither NaN nor large.
        for tiny in [1e-45f32, 1e-38, 1e-30, 1e-9] {
            let x: Vec<f32> = (0..256).map(|i| tiny * (i as f32 - 100.0)).collect();
            assert!(rounded::<B>(&x).0.iter().all(|y| y.abs() <= 1e-6), "{name} {tiny}");
        }
        for x in [vec![3.5f32; 256], vec![-0.125; 256], (0..256).map(|i| 1e3 * (i as f32 - 128.0)).collect()] {
            let (y, error) = rounded::<B>(&x);
            assert!(error < 0.1, "{name}: {} becomes {}", x[0], y[0]);
        }
        // Beyond f16's range the numbers are lost, and say so.
        assert!(rounded::<B>(&[1e30; 256]).0.iter().all(|y| !y.is_finite()), "{name}");
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = random(1, 256);
            x[77] = special;
            let y = rounded::<B>(&x).0;
            let block = 77 / B::VALUES * B::VALUES;
            assert!(y[block..block + B::VALUES].iter().all(|y| y.is_nan()), "{name} {special}");
            assert!(y[..block].iter().all(|y| y.is_finite()), "{name} {special}");
        }
    }
    check::<Q8_0>();
    check::<Q4_0>();
    check::<Q5_0>();
    // Q5_1's minimum is no code times a scale, and -128000 no f16.
    check::<Q4K>();
    check::<Q5K>();
    check::<Q6K>();
}
