//! Q8_0 and Q4_0: 32 weights and one scale.

use super::{Block, Quantize, QuantizeEach};
use half::f16;

/// 32 codes of 8 bits and their scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Q8_0 {
    /// The scale.
    pub d: f16,
    /// The codes.
    pub q: [i8; 32],
}

/// 32 codes of 4 bits, of which 8 stands for 0, and their scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Q4_0 {
    /// The scale.
    pub d: f16,
    /// The codes, 0 to 15.
    pub q: [u8; 32],
}

impl Block for Q8_0 {
    const VALUES: usize = 32;
    const BYTES: usize = 34;

    fn zero() -> Self {
        Self { d: f16::ZERO, q: [0; 32] }
    }

    fn read(bytes: &[u8]) -> Self {
        let bytes = &bytes[..Self::BYTES];
        Self { d: half(bytes, 0), q: std::array::from_fn(|i| bytes[2 + i] as i8) }
    }

    fn write(&self, bytes: &mut [u8]) {
        let bytes = &mut bytes[..Self::BYTES];
        bytes[..2].copy_from_slice(&self.d.to_le_bytes());
        for (byte, q) in bytes[2..].iter_mut().zip(self.q) {
            *byte = q as u8;
        }
    }

    fn dequantize(&self, values: &mut [f32]) {
        for (value, q) in values[..Self::VALUES].iter_mut().zip(self.q) {
            *value = self.d.to_f32() * f32::from(q);
        }
    }
}

impl Quantize for Q8_0 {
    /// The largest magnitude becomes 127; ties are rounded away from 0, by the scale before it is rounded to f16. Both
    /// as `gguf.quants` does, so that files made there are the same.
    #[inline(always)]
    fn quantize(values: &[f32]) -> Self {
        let values = &values[..Self::VALUES];
        let largest = values.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
        if !all_finite(values) {
            return Self { d: f16::NAN, q: [0; 32] };
        }
        let d = largest / 127.0;
        let inverse = reciprocal(d);
        Self { d: f16::from_f32(d), q: std::array::from_fn(|i| (values[i] * inverse).round() as i8) }
    }
}

impl QuantizeEach for Q8_0 {}

impl Block for Q4_0 {
    const VALUES: usize = 32;
    const BYTES: usize = 18;

    fn zero() -> Self {
        Self { d: f16::ZERO, q: [8; 32] }
    }

    fn read(bytes: &[u8]) -> Self {
        let bytes = &bytes[..Self::BYTES];
        Self { d: half(bytes, 0), q: std::array::from_fn(|i| bytes[2 + i % 16] >> (4 * (i / 16)) & 15) }
    }

    fn write(&self, bytes: &mut [u8]) {
        let bytes = &mut bytes[..Self::BYTES];
        bytes[..2].copy_from_slice(&self.d.to_le_bytes());
        for (i, byte) in bytes[2..].iter_mut().enumerate() {
            *byte = self.q[i] & 15 | self.q[i + 16] << 4;
        }
    }

    fn dequantize(&self, values: &mut [f32]) {
        for (value, q) in values[..Self::VALUES].iter_mut().zip(self.q) {
            *value = self.d.to_f32() * (f32::from(q) - 8.0);
        }
    }
}

impl Quantize for Q4_0 {
    /// The weight of the largest magnitude becomes code 0, which is -8: the side of the range that has one code more.
    /// As `gguf.quants` does.
    #[inline(always)]
    fn quantize(values: &[f32]) -> Self {
        let values = &values[..Self::VALUES];
        let extreme = values.iter().fold(0.0, |extreme: f32, x| if x.abs() > extreme.abs() { *x } else { extreme });
        if !all_finite(values) {
            return Self { d: f16::NAN, q: [8; 32] };
        }
        let d = extreme / -8.0;
        let inverse = reciprocal(d);
        let code = |x: f32| ((x * inverse + 8.5) as i32).clamp(0, 15) as u8;
        Self { d: f16::from_f32(d), q: std::array::from_fn(|i| code(values[i])) }
    }
}

impl QuantizeEach for Q4_0 {}

/// The f16 at a place.
pub(super) fn half(bytes: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// `1 / d`, or 0 where that has no meaning: weights below 1e-38 are 0.
#[inline(always)]
pub(super) fn reciprocal(d: f32) -> f32 {
    let inverse = 1.0 / d;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// Whether there is neither NaN nor an infinity.
#[inline(always)]
pub(super) fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(0, |bits, x| bits.max(x.to_bits() & 0x7fff_ffff)) < f32::INFINITY.to_bits()
}
