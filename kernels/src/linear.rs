//! Products with weights.
//!
//! The outputs are split into panels of two vectors' width. A panel's weights are transposed block by block into a
//! buffer that stays in the cache, and all rows of the activations pass over each block. The same steps serve one row,
//! where the transposition costs less than reading the weights from memory, and many.

use crate::parallel::{Shared, for_each, threads, with_scratch};
use crate::simd::{Element, Kernel, Simd};
use crate::tile::{BLOCK, multiply, pack, panel, units};
use crate::{Cpu, Elements, Matrix};
use half::bf16;
use std::ops::Range;

/// Units of each output's weights that are packed at a time: 32 KiB for panels of 32.
const DEPTH: usize = 256;

/// Panels that are packed at a time, at most. With a block of rows they fit a second-level cache of 256 KiB.
const GROUP: usize = 4;

/// `y[i, n] = sum_k x[i, k] * w[n, k] + bias[n]` for `x: [m, k]`, `w: [n, k]`, `y: [m, n]`, all row-major.
///
/// With bf16 weights the activations are rounded to bf16 (to nearest, ties to even) and the products are summed in
/// f32. A row's result does not depend on how many other rows there are, bit for bit, nor on the number of threads.
///
/// # Panics
/// If the lengths do not belong to one `m`.
pub fn linear(cpu: Cpu, x: &[f32], w: Matrix<'_>, bias: Option<&[f32]>, y: &mut [f32]) {
    let (n, k) = (w.rows(), w.cols());
    if n == 0 {
        return assert!(y.is_empty(), "a product without outputs");
    }
    let m = y.len() / n;
    assert!(y.len() == m * n && x.len() == m * k, "{} inputs, {} outputs of a {n}x{k} weight", x.len(), y.len());
    assert!(bias.is_none_or(|b| b.len() == n), "bias of a {n}x{k} weight");
    match w.elements() {
        Elements::F32(w) => product::<f32, false>(cpu, Shape { m, n, k }, x, w, bias, y),
        Elements::Bf16(w) => product::<bf16, true>(cpu, Shape { m, n, k }, x, w, bias, y),
    }
}

/// The sizes of a product.
#[derive(Clone, Copy)]
struct Shape {
    m: usize,
    n: usize,
    k: usize,
}

fn product<E: Element, const PAIRS: bool>(
    cpu: Cpu,
    shape: Shape,
    x: &[f32],
    w: &[E],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let Shape { m, n, k } = shape;
    let units = units::<E>(k);
    with_scratch(m * units, |packed| {
        let shared = Shared::new(packed);
        for_each(m.div_ceil(BLOCK), m * k, |block| {
            let rows = block * BLOCK..m.min((block + 1) * BLOCK);
            // SAFETY: each block of rows has its own part.
            let packed = unsafe { shared.part(rows.start * units..rows.end * units) };
            let x = &x[rows.start * k..rows.end * k];
            with_scratch(if PAIRS { packed.len() } else { 0 }, |pairs| {
                cpu.run(PackRows::<PAIRS> { x, k, rows: rows.len(), pairs, packed });
            });
        });
        let y = Shared::new(y);
        let width = cpu.run(PanelWidth);
        // Each block of rows passes over a group of panels while it is in the cache.
        let blocks = m.div_ceil(BLOCK);
        let group = blocks.clamp(1, GROUP) * width;
        let groups = n.div_ceil(group);
        // Few groups are shared between threads by splitting the rows, which packs the weights more often.
        let parts = (8 * threads()).div_ceil(groups).clamp(1, blocks.div_ceil(4).max(1));
        let per_part = blocks.div_ceil(parts) * BLOCK;
        for_each(groups * parts, m * n * k, |task| {
            let (index, part) = (task / parts, task % parts);
            let rows = part * per_part..m.min((part + 1) * per_part);
            if !rows.is_empty() {
                let outputs = index * group..n.min((index + 1) * group);
                with_scratch(DEPTH.min(units) * group + BLOCK * width, |scratch| {
                    cpu.run(Panels::<E, PAIRS> { shape, x: packed, w, bias, y: &y, rows, outputs, scratch });
                });
            }
        });
    });
}

/// How many outputs make a panel.
struct PanelWidth;

impl Kernel for PanelWidth {
    type Out = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        panel::<S>()
    }
}

/// Packs a block of rows of the activations.
struct PackRows<'a, const PAIRS: bool> {
    x: &'a [f32],
    k: usize,
    rows: usize,
    /// The rows rounded, before they are packed.
    pairs: &'a mut [f32],
    packed: &'a mut [f32],
}

impl<const PAIRS: bool> Kernel for PackRows<'_, PAIRS> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if !PAIRS {
            return pack(s, self.x, self.k, self.rows, self.k, self.packed, self.rows, &[]);
        }
        let units = units::<bf16>(self.k);
        for (x, pairs) in self.x.chunks_exact(self.k.max(1)).zip(self.pairs.chunks_exact_mut(units.max(1))) {
            round_row(x, pairs);
        }
        pack(s, &*self.pairs, units, self.rows, units, self.packed, self.rows, &[]);
    }
}

/// Rounds numbers to pairs of bf16; an odd one out is paired with 0.
#[inline(always)]
fn round_row(x: &[f32], pairs: &mut [f32]) {
    let (whole, rest) = x.as_chunks::<2>();
    for (pair, x) in pairs.iter_mut().zip(whole) {
        *pair = f32::from_bits(round(x[1]) << 16 | round(x[0]));
    }
    if let ([x], Some(pair)) = (rest, pairs.last_mut()) {
        *pair = f32::from_bits(round(*x));
    }
}

/// The bits of `x` in bf16, to nearest, ties to even. Without branches, unlike `half`'s, so that it vectorises.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

/// Some panels of outputs for some rows.
struct Panels<'a, E, const PAIRS: bool> {
    shape: Shape,
    /// All blocks of rows, packed.
    x: &'a [f32],
    w: &'a [E],
    bias: Option<&'a [f32]>,
    y: &'a Shared<'a>,
    /// Begin and end on blocks.
    rows: Range<usize>,
    /// Begin and end on panels.
    outputs: Range<usize>,
    scratch: &'a mut [f32],
}

impl<E: Element, const PAIRS: bool> Kernel for Panels<'_, E, PAIRS> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (k, width) = (self.shape.k, panel::<S>());
        let units = units::<E>(k);
        let (sums, packed) = std::mem::take(&mut self.scratch).split_at_mut(BLOCK * width);
        // At least once: without inputs the outputs are the bias.
        for from in (0..units.max(1)).step_by(DEPTH) {
            let depth = from..units.min(from + DEPTH);
            let elements = from * E::PER_UNIT..k.min(depth.end * E::PER_UNIT);
            for (panel, outputs) in self.panels(width).enumerate() {
                let packed = &mut packed[panel * depth.len() * width..][..depth.len() * width];
                if !packed.is_empty() {
                    let w = &self.w[outputs.start * k + elements.start..];
                    // This block's share of the next panel, whose weights follow in one piece.
                    let next = outputs.end * k + from * E::PER_UNIT * width;
                    let end = next + elements.len() * width;
                    let ahead = self.w.get(next..end).unwrap_or_default();
                    pack(s, w, k, outputs.len(), elements.len(), packed, width, ahead);
                }
            }
            for start in self.rows.clone().step_by(BLOCK) {
                let rows = start..self.rows.end.min(start + BLOCK);
                for (panel, outputs) in self.panels(width).enumerate() {
                    let packed = &packed[panel * depth.len() * width..][..depth.len() * width];
                    self.add_products(s, rows.clone(), outputs, depth.clone(), packed, sums);
                }
            }
        }
    }
}

impl<E: Element, const PAIRS: bool> Panels<'_, E, PAIRS> {
    fn panels(&self, width: usize) -> impl Iterator<Item = Range<usize>> + use<E, PAIRS> {
        let end = self.outputs.end;
        self.outputs.clone().step_by(width).map(move |start| start..end.min(start + width))
    }

    /// Adds the products of a block of rows with one packed block of weights to the outputs.
    #[inline(always)]
    fn add_products<S: Simd>(
        &self,
        s: S,
        rows: Range<usize>,
        outputs: Range<usize>,
        depth: Range<usize>,
        packed: &[f32],
        sums: &mut [f32],
    ) {
        let (n, units, width) = (self.shape.n, units::<E>(self.shape.k), panel::<S>());
        // SAFETY: this task alone writes these outputs of these rows, and one row is in use at a time.
        let y = |row: usize| unsafe { self.y.part(row * n + outputs.start..row * n + outputs.end) };
        for (row, sums) in rows.clone().zip(sums.chunks_exact_mut(width)) {
            if depth.start == 0 {
                sums.fill(0.0);
            } else {
                sums[..outputs.len()].copy_from_slice(y(row));
            }
        }
        let x = &self.x[rows.start * units + depth.start * rows.len()..];
        multiply::<S, PAIRS>(s, x, rows.len(), rows.len(), packed, sums, width);
        for (row, sums) in rows.zip(sums.chunks_exact(width)) {
            let y = y(row);
            y.copy_from_slice(&sums[..outputs.len()]);
            if let Some(bias) = self.bias.filter(|_| depth.end == units) {
                for (y, b) in y.iter_mut().zip(&bias[outputs.clone()]) {
                    *y += b;
                }
            }
        }
    }
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
}
