//! How fast weights are rounded, and products with them, the fastest of several calls. Takes words of the cases' names,
//! and numbers of threads as `threads=1`.
//!
//! `cargo run --release -p seekvl-kernels --example quantized_speed -- Avx512 729x1152x4304`

#![allow(clippy::print_stdout, reason = "what a program is for")]

use seekvl_kernels::quantized::{Format, Quantized, linear_quantized};
use seekvl_kernels::{Cpu, Epilogue, Isa, set_threads};
use std::time::{Duration, Instant};

/// The shortest time of a call, over about half a second.
fn time(mut call: impl FnMut()) -> f64 {
    call();
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        call();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// Numbers in -1..1.
fn random(len: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// A weight of which every sixteen rows repeat, since only its size matters.
fn weight(format: Format, n: usize, k: usize) -> Quantized {
    let values = random(16 * k);
    let few =
        Quantized::quantize(Cpu::detect(), format, 16, k, None, |r, dst| dst.copy_from_slice(&values[r * k..][..k]));
    Quantized::quantize(Cpu::detect(), format, n, k, None, |r, dst| few.dequantize_row(r % 16, dst))
}

fn case(isa: Isa, format: Format, (m, k, n): (usize, usize, usize), words: &[String]) {
    let name = format!("{isa:?} {format:?} {m}x{k}x{n}");
    let Some(cpu) = Cpu::force(isa).filter(|_| words.iter().all(|word| name.contains(word.as_str()))) else { return };
    let w = weight(format, n, k);
    let (x, mut y) = (random(m * k), vec![0.0; m * n]);
    let t = time(|| linear_quantized(cpu, &x, &w, 0..n, Epilogue::default(), &mut y));
    let (operations, bytes) = (2.0 * (m * n * k) as f64, w.bytes() as f64);
    println!("{name:36} {:9.3} ms {:6.1} GOP/s {:6.1} GB/s", t * 1e3, operations / t / 1e9, bytes / t / 1e9);
}

/// Rounding alone.
fn rounding(isa: Isa, format: Format, words: &[String]) {
    let name = format!("{isa:?} {format:?} rounding");
    let Some(cpu) = Cpu::force(isa).filter(|_| words.iter().all(|word| name.contains(word.as_str()))) else { return };
    let (n, k) = (1024, 2048);
    let values = random(n * k);
    let t = time(|| {
        drop(Quantized::quantize(cpu, format, n, k, None, |r, dst| dst.copy_from_slice(&values[r * k..][..k])))
    });
    println!("{name:36} {:9.3} ns/weight", t * 1e9 / (n * k) as f64);
}

fn main() {
    let (threads, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("threads="));
    let threads = threads.first().and_then(|word| word.strip_prefix("threads=")?.parse().ok()).unwrap_or(0);
    set_threads(threads);
    let many = [(729, 1152, 4304), (729, 4304, 1152), (512, 1280, 6848), (8, 1280, 6848)];
    // Over 300 MB in every format, and a layer of a small model.
    let one = [(1, 4096, 163_840), (1, 1280, 6848)];
    for isa in Isa::ALL {
        for format in Format::ALL {
            rounding(isa, format, &words);
            for shape in many.into_iter().chain(one) {
                case(isa, format, shape, &words);
            }
        }
    }
}
