//! From f32 to what products are made of.

use crate::Cpu;
use crate::parallel::for_each;
use crate::simd::{Element, Kernel, Simd};
use crate::tile::units;
use half::bf16;
use std::sync::Mutex;

/// Rounds rows of numbers to bf16, to nearest, ties to even: row `i` of `y` is `x[i * stride..][..width]`.
///
/// # Panics
/// If `y` is not whole rows, or `x` has fewer.
pub fn round_rows(cpu: Cpu, x: &[f32], stride: usize, width: usize, y: &mut [bf16]) {
    /// Numbers of a task, about.
    const CHUNK: usize = 16 << 10;
    if y.is_empty() {
        return;
    }
    assert!(width > 0 && y.len().is_multiple_of(width), "{} numbers in rows of {width}", y.len());
    let (len, rows) = (y.len(), (CHUNK / width).max(1));
    let parts: Vec<_> = y.chunks_mut(rows * width).map(Mutex::new).collect();
    for_each(parts.len(), len, |i| {
        if let Ok(mut y) = parts[i].try_lock() {
            cpu.run(RoundRows { x: &x[i * rows * stride..], stride, width, y: &mut y });
        }
    });
}

struct RoundRows<'a> {
    x: &'a [f32],
    stride: usize,
    width: usize,
    y: &'a mut [bf16],
}

impl Kernel for RoundRows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (i, y) in self.y.chunks_exact_mut(self.width).enumerate() {
            let x = &self.x[i * self.stride..][..self.width];
            for (y, x) in y.iter_mut().zip(x) {
                *y = bf16::from_bits(round(*x) as u16);
            }
        }
    }
}

/// Writes a row of numbers as units of elements of type `E`, rounded where these are `bf16`; then zeros.
#[inline(always)]
pub(crate) fn to_units<E: Element>(x: &[f32], row: &mut [f32]) {
    let len = units::<E>(x.len());
    row[len..].fill(0.0);
    if E::PER_UNIT == 1 {
        return row[..len].copy_from_slice(x);
    }
    let (pairs, rest) = x.as_chunks::<2>();
    for (unit, x) in row.iter_mut().zip(pairs) {
        *unit = f32::from_bits(round(x[1]) << 16 | round(x[0]));
    }
    if let [x] = rest {
        row[len - 1] = f32::from_bits(round(*x));
    }
}

/// The bits of `x` in bf16, to nearest, ties to even. Without branches, unlike `half`'s, so that it vectorises.
#[inline(always)]
pub(crate) fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_half_does() {
        let special = [f32::NAN, -f32::NAN, f32::INFINITY, -f32::INFINITY, f32::MAX, 1e-45, -0.0];
        let patterns = (0..=u32::MAX).step_by(if cfg!(miri) { 10_000_019 } else { 4_097 }).map(f32::from_bits);
        for x in special.into_iter().chain(patterns) {
            assert_eq!(round(x), u32::from(bf16::from_f32(x).to_bits()), "{x:e}, {:#x}", x.to_bits());
        }
    }

    #[test]
    fn rows_are_rounded_apart() {
        let x: Vec<f32> = (0..700_000).map(|i| i as f32 * 0.37 - 1000.0).collect();
        let mut y = vec![bf16::ZERO; 100_000 * 5];
        round_rows(Cpu::detect(), &x, 7, 5, &mut y);
        for (x, y) in x.chunks(7).zip(y.chunks(5)) {
            assert!(x.iter().zip(y).all(|(x, y)| bf16::from_f32(*x) == *y));
        }
    }
}
