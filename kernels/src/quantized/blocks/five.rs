//! Q5_0 and Q5_1: 32 weights of 5 bits, of which the fifth bits stand apart.

use super::small::{all_finite, half, reciprocal};
use super::{Block, Quantize, QuantizeEach};
use half::f16;
use std::array::from_fn;

/// 32 codes of 5 bits, of which 16 stands for 0, and their scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Q5_0 {
    /// The scale.
    pub d: f16,
    /// The codes, 0 to 31.
    pub q: [u8; 32],
}

/// 32 codes of 5 bits, their scale, and the weight that code 0 stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Q5_1 {
    /// The scale.
    pub d: f16,
    /// The smallest weight.
    pub m: f16,
    /// The codes, 0 to 31.
    pub q: [u8; 32],
}

/// Codes of 4 bytes of fifth bits and 16 bytes of nibbles.
fn codes(bytes: &[u8]) -> [u8; 32] {
    from_fn(|i| bytes[4 + i % 16] >> (4 * (i / 16)) & 15 | (bytes[i / 8] >> (i % 8) & 1) << 4)
}

fn write_codes(q: &[u8; 32], bytes: &mut [u8]) {
    for (i, byte) in bytes[..4].iter_mut().enumerate() {
        *byte = (0..8).fold(0, |bits, bit| bits | (q[8 * i + bit] >> 4 & 1) << bit);
    }
    for (i, byte) in bytes[4..20].iter_mut().enumerate() {
        *byte = q[i] & 15 | (q[i + 16] & 15) << 4;
    }
}

impl Block for Q5_0 {
    const VALUES: usize = 32;
    const BYTES: usize = 22;

    fn zero() -> Self {
        Self { d: f16::ZERO, q: [16; 32] }
    }

    fn read(bytes: &[u8]) -> Self {
        let bytes = &bytes[..Self::BYTES];
        Self { d: half(bytes, 0), q: codes(&bytes[2..]) }
    }

    fn write(&self, bytes: &mut [u8]) {
        let bytes = &mut bytes[..Self::BYTES];
        bytes[..2].copy_from_slice(&self.d.to_le_bytes());
        write_codes(&self.q, &mut bytes[2..]);
    }

    fn dequantize(&self, values: &mut [f32]) {
        for (value, q) in values[..Self::VALUES].iter_mut().zip(self.q) {
            *value = self.d.to_f32() * (f32::from(q) - 16.0);
        }
    }
}

impl Quantize for Q5_0 {
    /// The weight of the largest magnitude becomes code 0, which is -16. As `gguf.quants` does.
    #[inline(always)]
    fn quantize(values: &[f32]) -> Self {
        let values = &values[..Self::VALUES];
        let extreme = values.iter().fold(0.0, |extreme: f32, x| if x.abs() > extreme.abs() { *x } else { extreme });
        if !all_finite(values) {
            return Self { d: f16::NAN, q: [16; 32] };
        }
        let d = extreme / -16.0;
        let inverse = reciprocal(d);
        Self { d: f16::from_f32(d), q: from_fn(|i| ((values[i] * inverse + 16.5) as i32).clamp(0, 31) as u8) }
    }
}

impl QuantizeEach for Q5_0 {}

impl Block for Q5_1 {
    const VALUES: usize = 32;
    const BYTES: usize = 24;

    fn zero() -> Self {
        Self { d: f16::ZERO, m: f16::ZERO, q: [0; 32] }
    }

    fn read(bytes: &[u8]) -> Self {
        let bytes = &bytes[..Self::BYTES];
        Self { d: half(bytes, 0), m: half(bytes, 2), q: codes(&bytes[4..]) }
    }

    fn write(&self, bytes: &mut [u8]) {
        let bytes = &mut bytes[..Self::BYTES];
        bytes[..2].copy_from_slice(&self.d.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.m.to_le_bytes());
        write_codes(&self.q, &mut bytes[4..]);
    }

    fn dequantize(&self, values: &mut [f32]) {
        for (value, q) in values[..Self::VALUES].iter_mut().zip(self.q) {
            *value = self.d.to_f32() * f32::from(q) + self.m.to_f32();
        }
    }
}

impl Quantize for Q5_1 {
    /// The range of the weights is cut into 31 steps. As `gguf.quants` does.
    #[inline(always)]
    fn quantize(values: &[f32]) -> Self {
        let values = &values[..Self::VALUES];
        let (low, high) = values.iter().fold((values[0], values[0]), |(low, high), x| (low.min(*x), high.max(*x)));
        if !all_finite(values) {
            return Self { d: f16::NAN, m: f16::NAN, q: [0; 32] };
        }
        let d = (high - low) / 31.0;
        let inverse = reciprocal(d);
        let code = |x: f32| (((x - low) * inverse + 0.5) as i32).clamp(0, 31) as u8;
        Self { d: f16::from_f32(d), m: f16::from_f32(low), q: from_fn(|i| code(values[i])) }
    }
}

impl QuantizeEach for Q5_1 {}
