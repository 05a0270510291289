//! What the machine can do at most: how fast the threads together read memory, and multiply numbers that are in registers.
//!
//! Measured with the very instructions that the kernels use, so a kernel's speed over these is the share of the machine that it
//! gets.

use crate::quantized::lanes::{self, Lanes};
use crate::simd::{Element, Kernel, Simd};
use crate::{Cpu, pool, threads};
use half::bf16;
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Instant;

/// What all threads can do together, as measured; see [`Limits::measure`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of memory read in a second, by each thread in one stream.
    pub read: f64,
    /// Multiplications and additions of `f32` in a second: two for each product that is summed.
    pub f32: f64,
    /// Of `bf16`, summed in `f32`.
    pub bf16: f64,
    /// Of 8-bit integers, summed in 32 bits.
    pub int8: f64,
}

/// Numbers that are read: 512 MiB, more than caches hold.
const NUMBERS: usize = 128 << 20;

/// Rounds of a loop over registers: some milliseconds.
const ROUNDS: usize = 1 << 21;

/// Times that each is measured; the best counts.
const TIMES: usize = 7;

impl Limits {
    /// Measures, for half a second or so, with the threads that a kernel called here may use. Takes 512 MiB of memory meanwhile.
    pub fn measure(cpu: Cpu) -> Self {
        Self {
            read: read(cpu),
            f32: rate(|| cpu.run(Multiply::<f32>(PhantomData))),
            bf16: rate(|| cpu.run(Multiply::<bf16>(PhantomData))),
            int8: rate(|| lanes::run(cpu, MultiplyBytes)),
        }
    }
}

/// Seconds that `work` takes on all threads at once, the least of several times.
fn seconds(work: impl Fn(usize) + Sync) -> f64 {
    let time = || {
        let start = Instant::now();
        pool::run(threads(), threads(), &work);
        start.elapsed().as_secs_f64()
    };
    (0..TIMES).map(|_| time()).fold(f64::INFINITY, f64::min)
}

fn read(cpu: Cpu) -> f64 {
    let numbers = vec![1.0; NUMBERS];
    let part = NUMBERS / threads();
    let time = seconds(|thread| {
        black_box(cpu.run(Sum(&numbers[thread * part..][..part])));
    });
    (part * threads() * size_of::<f32>()) as f64 / time
}

/// Operations in a second, where `work` on one thread returns how many it did.
fn rate(work: impl Fn() -> usize + Sync) -> f64 {
    let each = work();
    let time = seconds(|_| {
        work();
    });
    (each * threads()) as f64 / time
}

struct Sum<'a>(&'a [f32]);

impl Kernel for Sum<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut sums = [s.splat(0.0); 4];
        for numbers in self.0.chunks_exact(4 * S::LANES) {
            for (sum, numbers) in sums.iter_mut().zip(numbers.chunks_exact(S::LANES)) {
                *sum = s.add(*sum, s.load(numbers));
            }
        }
        sums.into_iter().map(|sum| s.sum(sum)).sum()
    }
}

/// Sums that are kept apart, so that none waits for the one before.
const SUMS: usize = 12;

struct Multiply<E>(PhantomData<E>);

impl<E: Element> Kernel for Multiply<E> {
    type Out = usize;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let (a, b) = (s.splat(black_box(1.0)), s.splat(black_box(0.0)));
        let mut sums = [s.splat(0.0); SUMS];
        for _ in 0..ROUNDS / SUMS {
            for sum in &mut sums {
                *sum = s.dot_units::<E>(a, b, *sum);
            }
        }
        black_box(sums.map(|sum| s.sum(sum)));
        2 * E::PER_UNIT * S::LANES * (ROUNDS / SUMS * SUMS)
    }
}

struct MultiplyBytes;

impl lanes::Kernel for MultiplyBytes {
    type Out = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> usize {
        let mut quad = [0; 4];
        l.store_quad(black_box([1; 4]), &mut quad);
        let (codes, quad) = (l.codes(l.load_bytes(black_box(&[1; 64]))), l.quad(&quad));
        let mut sums = [l.splat_sums(0); SUMS];
        for _ in 0..ROUNDS / SUMS {
            for sum in &mut sums {
                *sum = l.dot(*sum, codes, quad);
            }
        }
        black_box(sums.map(|sum| l.floats(sum)));
        2 * 64 * (ROUNDS / SUMS * SUMS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[test]
    fn every_family_has_limits() {
        for cpu in Isa::ALL.into_iter().filter_map(Cpu::force) {
            let limits = Limits::measure(cpu);
            let Limits { read, f32, bf16, int8 } = limits;
            assert!([read, f32, bf16, int8].iter().all(|rate| rate.is_finite() && *rate > 1e6), "{cpu:?}: {limits:?}");
        }
    }
}
