//! What the tests of all kernels need.

#![allow(dead_code, unused_imports, reason = "not every test needs all")]

pub mod weight;

use proptest::test_runner::Config;
pub use seekvl_kernels::with_threads;
use seekvl_kernels::{Cpu, Isa};

/// Every family of instructions that this processor has.
pub fn cpus() -> impl Iterator<Item = Cpu> {
    Isa::ALL.into_iter().filter_map(Cpu::force)
}

/// Numbers of which the same seed gives the same, roughly normal with deviation 1.
pub fn random(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..len).map(|_| (0..12).map(|_| uniform()).sum()).collect()
}

/// Fewer cases where each is slow.
pub fn config(cases: u32) -> Config {
    Config { cases: if cfg!(miri) { 2 } else { cases }, failure_persistence: None, ..Config::default() }
}

/// The bits of numbers, which tell also zeros and NaNs apart.
pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}
