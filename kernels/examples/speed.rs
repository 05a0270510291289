//! How fast the kernels are on the shapes that matter. Takes words of the cases' names; all without.
//!
//! `cargo run --release -p seekvl-kernels --example speed -- bf16`

#![allow(clippy::print_stdout, reason = "what a program is for")]

use half::bf16;
use seekvl_kernels::*;
use std::time::{Duration, Instant};

/// The median time of a call, over about a second.
fn time(mut call: impl FnMut()) -> f64 {
    call();
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || begin.elapsed() < Duration::from_secs(1) {
        let start = Instant::now();
        call();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
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

fn linears(cpu: Cpu, wanted: &dyn Fn(&str) -> bool) {
    let shapes = [
        (729, 1152, 4304),
        (729, 4304, 1152),
        (729, 1152, 3456),
        (512, 1280, 1280),
        (64, 1280, 6848),
        (1, 1280, 102_400),
        (1, 2048, 102_400),
        (1, 10944, 16384),
        (1, 1280, 1280),
        (4, 1280, 102_400),
    ];
    for (m, k, n) in shapes {
        let (x, w) = (random(m * k), random(n * k));
        let halves: Vec<_> = w.iter().map(|w| bf16::from_f32(*w)).collect();
        let mut y = vec![0.0; m * n];
        for (name, elements, size) in [("f32", Elements::F32(&w), 4), ("bf16", Elements::Bf16(&halves), 2)] {
            let name = format!("linear {name} {m}x{k}x{n}");
            if wanted(&name) {
                let t = time(|| linear(cpu, &x, Matrix::new(elements, n, k), None, &mut y));
                let (flops, bytes) = (2.0 * (m * n * k) as f64, (n * k * size) as f64);
                println!("{name:32} {:9.3} ms {:6.1} GFLOP/s {:6.1} GB/s", t * 1e3, flops / t / 1e9, bytes / t / 1e9);
            }
        }
    }
}

fn attentions(cpu: Cpu, wanted: &dyn Fn(&str) -> bool) {
    let tower = Attention {
        queries: 729,
        keys: 729,
        heads: 16,
        kv_heads: 16,
        key_dim: 72,
        value_dim: 72,
        scale: 0.1,
        mask: Mask::None,
        bias: None,
    };
    let prefill = |n| Attention {
        queries: n,
        keys: n,
        heads: 10,
        kv_heads: 10,
        key_dim: 128,
        value_dim: 128,
        scale: 0.1,
        mask: Mask::Causal { first: 0 },
        bias: None,
    };
    let decode = Attention { queries: 1, keys: 4000, mask: Mask::None, ..prefill(1) };
    let latent = Attention {
        queries: 1,
        keys: 4000,
        heads: 16,
        kv_heads: 1,
        key_dim: 576,
        value_dim: 512,
        scale: 0.1,
        mask: Mask::None,
        bias: None,
    };
    let cases = [
        ("tower", tower),
        ("prefill 1500", prefill(1500)),
        ("prefill 4000", prefill(4000)),
        ("decode", decode),
        ("latent decode", latent),
        ("latent prefill", Attention { queries: 500, keys: 500, ..latent }),
    ];
    for (name, a) in cases {
        let name = format!("attention {name}");
        if !wanted(&name) {
            continue;
        }
        let fused = name.contains("tower");
        let (q_width, k_width) = (a.heads * a.key_dim, a.kv_heads * a.key_dim);
        let stride = |width| if fused { 3 * width } else { width };
        let (q, k) = (random(a.queries * stride(q_width)), random(a.keys * stride(k_width)));
        let v = random(a.keys * stride(k_width));
        let mut out = vec![0.0; a.queries * a.heads * a.value_dim];
        let rows = |data, width| Rows { data, stride: stride(width), head_stride: a.key_dim };
        let t = time(|| attention(cpu, &a, rows(&q, q_width), &[rows(&k, k_width)], &[rows(&v, k_width)], &mut out));
        let pairs = a.queries * a.keys / if a.mask == Mask::None { 1 } else { 2 };
        let flops = 2.0 * (pairs * a.heads * (a.key_dim + a.value_dim)) as f64;
        let bytes = 4.0 * (a.keys * a.kv_heads * (a.key_dim + a.value_dim)) as f64;
        println!("{name:32} {:9.3} ms {:6.1} GFLOP/s {:6.1} GB/s", t * 1e3, flops / t / 1e9, bytes / t / 1e9);
    }
}

fn elementwise(cpu: Cpu, wanted: &dyn Fn(&str) -> bool) {
    let (rows, width) = (729, 4304);
    let (x, w) = (random(rows * width), random(width));
    let mut y = x.clone();
    let mut case = |name: &str, call: &dyn Fn(&mut [f32])| {
        if wanted(name) {
            let t = time(|| call(&mut y));
            println!("{name:32} {:9.3} ms {:6.2} ns each", t * 1e3, t * 1e9 / x.len() as f64);
        }
    };
    case("rms_norm", &|y| rms_norm(cpu, &x, &w, 1e-6, y));
    case("layer_norm", &|y| layer_norm(cpu, &x, &w, &w, 1e-6, y));
    case("gelu_tanh", &|y| gelu_tanh(cpu, y));
    case("gelu_erf", &|y| gelu_erf(cpu, y));
    case("silu_mul", &|y| silu_mul(cpu, y, &x));
}

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    for isa in Isa::ALL {
        let Some(cpu) = Cpu::force(isa).filter(|_| words.iter().all(|w| w != "best") || isa == Cpu::detect().isa())
        else {
            continue;
        };
        println!("{isa:?}");
        linears(cpu, &wanted);
        attentions(cpu, &wanted);
        elementwise(cpu, &wanted);
    }
}
