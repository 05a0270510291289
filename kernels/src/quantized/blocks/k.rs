//! Q4_K, Q5_K and Q6_K: 256 weights with scales that are codes themselves.

use super::small::{all_finite, half, reciprocal};
use super::{Block, Quantize, QuantizeEach, fit};
use crate::quantized::lanes::{Lanes, Portable};
use half::f16;
use std::array::from_fn;

/// 256 codes of `BITS` bits, 4 or 5, in eight runs of 32 with a scale and a minimum each.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine<const BITS: u32> {
    /// The scale of the scales.
    pub d: f16,
    /// The scale of the minima.
    pub dmin: f16,
    /// The scale of each run, 0 to 63.
    pub scales: [u8; 8],
    /// The minimum of each run, 0 to 63.
    pub mins: [u8; 8],
    /// The codes.
    pub q: [u8; 256],
}

/// 256 codes of 4 bits.
pub type Q4K = Affine<4>;
/// 256 codes of 5 bits.
pub type Q5K = Affine<5>;

/// 256 codes of 6 bits, of which 32 stands for 0, in sixteen runs of 16 with a scale each.
#[derive(Clone, Debug, PartialEq)]
pub struct Q6K {
    /// The scale of the scales.
    pub d: f16,
    /// The scale of each run.
    pub scales: [i8; 16],
    /// The codes, 0 to 63.
    pub q: [u8; 256],
}

/// Where a block's parts are: `d`, `dmin`, 12 bytes of scales and minima, with 5 bits 32 bytes of high bits, 128 bytes of
/// low bits.
const SCALES: usize = 4;
const CODES: usize = 16;

impl<const BITS: u32> Block for Affine<BITS> {
    const VALUES: usize = 256;
    const BYTES: usize = CODES + 32 * BITS as usize;

    fn zero() -> Self {
        Self { d: f16::ZERO, dmin: f16::ZERO, scales: [0; 8], mins: [0; 8], q: [0; 256] }
    }

    fn read(bytes: &[u8]) -> Self {
        const { assert!(BITS == 4 || BITS == 5) };
        let bytes = &bytes[..Self::BYTES];
        let (low, high) = (&bytes[Self::BYTES - 128..], &bytes[CODES..]);
        let code = |i: usize| {
            let (run, at) = (i / 32, i % 32);
            let high = if BITS == 5 { (high[at] >> run & 1) << 4 } else { 0 };
            low[run / 2 * 32 + at] >> (4 * (run % 2)) & 15 | high
        };
        let packed = &bytes[SCALES..CODES];
        // Runs 0 to 3 have a byte each; the others four bits of a byte, and two that those bytes leave over.
        let six = |run: usize, first: usize, shift: usize| match run {
            0..4 => packed[first + run] & 63,
            _ => packed[4 + run] >> shift & 15 | packed[first + run - 4] >> 6 << 4,
        };
        Self {
            d: half(bytes, 0),
            dmin: half(bytes, 2),
            scales: from_fn(|run| six(run, 0, 0)),
            mins: from_fn(|run| six(run, 4, 4)),
            q: from_fn(code),
        }
    }

    fn write(&self, bytes: &mut [u8]) {
        let bytes = &mut bytes[..Self::BYTES];
        bytes.fill(0);
        bytes[..2].copy_from_slice(&self.d.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.dmin.to_le_bytes());
        for run in 0..4 {
            bytes[SCALES + run] = self.scales[run] & 63 | self.scales[run + 4] >> 4 << 6;
            bytes[SCALES + 4 + run] = self.mins[run] & 63 | self.mins[run + 4] >> 4 << 6;
            bytes[SCALES + 8 + run] = self.scales[run + 4] & 15 | self.mins[run + 4] << 4;
        }
        let low = Self::BYTES - 128;
        for (i, q) in self.q.iter().enumerate() {
            let (run, at) = (i / 32, i % 32);
            bytes[low + run / 2 * 32 + at] |= (q & 15) << (4 * (run % 2));
            if BITS == 5 {
                bytes[CODES + at] |= (q >> 4 & 1) << run;
            }
        }
    }

    fn dequantize(&self, values: &mut [f32]) {
        for (run, values) in values[..Self::VALUES].chunks_exact_mut(32).enumerate() {
            let (scale, min) = self.run(run);
            for (value, q) in values.iter_mut().zip(&self.q[run * 32..]) {
                *value = scale * f32::from(*q) - min;
            }
        }
    }
}

impl<const BITS: u32> Affine<BITS> {
    /// Scale and minimum of a run as numbers, both exact.
    #[inline(always)]
    fn run(&self, run: usize) -> (f32, f32) {
        (self.d.to_f32() * f32::from(self.scales[run]), self.dmin.to_f32() * f32::from(self.mins[run]))
    }
}

impl<const BITS: u32> Quantize for Affine<BITS> {
    /// Each run is fitted alone; its scale and minimum are rounded to 6 bits, and the codes chosen for what that gives.
    fn quantize(values: &[f32]) -> Self {
        let mut block = [Self::zero()];
        Self::quantize_each(Portable, values, Self::VALUES, &mut block);
        let [block] = block;
        block
    }
}

impl<const BITS: u32> QuantizeEach for Affine<BITS> {
    #[inline(always)]
    fn quantize_each<L: Lanes>(l: L, values: &[f32], stride: usize, blocks: &mut [Self]) {
        for (index, pair) in blocks.chunks_mut(2).enumerate() {
            let values = &values[2 * index * stride..];
            // A block that has no other is fitted twice.
            let second = &values[(pair.len() - 1) * stride..];
            let fits = fit::affine(l, &runs(&[values, second]), Self::LARGEST);
            for (i, block) in pair.iter_mut().enumerate() {
                *block = Self::coded(l, &values[i * stride..][..Self::VALUES], &fits.0[8 * i..], &fits.1[8 * i..]);
            }
        }
    }
}

impl<const BITS: u32> Affine<BITS> {
    const LARGEST: f32 = ((1 << BITS) - 1) as f32;

    /// The block of the scale and minimum that were fitted to each run.
    #[inline(always)]
    fn coded<L: Lanes>(l: L, values: &[f32], scales: &[f32], mins: &[f32]) -> Self {
        if !all_finite(values) {
            return Self { d: f16::NAN, ..Self::zero() };
        }
        let mut block = Self::zero();
        (block.d, block.scales) = six_bits(scales);
        (block.dmin, block.mins) = six_bits(mins);
        for run in 0..8 {
            let (scale, min) = block.run(run);
            let inverse = reciprocal(scale);
            let (q, values) = (&mut block.q[run * 32..][..32], &values[run * 32..][..32]);
            for (q, x) in q.as_chunks_mut().0.iter_mut().zip(values.as_chunks().0) {
                *q = fit::codes(l, x, min, inverse, 0.0, Self::LARGEST);
            }
        }
        block
    }
}

/// The first 16 runs of `N` weights of some blocks.
#[inline(always)]
fn runs<'a, const N: usize>(blocks: &[&'a [f32]]) -> [&'a [f32; N]; fit::RUNS] {
    let mut runs = [&[0.0; N]; fit::RUNS];
    for (runs, block) in runs.chunks_mut(256 / N).zip(blocks) {
        for (run, values) in runs.iter_mut().zip(block[..256].as_chunks().0) {
            *run = values;
        }
    }
    runs
}

/// A scale, and eight codes of 6 bits, of numbers that are not negative.
#[inline(always)]
fn six_bits(numbers: &[f32]) -> (f16, [u8; 8]) {
    let mut most = 0f32;
    for x in &numbers[..8] {
        most = most.max(*x);
    }
    let d = f16::from_f32(most / 63.0);
    let inverse = reciprocal(d.to_f32());
    let mut codes = [0; 8];
    for (code, x) in codes.iter_mut().zip(numbers) {
        *code = (x * inverse).round().min(63.0) as u8;
    }
    (d, codes)
}

impl Block for Q6K {
    const VALUES: usize = 256;
    const BYTES: usize = 210;

    fn zero() -> Self {
        Self { d: f16::ZERO, scales: [0; 16], q: [32; 256] }
    }

    fn read(bytes: &[u8]) -> Self {
        let bytes = &bytes[..Self::BYTES];
        let code = |i: usize| {
            let (half, quarter, at) = (i / 128, i / 32 % 4, i % 32);
            let low = bytes[half * 64 + quarter % 2 * 32 + at] >> (4 * (quarter / 2)) & 15;
            low | (bytes[128 + half * 32 + at] >> (2 * quarter) & 3) << 4
        };
        Self { d: half(bytes, 208), scales: from_fn(|run| bytes[192 + run] as i8), q: from_fn(code) }
    }

    fn write(&self, bytes: &mut [u8]) {
        let bytes = &mut bytes[..Self::BYTES];
        bytes.fill(0);
        for (i, q) in self.q.iter().enumerate() {
            let (half, quarter, at) = (i / 128, i / 32 % 4, i % 32);
            bytes[half * 64 + quarter % 2 * 32 + at] |= (q & 15) << (4 * (quarter / 2));
            bytes[128 + half * 32 + at] |= (q >> 4 & 3) << (2 * quarter);
        }
        for (byte, scale) in bytes[192..].iter_mut().zip(self.scales) {
            *byte = scale as u8;
        }
        bytes[208..].copy_from_slice(&self.d.to_le_bytes());
    }

    fn dequantize(&self, values: &mut [f32]) {
        for (run, values) in values[..Self::VALUES].chunks_exact_mut(16).enumerate() {
            let scale = self.d.to_f32() * f32::from(self.scales[run]);
            for (value, q) in values.iter_mut().zip(&self.q[run * 16..]) {
                *value = scale * (f32::from(*q) - 32.0);
            }
        }
    }
}

impl Quantize for Q6K {
    /// As for [`Affine`]: each run is fitted, its scale rounded, and the codes chosen for what that gives.
    fn quantize(values: &[f32]) -> Self {
        let mut block = [Self::zero()];
        Self::quantize_each(Portable, values, Self::VALUES, &mut block);
        let [block] = block;
        block
    }
}

impl QuantizeEach for Q6K {
    #[inline(always)]
    fn quantize_each<L: Lanes>(l: L, values: &[f32], stride: usize, blocks: &mut [Self]) {
        for (index, block) in blocks.iter_mut().enumerate() {
            let values = &values[index * stride..][..Self::VALUES];
            *block = Self::coded(l, values, &fit::symmetric(l, &runs(&[values]), 32.0));
        }
    }
}

impl Q6K {
    /// The block of the scale that was fitted to each run.
    #[inline(always)]
    fn coded<L: Lanes>(l: L, values: &[f32], fits: &[f32; 16]) -> Self {
        if !all_finite(values) {
            return Self { d: f16::NAN, ..Self::zero() };
        }
        let mut extreme = 0f32;
        for x in fits {
            extreme = if x.abs() > extreme.abs() { *x } else { extreme };
        }
        let d = f16::from_f32(extreme / -128.0);
        let inverse = reciprocal(d.to_f32());
        let mut block = Self { d, ..Self::zero() };
        for (run, x) in values.as_chunks().0.iter().enumerate() {
            block.scales[run] = (fits[run] * inverse).round() as i8;
            let inverse = reciprocal(d.to_f32() * f32::from(block.scales[run]));
            let codes = fit::codes(l, x, 0.0, inverse, -32.0, 31.0);
            for (q, code) in block.q[run * 16..].iter_mut().zip(codes) {
                *q = code.wrapping_add(32);
            }
        }
        block
    }
}
