//! The product of some rows with some panels, the one place where numbers are multiplied.
//!
//! Of each group of inputs, in their order,
//!
//! `y += x_scale · Σ_chunks (Σ_runs w_scale · Σ code · x  -  min · Σ x)`,
//!
//! where the inner sums are of integers, hence exact, and each product and sum of f32 is rounded, in the order in which
//! it is written. That defines the result: it depends neither on the processor, nor on the form (packed or unpacked),
//! nor on the rows and panels that are computed along with it.

use super::activations::Layout;
use super::forms::{Chunk, Form, STEPS};
use super::lanes::Lanes;
use std::array::from_fn;

/// The products of `R` rows, as [`super::activations::RoundRows`] leaves them, with `P` panels interleaved by groups'
/// headers and by chunks.
#[inline(always)]
pub(super) fn tile<L: Lanes, F: Form, const R: usize, const P: usize>(
    l: L,
    layout: Layout<L, F>,
    x: [&[u32]; R],
    panels: &[u8],
) -> [[L::Floats; P]; R] {
    let x = Rows(x.map(|x| &x[..layout.words()]));
    let mut y = [[l.splat(0.0); P]; R];
    let mut rest = panels;
    for group in 0..layout.chunks.div_ceil(F::GROUP) {
        let (header, chunks) = rest.split_at(P * F::HEADER);
        let mut headers = [F::header(l, header); P];
        for (panel, h) in headers.iter_mut().enumerate() {
            *h = F::header(l, &header[panel * F::HEADER..]);
        }
        let range = layout.group(group);
        let (bytes, next) = chunks.split_at(range.len() * P * F::BYTES);
        rest = next;
        let mut sums = [[l.splat(0.0); P]; R];
        for (chunk, bytes) in range.zip(bytes.chunks_exact(P * F::BYTES)) {
            add_chunk::<L, F, R, P>(l, layout, x, chunk, headers, bytes, &mut sums);
        }
        for r in 0..R {
            let scale = l.splat(f32::from_bits(x.word(r, layout.scales() + group)));
            for p in 0..P {
                y[r][p] = l.add(y[r][p], l.mul(sums[r][p], scale));
            }
        }
    }
    y
}

/// Rounded rows, all as long as their layout says.
#[derive(Clone, Copy)]
struct Rows<'a, const R: usize>([&'a [u32]; R]);

impl<'a, const R: usize> Rows<'a, R> {
    #[inline(always)]
    fn words(self, row: usize, at: usize, len: usize) -> &'a [u32] {
        debug_assert!(at + len <= self.0[row].len());
        // SAFETY: places come from the layout, and `tile` has checked that the rows are as long as it says.
        unsafe { self.0[row].get_unchecked(at..at + len) }
    }

    #[inline(always)]
    fn word(self, row: usize, at: usize) -> u32 {
        self.words(row, at, 1)[0]
    }
}

/// Adds the products of a chunk, without the scale of the activations.
#[inline(always)]
fn add_chunk<L: Lanes, F: Form, const R: usize, const P: usize>(
    l: L,
    layout: Layout<L, F>,
    x: Rows<'_, R>,
    chunk: usize,
    headers: [F::Header<L>; P],
    bytes: &[u8],
    y: &mut [[L::Floats; P]; R],
) {
    let chunks: [Chunk<'_>; P] = from_fn(|panel| Chunk { bytes, panel, panels: P });
    for run in 0..F::RUNS {
        let mut sums = [[l.splat_sums(0); P]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            *sums = [l.splat_sums(x.word(r, layout.start(chunk) + run) as i32); P];
        }
        for step in run * STEPS / F::RUNS..(run + 1) * STEPS / F::RUNS {
            let mut codes = [l.codes(F::step(l, chunks[0], step)); P];
            for p in 1..P {
                codes[p] = l.codes(F::step(l, chunks[p], step));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let quad = l.quad(x.words(r, layout.quad(chunk, step), L::WORDS));
                for p in 0..P {
                    sums[p] = l.dot(sums[p], codes[p], quad);
                }
            }
        }
        for p in 0..P {
            let scale = F::scale(l, headers[p], chunks[p], run);
            for r in 0..R {
                y[r][p] = l.add(y[r][p], l.mul(l.floats(sums[r][p]), scale));
            }
        }
    }
    if F::MINS {
        for p in 0..P {
            let min = F::min(l, headers[p], chunks[p]);
            for (r, y) in y.iter_mut().enumerate() {
                let sum = l.splat(f32::from_bits(x.word(r, layout.sums() + chunk)));
                y[p] = l.sub(y[p], l.mul(min, sum));
            }
        }
    }
}
