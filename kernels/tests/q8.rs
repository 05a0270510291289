//! Rows in 8 bits, and attention over them, for every family of instructions.

mod common;

use common::{bits, config, cpus, random, with_threads};
use half::bf16;
use proptest::prelude::*;
use seekvl_kernels::{Attention, Cpu, Isa, KEYS, Mask, Rows, attention_bf16, attention_q8, q8, round_rows};

fn pack(cpu: Cpu, width: usize, x: &[f32]) -> Vec<u8> {
    let mut y = vec![0; x.len() / width * q8::bytes(width)];
    q8::pack_rows(cpu, width, x, &mut y);
    y
}

fn unpack(cpu: Cpu, width: usize, x: &[u8]) -> Vec<f32> {
    let mut y = vec![f32::INFINITY; x.len() / q8::bytes(width) * width];
    q8::unpack_rows(cpu, width, x, &mut y);
    y
}

fn portable() -> Cpu {
    Cpu::force(Isa::Portable).unwrap_or_else(Cpu::detect)
}

proptest! {
    #![proptest_config(config(60))]

    /// Of any size that models have; the bytes are the same on every processor.
    #[test]
    fn numbers_come_back_as_near_as_is_said(rows in 1usize..9, width in 1usize..150, size in -60i32..60, seed: u64) {
        let x: Vec<f32> = random(seed, rows * width).iter().map(|x| x * 2f32.powi(size)).collect();
        let packed = pack(portable(), width, &x);
        for cpu in cpus() {
            prop_assert_eq!(&packed, &pack(cpu, width, &x), "{:?}", cpu.isa());
            let back = unpack(cpu, width, &packed);
            for (x, y) in x.chunks(width).zip(back.chunks(width)) {
                for (x, y) in x.chunks(32).zip(y.chunks(32)) {
                    let largest = x.iter().fold(0.0, |a: f32, x| a.max(x.abs()));
                    prop_assert!(x.iter().zip(y).all(|(x, y)| (x - y).abs() <= largest / 253.0), "{:?}, {:?}", x, y);
                }
            }
        }
    }

    /// What is unpacked within is what is unpacked before and rounded, bit for bit; so for one query, for many, and where
    /// values are the front of keys.
    #[test]
    fn attention_is_that_over_the_numbers(
        queries in prop::sample::select(vec![1usize, 2, 3, 40]),
        keys in 1usize..300,
        kv_heads in 1usize..3,
        group in prop::sample::select(vec![1usize, 2, 3, 4, 8, 16]),
        key_dim in 1usize..100,
        value_dim in 1usize..100,
        front: bool,
        seed: u64,
    ) {
        let keys = if cfg!(miri) { keys % 9 + 1 } else { keys }.max(queries);
        let value_dim = if front { value_dim.min(key_dim) } else { value_dim };
        let mask = Mask::Causal { first: keys - queries };
        let a = Attention { queries, keys, heads: kv_heads * group, kv_heads, key_dim, value_dim, scale: 0.2, mask, bias: None };
        let q = random(seed, queries * a.heads * key_dim);
        let q = Rows { data: &q[..], stride: a.heads * key_dim, head_stride: key_dim };
        let packed = |seed, width| -> Vec<Vec<u8>> {
            let part = |first: usize| kv_heads * KEYS.min(keys - first) * width;
            (0..keys).step_by(KEYS).map(|first| pack(portable(), width, &random(seed ^ first as u64, part(first)))).collect()
        };
        let (k, v) = (packed(seed ^ 1, key_dim), packed(seed ^ 2, value_dim));
        let v_width = if front { key_dim } else { value_dim };
        let v = if front { &k } else { &v };
        for cpu in cpus() {
            let run = || {
                let mut out = vec![f32::NAN; queries * a.heads * value_dim];
                attention_q8(cpu, &a, q, &rows(&k, kv_heads, q8::bytes(key_dim)), &rows(v, kv_heads, q8::bytes(v_width)), &mut out);
                bits(&out)
            };
            let (wide_k, wide_v) = (numbers(&k, key_dim), numbers(v, v_width));
            let mut expected = vec![f32::NAN; queries * a.heads * value_dim];
            attention_bf16(cpu, &a, q, &rows(&wide_k, kv_heads, key_dim), &rows(&wide_v, kv_heads, v_width), &mut expected);
            prop_assert_eq!(bits(&expected), run(), "{:?} {:?}", cpu.isa(), a);
            if !cfg!(miri) {
                prop_assert_eq!(bits(&expected), with_threads(1, run));
            }
        }
    }
}

/// Parts that are laid head by head.
fn rows<T>(parts: &[Vec<T>], heads: usize, width: usize) -> Vec<Rows<'_, T>> {
    parts.iter().map(|data| Rows { data, stride: width, head_stride: data.len() / heads }).collect()
}

fn numbers(parts: &[Vec<u8>], width: usize) -> Vec<Vec<bf16>> {
    let round = |part: &Vec<u8>| {
        let x = unpack(portable(), width, part);
        let mut y = vec![bf16::ZERO; x.len()];
        round_rows(portable(), &x, x.len(), x.len(), &mut y);
        y
    };
    parts.iter().map(round).collect()
}

#[test]
fn a_front_of_a_row_is_a_row() {
    let x = random(3, 70);
    let packed = pack(Cpu::detect(), 70, &x);
    let whole = unpack(Cpu::detect(), 70, &packed);
    for width in [1, 31, 32, 33, 64, 69] {
        assert_eq!(unpack(Cpu::detect(), width, &packed[..q8::bytes(width)]), whole[..width]);
    }
}

#[test]
fn special_numbers_stay_what_they_are() {
    for cpu in cpus() {
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![1.0; 96];
            x[40] = special;
            let y = unpack(cpu, 96, &pack(cpu, 96, &x));
            for (i, y) in y.iter().enumerate() {
                assert_eq!(y.is_finite(), !(32..64).contains(&i), "{special} at {i}");
            }
        }
        for tiny in [0.0, 1e-45, 1e-40, -1e-38] {
            assert!(unpack(cpu, 33, &pack(cpu, 33, &[tiny; 33])).iter().all(|y| y.abs() <= 2e-38));
        }
    }
}

#[test]
#[should_panic(expected = "rows of 3")]
fn lengths_must_fit() {
    q8::pack_rows(Cpu::detect(), 3, &[0.0; 6], &mut [0; 9]);
}
