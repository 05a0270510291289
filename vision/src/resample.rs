//! Antialiased bicubic resizing whose pixels equal Pillow's.
//!
//! The resize is separable: two passes, each rounded to 8 bits. Every output pixel is a
//! weighted sum of the input pixels under Keys' cubic kernel with a = -0.5, stretched when the
//! picture shrinks; weights are fixed-point numbers with 22 fractional bits. This follows the
//! arithmetic of Pillow's `Resample.c` step by step, since a different order of rounding is visible
//! in the last bit.
//!
//! [`shrink`] is another resize: bilinear, in floats, as torchvision does it with tensors.

use crate::Rgb;
use seekvl_nn::{Cpu, for_each_part, weighted_lines};

/// Fractional bits of a weight: 32 less 8 for the pixel and 2 for the overshoot of the sum.
const PRECISION: u32 = 32 - 8 - 2;
const CHANNELS: usize = 3;
/// Rows that the horizontal pass takes at once.
const BLOCK: usize = 16;
/// Rows of a task, of either pass.
const TASK: usize = 4 * BLOCK;

/// Resizes to `width` by `height`, both at least 1.
pub(crate) fn resize(image: &Rgb, width: u32, height: u32) -> Rgb {
    let taps = |input, output| Taps::new(&BICUBIC, input, output, fixed_point);
    let (columns, rows) = (taps(image.width(), width), taps(image.height(), height));
    // An axis whose size stays is left as it is.
    let across = |pixels: &[u8]| (width != image.width()).then(|| resize_rows(pixels, image.width(), &columns));
    let down = |pixels: &[u8], width| (height != image.height()).then(|| resize_columns(pixels, width, &rows));

    let pixels = image.pixels();
    let resized = if vertical_first(image, width, height) {
        let pixels = down(pixels, image.width());
        pixels.map(|pixels| across(&pixels).unwrap_or(pixels))
    } else {
        let pixels = across(pixels);
        down(pixels.as_deref().unwrap_or(image.pixels()), width).or(pixels)
    };
    Rgb::new(width, height, resized.unwrap_or_else(|| pixels.to_vec()))
}

/// Pillow 13 takes the columns first where the height loses more than twice as many pixels as the
/// width. Observed to hold for every one of thousands of sizes; earlier versions take rows first.
fn vertical_first(image: &Rgb, width: u32, height: u32) -> bool {
    let lost = |from: u32, to: u32| i64::from(from) - i64::from(to);
    let (lost_width, lost_height) = (lost(image.width(), width), lost(image.height(), height));
    lost_height > 0 && lost_height > 2 * lost_width
}

/// What weighs the input around an output position.
struct Filter {
    /// Half its width, in output pixels when shrinking and input pixels when enlarging.
    support: f64,
    weight: fn(f64) -> f64,
}

const BICUBIC: Filter = Filter { support: 2.0, weight: bicubic };
const BILINEAR: Filter = Filter { support: 1.0, weight: |x| (1.0 - x.abs()).max(0.0) };

/// For each output position along one axis, the input positions that it is made of.
struct Taps<W> {
    /// First input position of each output position.
    starts: Vec<usize>,
    /// `starts[i]` and the following positions have the weights `weights[ends[i - 1]..ends[i]]`.
    ends: Vec<usize>,
    weights: Vec<W>,
}

impl<W> Taps<W> {
    fn new(filter: &Filter, input: u32, output: u32, convert: fn(f64) -> W) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let stretch = scale.max(1.0);
        let support = filter.support * stretch;
        let mut taps = Taps { starts: Vec::new(), ends: Vec::new(), weights: Vec::new() };
        let mut kernel = Vec::new();
        for position in 0..output {
            let center = (f64::from(position) + 0.5) * scale;
            // Casts truncate towards zero, and a negative start becomes 0.
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(input as usize);
            kernel.clear();
            kernel.extend((start..end).map(|x| (filter.weight)((x as f64 - center + 0.5) * (1.0 / stretch))));
            let sum: f64 = kernel.iter().sum();
            taps.weights.extend(kernel.iter().map(|weight| convert(weight / sum)));
            taps.starts.push(start);
            taps.ends.push(taps.weights.len());
        }
        taps
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    /// The first input position of an output position, and the weights from there on.
    fn at(&self, position: usize) -> (usize, &[W]) {
        let from = position.checked_sub(1).map_or(0, |previous| self.ends[previous]);
        (self.starts[position], &self.weights[from..self.ends[position]])
    }
}

/// Keys' cubic convolution kernel with a = -0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Rounds half away from zero, like the original, by adding a half and truncating.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

/// The vertical pass: each output row is a weighted sum of input rows.
fn resize_columns(pixels: &[u8], width: u32, taps: &Taps<i32>) -> Vec<u8> {
    let stride = width as usize * CHANNELS;
    let cpu = Cpu::detect();
    let mut output = vec![0; taps.len() * stride];
    for_each_part(&mut output, TASK * stride, taps.weights.len() * stride, |task, rows| {
        for (y, row) in (task * TASK..).zip(rows.chunks_exact_mut(stride)) {
            let (start, weights) = taps.at(y);
            weighted_lines(cpu, &pixels[start * stride..], stride, weights, PRECISION, row);
        }
    });
    output
}

/// The horizontal pass. A block of rows is laid on its side, so that an output column is a weighted
/// sum of input columns and one loop serves both passes.
fn resize_rows(pixels: &[u8], width: u32, taps: &Taps<i32>) -> Vec<u8> {
    let stride = width as usize * CHANNELS;
    let (cpu, output_stride) = (Cpu::detect(), taps.len() * CHANNELS);
    let rows = pixels.len() / stride;
    let mut output = vec![0; rows * output_stride];
    for_each_part(&mut output, TASK * output_stride, rows * taps.weights.len() * CHANNELS, |task, output| {
        let mut columns = vec![0; BLOCK * stride];
        let rows = pixels[task * TASK * stride..].chunks(BLOCK * stride);
        for (output, rows) in output.chunks_mut(BLOCK * output_stride).zip(rows) {
            resize_block(cpu, rows, stride, taps, &mut columns, output);
        }
    });
    output
}

/// [`resize_rows`] for a block, with room for it on its side.
fn resize_block(cpu: Cpu, rows: &[u8], stride: usize, taps: &Taps<i32>, columns: &mut [u8], output: &mut [u8]) {
    const COLUMN: usize = BLOCK * CHANNELS;
    for (y, row) in rows.chunks_exact(stride).enumerate() {
        for (column, pixel) in columns.chunks_exact_mut(COLUMN).zip(row.as_chunks::<CHANNELS>().0) {
            column[y * CHANNELS..][..CHANNELS].copy_from_slice(pixel);
        }
    }
    let mut column = [0; COLUMN];
    for x in 0..taps.len() {
        let (start, weights) = taps.at(x);
        weighted_lines(cpu, &columns[start * COLUMN..], COLUMN, weights, PRECISION, &mut column);
        for (row, pixel) in output.chunks_exact_mut(taps.len() * CHANNELS).zip(column.as_chunks::<CHANNELS>().0) {
            row[x * CHANNELS..][..CHANNELS].copy_from_slice(pixel);
        }
    }
}

/// Shrinks a square of levels, `[size, size, 3]`, to shares of light from 0 to 1, `[to, to, 3]`: what torchvision's `Resize` with
/// antialiasing makes of a tensor of these shares. Rows first, and nothing is rounded to 8 bits.
///
/// # Panics
/// If `pixels` is not of this size, or a size is 0.
pub fn shrink(pixels: &[u8], size: usize, to: usize) -> Vec<f32> {
    assert!(to > 0 && size > 0 && pixels.len() == size * size * CHANNELS, "a view is [size, size, 3]");
    let taps = Taps::new(&BILINEAR, size as u32, to as u32, |weight| weight as f32);
    let mut across = vec![0f32; size * to * CHANNELS];
    for (line, out) in pixels.chunks_exact(size * CHANNELS).zip(across.chunks_exact_mut(to * CHANNELS)) {
        for (x, out) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
            let (start, weights) = taps.at(x);
            for (weight, pixel) in weights.iter().zip(&line.as_chunks::<CHANNELS>().0[start..]) {
                out.iter_mut().zip(pixel).for_each(|(out, &level)| *out += weight * (f32::from(level) / 255.0));
            }
        }
    }
    let mut shrunk = vec![0f32; to * to * CHANNELS];
    for (y, out) in shrunk.chunks_exact_mut(to * CHANNELS).enumerate() {
        let (start, weights) = taps.at(y);
        for (weight, line) in weights.iter().zip(across.chunks_exact(to * CHANNELS).skip(start)) {
            out.iter_mut().zip(line).for_each(|(out, value)| *out += weight * value);
        }
    }
    shrunk
}
