//! Spreading a product over threads.

use super::activations::{Layout, RoundRows};
use super::forms::{CHUNK, Form, PANEL, Packed, panel_bytes};
use super::lanes::{Kernel, Lanes, run};
use super::tile::tile;
use super::unpacked::{Unpacked, unpack};
use crate::Cpu;
use crate::linear::{Activation, Epilogue, Finish};
use crate::parallel::{Shared, for_each, threads, with_scratch};
use crate::simd;
use std::marker::PhantomData;
use std::ops::Range;

/// Rows up to which panels are multiplied as they are packed: for more, unpacking them first costs less.
const FEW: usize = 4;

/// Rows that are rounded, or multiplied by unpacked panels, in one task, at least.
const BLOCK: usize = 48;

/// What rounding a number costs, in multiply-adds.
const COST: usize = 8;

/// A product of `m` rows of `k` activations with some outputs.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) x: &'a [f32],
    pub(super) m: usize,
    pub(super) k: usize,
    /// All panels, one after the other.
    pub(super) panels: &'a [u8],
    /// The outputs that are wanted.
    pub(super) outputs: &'a Range<usize>,
    /// With numbers for each of those.
    pub(super) then: Epilogue<'a>,
}

impl Product<'_> {
    /// Computes it into `y`, `[m, outputs]`.
    pub(super) fn run<F: Packed>(self, cpu: Cpu, y: &mut [f32]) {
        let chunks = self.k.div_ceil(CHUNK);
        let words = run(cpu, RowWords::<F> { chunks, form: PhantomData });
        with_scratch(self.m * words, |rounded| {
            let shared = Shared::new(rounded);
            for_each(self.m.div_ceil(BLOCK), self.m * self.k * COST, |block| {
                let rows = block * BLOCK..self.m.min((block + 1) * BLOCK);
                // SAFETY: each block of rows has its own part.
                let rounded = as_words(unsafe { shared.part(rows.start * words..rows.end * words) });
                let x = &self.x[rows.start * self.k..rows.end * self.k];
                run(cpu, RoundRows::<F> { x, k: self.k, rounded, form: PhantomData });
            });
            let x = Rounded { rows: as_words(rounded), words, chunks };
            let y = Shared::new(y);
            if self.m <= FEW { self.few::<F>(cpu, x, &y) } else { self.many::<F>(cpu, x, &y) }
        });
    }

    /// The panels that have wanted outputs.
    fn wanted(&self) -> Range<usize> {
        self.outputs.start / PANEL..self.outputs.end.div_ceil(PANEL)
    }

    /// Each thread reads some panels in one stream.
    fn few<F: Packed>(self, cpu: Cpu, x: Rounded<'_>, y: &Shared<'_>) {
        /// Streams of each thread, one after the other: more than one, should a thread be held up.
        const STREAMS: usize = 4;
        let wanted = self.wanted();
        let each = wanted.len().div_ceil(STREAMS * threads()).max(1);
        for_each(wanted.len().div_ceil(each), self.m * self.k * self.outputs.len(), |task| {
            let first = wanted.start + task * each;
            let panels = first..wanted.end.min(first + each);
            run(cpu, Few::<F> { product: self, x, panels: panels.clone(), y, form: PhantomData });
            self.finish(cpu, 0..self.m, panels, y);
        });
    }

    /// Each task unpacks as many panels as a tile has, and multiplies them by many rows.
    fn many<F: Packed>(self, cpu: Cpu, x: Rounded<'_>, y: &Shared<'_>) {
        let (wanted, each) = (self.wanted(), run(cpu, TilePanels));
        let tiles = wanted.len().div_ceil(each);
        // Few tiles are shared between threads by splitting the rows, which unpacks the weights more often.
        let parts = (8 * threads()).div_ceil(tiles.max(1)).clamp(1, self.m.div_ceil(BLOCK));
        let rows = self.m.div_ceil(parts);
        for_each(tiles * parts, self.m * self.k * self.outputs.len(), |task| {
            let (index, part) = (task / parts, task % parts);
            let first = wanted.start + index * each;
            let panels = first..wanted.end.min(first + each);
            let rows = part * rows..self.m.min((part + 1) * rows);
            let bytes = panel_bytes::<Unpacked<F>>(x.chunks, each);
            with_scratch(bytes / size_of::<f32>(), |scratch| {
                let scratch = as_bytes(scratch);
                run(cpu, Many::<F> { cpu, product: self, x, panels, rows, y, scratch, form: PhantomData });
            });
        });
    }

    /// What comes after the bias, for some rows of some panels, which the caches still have.
    fn finish(&self, cpu: Cpu, rows: Range<usize>, panels: Range<usize>, y: &Shared<'_>) {
        let Epilogue { activation, residual, .. } = self.then;
        if activation.is_none() && residual.is_none() {
            return;
        }
        let (outputs, n) = (self.outputs, self.outputs.len());
        let wanted = outputs.start.max(panels.start * PANEL)..outputs.end.min(panels.end * PANEL);
        let columns = wanted.start - outputs.start..wanted.end - outputs.start;
        cpu.run(FinishRows { rows, columns, n, activation, residual, y });
    }

    /// Adds the bias to one panel's sums for a row, and writes those that are wanted.
    #[inline(always)]
    fn store<L: Lanes>(&self, l: L, sums: L::Floats, row: usize, panel: usize, y: &Shared<'_>) {
        let (first, outputs) = (panel * PANEL, self.outputs);
        let range = outputs.start.max(first)..outputs.end.min(first + PANEL);
        if range.is_empty() {
            return;
        }
        let at = range.start - outputs.start..range.end - outputs.start;
        let start = row * outputs.len();
        // SAFETY: this task alone writes these outputs of this row.
        let y = unsafe { y.part(start + at.start..start + at.end) };
        let bias = self.then.bias.map(|bias| &bias[at]);
        let mut lanes = [0.0; PANEL];
        l.store(sums, &mut lanes);
        y.copy_from_slice(&lanes[range.start - first..range.end - first]);
        if let Some(bias) = bias {
            y.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
    }
}

/// [`Finish`] for some columns of some rows of `y` and `residual`, `[m, n]`.
struct FinishRows<'a> {
    rows: Range<usize>,
    columns: Range<usize>,
    n: usize,
    activation: Option<Activation>,
    residual: Option<&'a [f32]>,
    y: &'a Shared<'a>,
}

impl simd::Kernel for FinishRows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: simd::Simd>(self, s: S) {
        for row in self.rows {
            let at = row * self.n + self.columns.start..row * self.n + self.columns.end;
            let residual = self.residual.map(|residual| &residual[at.clone()]);
            // SAFETY: the task that has these outputs of this row is the one that finishes them.
            let y = unsafe { self.y.part(at) };
            Finish { y, activation: self.activation, residual }.run(s);
        }
    }
}

/// Rounded rows.
#[derive(Clone, Copy)]
struct Rounded<'a> {
    rows: &'a [u32],
    /// Of a row.
    words: usize,
    chunks: usize,
}

impl<'a> Rounded<'a> {
    #[inline(always)]
    fn row(self, row: usize) -> &'a [u32] {
        &self.rows[row * self.words..][..self.words]
    }
}

struct RowWords<F> {
    chunks: usize,
    form: PhantomData<F>,
}

impl<F: Form> Kernel for RowWords<F> {
    type Out = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> usize {
        Layout::<L, F>::new(self.chunks).words()
    }
}

struct TilePanels;

impl Kernel for TilePanels {
    type Out = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> usize {
        L::PANELS
    }
}

struct Few<'a, F> {
    product: Product<'a>,
    x: Rounded<'a>,
    panels: Range<usize>,
    y: &'a Shared<'a>,
    form: PhantomData<F>,
}

impl<F: Form> Kernel for Few<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        match self.product.m {
            1 => self.rows::<L, 1>(l),
            2 => self.rows::<L, 2>(l),
            3 => self.rows::<L, 3>(l),
            _ => self.rows::<L, FEW>(l),
        }
    }
}

impl<F: Form> Few<'_, F> {
    #[inline(always)]
    fn rows<L: Lanes, const R: usize>(self, l: L) {
        let layout = Layout::<L, F>::new(self.x.chunks);
        let size = panel_bytes::<F>(self.x.chunks, 1);
        let x: [&[u32]; R] = std::array::from_fn(|r| self.x.row(r));
        for panel in self.panels {
            let sums = tile::<L, F, R, 1>(l, layout, x, &self.product.panels[panel * size..][..size]);
            for (row, sums) in sums.into_iter().enumerate() {
                self.product.store(l, sums[0], row, panel, self.y);
            }
        }
    }
}

struct Many<'a, F> {
    cpu: Cpu,
    product: Product<'a>,
    x: Rounded<'a>,
    /// At most a tile's.
    panels: Range<usize>,
    rows: Range<usize>,
    y: &'a Shared<'a>,
    scratch: &'a mut [u8],
    form: PhantomData<F>,
}

impl<F: Form> Kernel for Many<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        match L::PANELS {
            2 => self.panels::<L, 2>(l),
            _ => self.panels::<L, 1>(l),
        }
    }
}

impl<F: Form> Many<'_, F> {
    #[inline(always)]
    fn panels<L: Lanes, const P: usize>(self, l: L) {
        const { assert!(L::PANELS == 2 || L::PANELS == 1) };
        let size = panel_bytes::<F>(self.x.chunks, 1);
        let panels = &self.product.panels[self.panels.start * size..self.panels.end * size];
        unpack::<L, F>(l, panels, self.x.chunks, self.scratch);
        let mut row = self.rows.start;
        while row < self.rows.end {
            row += match self.rows.end - row {
                6.. if L::ROWS >= 6 => self.rows::<L, 6, P>(l, row),
                4.. if L::ROWS >= 4 => self.rows::<L, 4, P>(l, row),
                3.. if L::ROWS >= 3 => self.rows::<L, 3, P>(l, row),
                2.. => self.rows::<L, 2, P>(l, row),
                _ => self.rows::<L, 1, P>(l, row),
            };
        }
    }

    /// Multiplies `R` rows, and finishes them while they are in the first cache; returns `R`.
    #[inline(always)]
    fn rows<L: Lanes, const R: usize, const P: usize>(&self, l: L, row: usize) -> usize {
        self.fetch(row..row + R);
        let layout = Layout::<L, Unpacked<F>>::new(self.x.chunks);
        let x: [&[u32]; R] = std::array::from_fn(|r| self.x.row(row + r));
        let sums = tile::<L, Unpacked<F>, R, P>(l, layout, x, self.scratch);
        let outputs = self.panels.start * PANEL..self.panels.end * PANEL;
        let whole = self.panels.len() == P
            && outputs.start >= self.product.outputs.start
            && outputs.end <= self.product.outputs.end;
        for (r, sums) in sums.into_iter().enumerate() {
            if whole {
                self.store_whole::<L, P>(l, sums, row + r);
                continue;
            }
            for (panel, sums) in self.panels.clone().zip(sums) {
                self.product.store(l, sums, row + r, panel, self.y);
            }
        }
        self.product.finish(self.cpu, row..row + R, self.panels.clone(), self.y);
        R
    }

    /// Asks for what the results are added to, which the product leaves time for: the processor does not foresee steps of
    /// a whole row.
    #[inline(always)]
    fn fetch(&self, rows: Range<usize>) {
        let Product { outputs, then, .. } = self.product;
        let Some(residual) = then.residual else { return };
        for row in rows {
            for panel in self.panels.clone() {
                simd::prefetch(residual, row * outputs.len() + (panel * PANEL).saturating_sub(outputs.start));
            }
        }
    }

    /// [`Product::store`] of all panels, all of whose outputs are wanted.
    #[inline(always)]
    fn store_whole<L: Lanes, const P: usize>(&self, l: L, sums: [L::Floats; P], row: usize) {
        let Product { outputs, then, .. } = self.product;
        let first = self.panels.start * PANEL - outputs.start;
        let start = row * outputs.len() + first;
        // SAFETY: this task alone writes these outputs of this row.
        let y = unsafe { self.y.part(start..start + P * PANEL) };
        let bias = then.bias.map(|bias| &bias[first..first + P * PANEL]);
        for (p, y) in y.as_chunks_mut().0.iter_mut().enumerate() {
            let bias = bias.and_then(|bias| bias.as_chunks().0.get(p));
            l.store(bias.map_or(sums[p], |bias| l.add(sums[p], l.load(bias))), y);
        }
    }
}

/// The same bits as integers.
fn as_words(floats: &mut [f32]) -> &mut [u32] {
    // SAFETY: both types have the same size and alignment, and any bits are valid in either.
    unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), floats.len()) }
}

/// The same bits as bytes.
fn as_bytes(floats: &mut [f32]) -> &mut [u8] {
    // SAFETY: bytes are of smaller alignment, and any bits are valid in either type.
    unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), size_of_val(floats)) }
}
