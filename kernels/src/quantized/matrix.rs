//! A quantised weight, and products with it.

use super::blocks::{Block, QuantizeEach};
use super::forms::{AffineForm, Bytes, CHUNK, Chunk, Fives, Nibbles, PANEL, Packed, STEPS, Sixes, VECTOR, panel_bytes};
use super::lanes::{self, Kernel, Lanes, Portable};
use super::product::Product;
use crate::linear::Finish;
use crate::parallel::{Shared, for_each, with_scratch};
use crate::shelf::{Line, Lines};
use crate::{Cpu, Epilogue, Shelf};
use std::array::from_fn;
use std::marker::PhantomData;
use std::ops::Range;

/// A format of quantised weights; [`super::blocks`] has their definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// 8 bits, a scale for 32.
    Q8_0,
    /// 4 bits, a scale for 32.
    Q4_0,
    /// 5 bits, a scale for 32.
    Q5_0,
    /// 5 bits, a scale and a minimum for 32.
    Q5_1,
    /// 4 bits, a scale and a minimum for 32, in two levels.
    Q4K,
    /// 5 bits, the same.
    Q5K,
    /// 6 bits, a scale for 16, in two levels.
    Q6K,
}

/// A computation that is written for any format.
pub(super) trait WithForm {
    type Out;

    fn run<F: Packed<Block: QuantizeEach>>(self) -> Self::Out;
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 7] = [Self::Q8_0, Self::Q4_0, Self::Q5_0, Self::Q5_1, Self::Q4K, Self::Q5K, Self::Q6K];

    pub(super) fn with<W: WithForm>(self, with: W) -> W::Out {
        match self {
            Self::Q8_0 => with.run::<Bytes>(),
            Self::Q4_0 => with.run::<Nibbles>(),
            Self::Q5_0 => with.run::<Fives<false>>(),
            Self::Q5_1 => with.run::<Fives<true>>(),
            Self::Q4K => with.run::<AffineForm<4>>(),
            Self::Q5K => with.run::<AffineForm<5>>(),
            Self::Q6K => with.run::<Sixes>(),
        }
    }

    /// Neighbouring inputs whose activations share a scale: one scale costs a multiplication for each output, and the
    /// more inputs share it, the more a large activation takes from the others.
    pub fn group(self) -> usize {
        struct Group;
        impl WithForm for Group {
            type Out = usize;
            fn run<F: Packed>(self) -> usize {
                F::GROUP * CHUNK
            }
        }
        self.with(Group)
    }

    /// Bytes that a weight `[rows, cols]` takes packed, if that is a number.
    pub fn bytes(self, rows: usize, cols: usize) -> Option<usize> {
        rows.div_ceil(PANEL).checked_mul(self.panel(cols))
    }

    fn panel(self, cols: usize) -> usize {
        struct Size(usize);
        impl WithForm for Size {
            type Out = usize;
            fn run<F: Packed>(self) -> usize {
                panel_bytes::<F>(self.0, 1)
            }
        }
        self.with(Size(cols.div_ceil(CHUNK)))
    }
}

/// A weight `[rows, cols]` = `[outputs, inputs]`, packed for products. Any number of either will do.
#[derive(Debug)]
pub struct Quantized {
    format: Format,
    rows: usize,
    cols: usize,
    /// Bytes of a panel.
    panel: usize,
    lines: Lines,
}

impl Quantized {
    /// Rounds a weight, which stands on `shelf` if there is one. `fill` writes a row's `cols` numbers; it is called once for
    /// each row that has any, from several threads. No more than sixteen rows for each thread are held as f32.
    pub fn quantize(
        cpu: Cpu,
        format: Format,
        rows: usize,
        cols: usize,
        shelf: Option<&Shelf>,
        fill: impl Fn(usize, &mut [f32]) + Send + Sync,
    ) -> Self {
        let mut weight = Self::zeros(format, rows, cols, shelf);
        if cols > 0 {
            format.with(QuantizeAll { cpu, weight: &mut weight, fill });
        }
        weight
    }

    /// Packs a weight of GGUF's blocks, row after row. `None` if `cols` is no multiple of the format's
    /// [`Block::VALUES`], or there are not as many bytes as that makes.
    pub fn from_blocks(format: Format, rows: usize, cols: usize, shelf: Option<&Shelf>, bytes: &[u8]) -> Option<Self> {
        if format.row_bytes(cols)?.checked_mul(rows)? != bytes.len() {
            return None;
        }
        let mut weight = Self::zeros(format, rows, cols, shelf);
        format.with(PackAll { weight: &mut weight, bytes });
        Some(weight)
    }

    fn zeros(format: Format, rows: usize, cols: usize, shelf: Option<&Shelf>) -> Self {
        let panel = format.panel(cols);
        let len = (rows.div_ceil(PANEL) * panel).div_ceil(size_of::<Line>());
        Self { format, rows, cols, panel, lines: Lines::zeros(len, shelf) }
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }

    /// The weights of one output, `cols` of them.
    ///
    /// # Panics
    /// If there is no such row, or `values` is of another length.
    pub fn dequantize_row(&self, row: usize, values: &mut [f32]) {
        assert!(row < self.rows && values.len() == self.cols, "row {row} of a {}x{} weight", self.rows, self.cols);
        let panel = &self.panels()[row / PANEL * self.panel..][..self.panel];
        self.format.with(DequantizeRow { panel, lane: row % PANEL, values });
    }

    fn panels(&self) -> &[u8] {
        // SAFETY: lines have no padding, and any bytes may be read as such.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), size_of_val(&*self.lines)) }
    }

    /// Calls `pack` with the number of each panel and its bytes, on several threads.
    fn fill_panels(&mut self, pack: impl Fn(usize, &mut [u8]) + Send + Sync) {
        let (count, size, work) = (self.rows.div_ceil(PANEL), self.panel, self.rows * self.cols);
        // SAFETY: lines are 16 numbers without padding.
        let all = unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 16) };
        let shared = Shared::new(all);
        // A panel is a whole number of 32-bit words.
        let words = size / size_of::<f32>();
        for_each(count, work, |panel| {
            // SAFETY: each task has one panel, and they do not overlap.
            let words = unsafe { shared.part(panel * words..(panel + 1) * words) };
            // SAFETY: bytes are of smaller alignment, and any bits are valid in either type.
            let bytes = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size) };
            pack(panel, bytes);
        });
    }
}

/// `y[i, n] = residual[i, n] + activation(sum_k x[i, k] * w[n, k] + bias[n])` for `x: [m, k]`, `y: [m, outputs]` and those
/// rows `n` of `w` that `outputs` says, row-major; bias and residual have numbers for each of these. See the [module](super) for
/// the arithmetic.
///
/// # Panics
/// If the lengths do not belong to one `m`, or `outputs` is not inside of the weight.
pub fn linear_quantized(cpu: Cpu, x: &[f32], w: &Quantized, outputs: Range<usize>, then: Epilogue<'_>, y: &mut [f32]) {
    let (n, k) = (outputs.len(), w.cols);
    assert!(outputs.start <= outputs.end && outputs.end <= w.rows, "outputs {outputs:?} of {}", w.rows);
    assert!(then.bias.is_none_or(|bias| bias.len() == n), "bias of a {n}x{k} weight");
    assert!(then.residual.is_none_or(|residual| residual.len() == y.len()), "residual of a {n}x{k} weight");
    if n == 0 {
        return assert!(y.is_empty(), "a product without outputs");
    }
    let m = y.len() / n;
    assert!(y.len() == m * n && x.len() == m * k, "{} inputs, {} outputs of a {n}x{k} weight", x.len(), y.len());
    if k == 0 {
        for (row, y) in y.chunks_exact_mut(n).enumerate() {
            match then.bias {
                Some(bias) => y.copy_from_slice(bias),
                None => y.fill(0.0),
            }
            let residual = then.residual.map(|residual| &residual[row * n..][..n]);
            cpu.run(Finish { y, activation: then.activation, residual });
        }
    } else if m > 0 {
        let product = Product { x, m, k, panels: w.panels(), outputs: &outputs, then };
        w.format.with(Multiply { cpu, product, y });
    }
}

struct Multiply<'a> {
    cpu: Cpu,
    product: Product<'a>,
    y: &'a mut [f32],
}

impl WithForm for Multiply<'_> {
    type Out = ();

    fn run<F: Packed>(self) {
        self.product.run::<F>(self.cpu, self.y);
    }
}

struct QuantizeAll<'a, Fill> {
    cpu: Cpu,
    weight: &'a mut Quantized,
    fill: Fill,
}

impl<Fill: Fn(usize, &mut [f32]) + Send + Sync> WithForm for QuantizeAll<'_, Fill> {
    type Out = ();

    fn run<F: Packed<Block: QuantizeEach>>(self) {
        let (rows, cols) = (self.weight.rows, self.weight.cols);
        let width = cols.next_multiple_of(F::Block::VALUES);
        self.weight.fill_panels(|panel, dst| {
            with_scratch(PANEL * width, |values| {
                values.fill(0.0);
                for (row, values) in (panel * PANEL..rows).zip(values.chunks_exact_mut(width)) {
                    (self.fill)(row, &mut values[..cols]);
                }
                lanes::run(self.cpu, QuantizePanel::<F> { values, width, dst, form: PhantomData });
            });
        });
    }
}

/// Rounds sixteen rows of `width` weights. A kernel, so that it is compiled for the processor's vectors.
struct QuantizePanel<'a, F> {
    values: &'a [f32],
    width: usize,
    dst: &'a mut [u8],
    form: PhantomData<F>,
}

impl<F: Packed<Block: QuantizeEach>> Kernel for QuantizePanel<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let mut blocks: [F::Block; PANEL] = from_fn(|_| F::Block::zero());
        for (dst, at) in self.dst.chunks_mut(block_bytes::<F>()).zip((0..self.width).step_by(F::Block::VALUES)) {
            F::Block::quantize_each(l, &self.values[at..], self.width, &mut blocks);
            F::pack(&blocks, dst);
        }
    }
}

struct PackAll<'a> {
    weight: &'a mut Quantized,
    bytes: &'a [u8],
}

impl WithForm for PackAll<'_> {
    type Out = ();

    fn run<F: Packed>(self) {
        let (rows, blocks) = (self.weight.rows, self.weight.cols / F::Block::VALUES);
        self.weight.fill_panels(|panel, dst| {
            for (index, dst) in dst.chunks_mut(block_bytes::<F>()).enumerate() {
                let block = |row: usize| F::Block::read(&self.bytes[(row * blocks + index) * F::Block::BYTES..]);
                F::pack(
                    &from_fn(|lane| match panel * PANEL + lane {
                        row if row < rows => block(row),
                        _ => F::Block::zero(),
                    }),
                    dst,
                );
            }
        });
    }
}

/// Bytes of sixteen packed blocks.
const fn block_bytes<F: Packed>() -> usize {
    F::HEADER + F::Block::VALUES / CHUNK * F::BYTES
}

struct DequantizeRow<'a> {
    panel: &'a [u8],
    lane: usize,
    values: &'a mut [f32],
}

impl WithForm for DequantizeRow<'_> {
    type Out = ();

    fn run<F: Packed>(self) {
        let l = Portable;
        for (values, bytes) in self.values.chunks_mut(F::Block::VALUES).zip(self.panel.chunks(block_bytes::<F>())) {
            let header = F::header(l, bytes);
            for (values, chunk) in values.chunks_mut(CHUNK).zip(bytes[F::HEADER..].chunks_exact(F::BYTES)) {
                let min = if F::MINS { F::min(l, header, Chunk::alone(chunk))[self.lane] } else { 0.0 };
                let mut codes = [0; STEPS * 4];
                for (step, codes) in codes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    let bytes: [u8; VECTOR] = F::step(l, Chunk::alone(chunk), step);
                    codes.copy_from_slice(&bytes[4 * self.lane..][..4]);
                }
                for (i, (value, code)) in values.iter_mut().zip(codes).enumerate() {
                    let scale = F::scale(l, header, Chunk::alone(chunk), i * F::RUNS / CHUNK)[self.lane];
                    let code = (i32::from(code) - F::ZERO) as f32;
                    *value = if F::MINS { scale * code - min } else { scale * code };
                }
            }
        }
    }
}
