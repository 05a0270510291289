//! Rows of numbers in 8 bits, as a cache keeps them.
//!
//! As in GGUF's Q8_0, up to 32 neighbouring numbers of a row have one scale, and a code each: a number is `scale · code`.
//! Blocks lie one after the other, the scale first. There are two differences, since these never go to a file. The scale is
//! in bf16, which neither overflows nor loses digits where all numbers are small. And the last block of a row is as long as
//! what is left, so that the front of a row is such a row too.
//!
//! # Error
//! With `a` the largest magnitude of its block, a number is off by at most `a / 253`.

use crate::Cpu;
use crate::parallel::for_each;
use crate::round::round;
use crate::simd::{Kernel, Simd};
use half::bf16;
use std::sync::Mutex;

/// Numbers with one scale.
const VALUES: usize = 32;

/// Bytes of a scale.
const SCALE: usize = 2;

/// Numbers of a task, about.
const CHUNK: usize = 16 << 10;

/// Bytes of a row of `width` numbers.
pub const fn bytes(width: usize) -> usize {
    width + SCALE * width.div_ceil(VALUES)
}

/// Numbers in a row of so many bytes: the inverse of [`bytes`].
pub const fn width(bytes: usize) -> usize {
    bytes - SCALE * bytes.div_ceil(VALUES + SCALE)
}

/// Rounds rows of `width` numbers. The largest magnitude of a block becomes 127. Where a number is not finite, no number of
/// its block is after it.
///
/// # Panics
/// If either slice is not whole rows, or they have not as many.
pub fn pack_rows(cpu: Cpu, width: usize, x: &[f32], y: &mut [u8]) {
    let rows = check(width, x.len(), y.len());
    let each = (CHUNK / width.max(1)).max(1);
    let parts: Vec<_> = y.chunks_mut((each * bytes(width)).max(1)).map(Mutex::new).collect();
    for_each(parts.len(), rows * width, |i| {
        // Each part is locked once.
        if let Ok(mut y) = parts[i].lock() {
            cpu.run(Pack { width, x: &x[i * each * width..], y: &mut y });
        }
    });
}

/// The numbers of rows of `width`.
///
/// # Panics
/// As [`pack_rows`].
pub fn unpack_rows(cpu: Cpu, width: usize, x: &[u8], y: &mut [f32]) {
    let rows = check(width, y.len(), x.len());
    let each = (CHUNK / width.max(1)).max(1);
    let parts: Vec<_> = y.chunks_mut((each * width).max(1)).map(Mutex::new).collect();
    for_each(parts.len(), rows * width, |i| {
        if let Ok(mut y) = parts[i].lock() {
            cpu.run(Unpack { width, x: &x[i * each * bytes(width)..], y: &mut y });
        }
    });
}

fn check(width: usize, numbers: usize, bytes: usize) -> usize {
    let rows = numbers / width.max(1);
    assert!(
        numbers == rows * width && bytes == rows * self::bytes(width),
        "{numbers} numbers in {bytes} bytes, rows of {width}"
    );
    rows
}

struct Pack<'a> {
    width: usize,
    x: &'a [f32],
    y: &'a mut [u8],
}

impl Kernel for Pack<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (x, y) in self.x.chunks_exact(self.width).zip(self.y.chunks_exact_mut(bytes(self.width))) {
            for (x, y) in x.chunks(VALUES).zip(y.chunks_mut(SCALE + VALUES)) {
                pack_block(x, y);
            }
        }
    }
}

struct Unpack<'a> {
    width: usize,
    x: &'a [u8],
    y: &'a mut [f32],
}

impl Kernel for Unpack<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (x, y) in self.x.chunks_exact(bytes(self.width)).zip(self.y.chunks_exact_mut(self.width)) {
            unpack_row(x, y, |number| number);
        }
    }
}

#[inline(always)]
fn pack_block(x: &[f32], y: &mut [u8]) {
    let (head, codes) = y.split_at_mut(SCALE);
    // Without their signs, floats are ordered as integers are, infinity and NaN last.
    let largest = f32::from_bits(x.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff)));
    let bits = round(if largest.is_finite() { largest / 127.0 } else { f32::NAN }) as u16;
    head.copy_from_slice(&bits.to_le_bytes());
    let inverse = 1.0 / scale(bits);
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    for (code, x) in codes.iter_mut().zip(x) {
        *code = (x * inverse).round().clamp(-127.0, 127.0) as i8 as u8;
    }
}

/// The front of a row, as `number` makes them of `f32`.
#[inline(always)]
fn unpack_row<T>(x: &[u8], y: &mut [T], number: impl Fn(f32) -> T) {
    let mut blocks = x.chunks(SCALE + VALUES);
    let (whole, rest) = y.as_chunks_mut::<VALUES>();
    for (y, block) in whole.iter_mut().zip(&mut blocks) {
        unpack_block(block, y, &number);
    }
    if let (false, Some(block)) = (rest.is_empty(), blocks.next()) {
        unpack_block(block, rest, &number);
    }
}

#[inline(always)]
fn unpack_block<T>(block: &[u8], y: &mut [T], number: impl Fn(f32) -> T) {
    let scale = scale(u16::from_le_bytes([block[0], block[1]]));
    for (y, code) in y.iter_mut().zip(&block[SCALE..]) {
        *y = number(scale * f32::from(*code as i8));
    }
}

/// The front of a row, rounded to bf16.
#[inline(always)]
pub(crate) fn unpack_bf16(x: &[u8], y: &mut [bf16]) {
    unpack_row(x, y, |number| bf16::from_bits(round(number) as u16));
}

#[inline(always)]
fn scale(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_numbers_are_inverse() {
        for numbers in 0..300 {
            assert_eq!(width(bytes(numbers)), numbers);
        }
        assert_eq!((bytes(32), bytes(33), bytes(576)), (34, 37, 612));
    }
}
