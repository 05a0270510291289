//! Sums of pixels.

use crate::Cpu;
use crate::simd::{Kernel, Simd};

/// Vectors of sums that are held at once.
const VECTORS: usize = 3;

/// Weighted sums of lines of pixels in fixed point, as resizing needs them: `output[i]` is the sum over `t` of
/// `weights[t] * lines[t * stride + i]`, which is a number with `bits` fractional bits, rounded half up and clamped to 8 bits.
/// Sums wrap at 32 bits.
///
/// # Panics
/// If there are fewer lines than weights, a line is shorter than `output`, or `bits` is not 1 to 31.
pub fn weighted_lines(cpu: Cpu, lines: &[u8], stride: usize, weights: &[i32], bits: u32, output: &mut [u8]) {
    let last = weights.len().saturating_sub(1) * stride;
    assert!(output.len() <= stride && last + output.len() <= lines.len(), "{} lines of {stride}", weights.len());
    assert!((1..32).contains(&bits), "{bits} fractional bits");
    cpu.run(WeightedLines { lines, stride, weights, bits, output });
}

struct WeightedLines<'a> {
    lines: &'a [u8],
    stride: usize,
    weights: &'a [i32],
    bits: u32,
    output: &'a mut [u8],
}

impl Kernel for WeightedLines<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { lines, stride, weights, bits, output } = self;
        let half = 1i32 << (bits - 1);
        let start = s.splat(f32::from_bits(half.cast_unsigned()));
        let mut wide = output.chunks_exact_mut(VECTORS * S::LANES);
        let mut at = 0;
        for output in &mut wide {
            let mut sums = [start; VECTORS];
            for (&weight, line) in weights.iter().zip(lines[at..].chunks(stride)) {
                for (v, sums) in sums.iter_mut().enumerate() {
                    *sums = s.add_pixels(*sums, weight, &line[v * S::LANES..]);
                }
            }
            for (output, sums) in output.chunks_exact_mut(S::LANES).zip(sums) {
                let pixels = s.lanes(sums).map(|sum| pixel(sum.to_bits().cast_signed(), bits));
                output.copy_from_slice(&pixels[..S::LANES]);
            }
            at += VECTORS * S::LANES;
        }
        for (output, at) in wide.into_remainder().iter_mut().zip(at..) {
            let terms = weights.iter().zip(lines[at..].iter().step_by(stride));
            let add = |sum: i32, (weight, &pixel): (&i32, &u8)| sum.wrapping_add(weight.wrapping_mul(pixel.into()));
            *output = pixel(terms.fold(half, add), bits);
        }
    }
}

#[inline(always)]
fn pixel(sum: i32, bits: u32) -> u8 {
    (sum >> bits).clamp(0, 255) as u8
}
