//! Products with weights.
//!
//! Two forms with the same results: [`few`] reads the weights as they lie in memory, which is all that matters for a few
//! rows, and [`many`] packs them for many. Each result is made of a few sums over its inputs, as
//! [`STRANDS`](crate::simd::STRANDS) says, each in one order.

mod few;
mod many;
mod operands;

pub(crate) use operands::Finish;
pub use operands::{Activation, Epilogue};

use crate::parallel::{Shared, for_each, threads, with_scratch};
use crate::simd::{Element, Kernel, Simd};
use crate::tile::BLOCK;
use crate::{Cpu, Elements, Matrix};
use few::FEW;
use half::bf16;
use operands::{Output, Typed, padded};
use std::marker::PhantomData;
use std::ops::{Range, RangeInclusive};

/// Bytes of weights that a task reads for few rows, about: the more, the longer the streams, and the fewer, the more evenly they
/// are shared.
const CHUNK: RangeInclusive<usize> = 64 << 10..=2 << 20;

/// Tasks for each thread, where that leaves chunks within their bounds: more than one, should a thread be held up.
const TASKS: usize = 4;

/// `y[i, n] = sum_k x[i, k] * w[n, k] + bias[n]` for `x: [m, k]`, `w: [n, k]`, `y: [m, n]`, all row-major.
///
/// With bf16 weights the activations are rounded to bf16 (to nearest, ties to even) and the products are summed in
/// f32. A row's result does not depend on how many other rows there are, bit for bit, nor on the number of threads.
///
/// # Panics
/// If the lengths do not belong to one `m`.
pub fn linear(cpu: Cpu, x: &[f32], w: Matrix<'_>, bias: Option<&[f32]>, y: &mut [f32]) {
    linear_then(cpu, x, w, Epilogue { bias, ..Epilogue::default() }, y);
}

/// [`linear`], and then what `then` says, while the results are in registers.
///
/// # Panics
/// As [`linear`], and if `then` has slices of other lengths.
pub fn linear_then(cpu: Cpu, x: &[f32], w: Matrix<'_>, then: Epilogue<'_>, y: &mut [f32]) {
    let (rows, n, k) = (rows_of(x, w, y), w.rows(), w.cols());
    assert!(then.residual.is_none_or(|residual| residual.len() == y.len()), "residual of a {n}x{k} weight");
    let together = (TOGETHER / k.max(1)).next_multiple_of(BLOCK);
    for first in (0..rows).step_by(together) {
        let rows = first..rows.min(first + together);
        let (x, y) = (&x[rows.start * k..rows.end * k], &mut y[rows.start * n..rows.end * n]);
        let then = Epilogue { residual: then.residual.map(|residual| &residual[rows.start * n..rows.end * n]), ..then };
        product(cpu, x, None, &[Group { weights: Weights::Plain(w), rows: rows.len() }], then, y);
    }
}

/// `y = silu(x · gateᵀ) · (x · upᵀ)` for `gate` and `up` `[n, k]` of one type, else as [`linear`].
///
/// # Panics
/// If the lengths do not belong to one `m`, or the weights differ in shape or type.
pub fn linear_gated(cpu: Cpu, x: &[f32], gate: Matrix<'_>, up: Matrix<'_>, y: &mut [f32]) {
    let rows = rows_of(x, gate, y);
    product(cpu, x, None, &[Group { weights: Weights::Gated { gate, up }, rows }], Epilogue::default(), y);
}

/// Products of several groups of rows with weights of their own, all at once: row `i` of `y` is the product of row
/// `source[i]` of `x` (row `i` without a `source`) with the weights of its group, like [`linear`] or [`linear_gated`].
///
/// # Panics
/// If the lengths do not belong together, `source` names a row that `x` lacks, or weights differ in kind, shape or type.
pub fn linear_grouped(cpu: Cpu, x: &[f32], source: Option<&[u32]>, groups: &[Group<'_>], y: &mut [f32]) {
    product(cpu, x, source, groups, Epilogue::default(), y);
}

/// Some rows of a product, and the weights that they are multiplied with.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Of the same kind, shape and type in all groups.
    pub weights: Weights<'a>,
    /// How many rows, which follow those of the groups before.
    pub rows: usize,
}

/// The weights of a [`Group`].
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// As in [`linear`].
    Plain(Matrix<'a>),
    /// As in [`linear_gated`].
    Gated {
        /// `[n, k]`.
        gate: Matrix<'a>,
        /// `[n, k]`.
        up: Matrix<'a>,
    },
}

impl<'a> Weights<'a> {
    fn matrix(&self) -> Matrix<'a> {
        match *self {
            Self::Plain(matrix) | Self::Gated { gate: matrix, .. } => matrix,
        }
    }
}

/// Numbers in rows that pass over the weights together, at most about: a third-level cache holds them.
const TOGETHER: usize = 4 << 20;

/// How many rows `x` and `y` have.
fn rows_of(x: &[f32], w: Matrix<'_>, y: &[f32]) -> usize {
    let (n, k) = (w.rows(), w.cols());
    let m = y.len().checked_div(n).unwrap_or(0);
    assert!(
        y.len() == m * n && (n == 0 || x.len() == m * k),
        "{} inputs, {} outputs of a {n}x{k} weight",
        x.len(),
        y.len()
    );
    m
}

fn product(cpu: Cpu, x: &[f32], source: Option<&[u32]>, groups: &[Group<'_>], then: Epilogue<'_>, y: &mut [f32]) {
    let Some(first) = groups.first().map(|group| group.weights.matrix()) else {
        return assert!(y.is_empty(), "outputs without weights");
    };
    let (n, k) = (first.rows(), first.cols());
    let rows = groups.iter().map(|group| group.rows).sum::<usize>();
    assert_eq!(rows * n, y.len(), "{rows} rows of a {n}x{k} weight");
    assert_eq!(source.map_or(x.len(), |source| source.len() * k), if n == 0 { x.len() } else { rows * k }, "inputs");
    assert!(then.bias.is_none_or(|bias| bias.len() == n), "bias of a {n}x{k} weight");
    assert!(then.residual.is_none_or(|residual| residual.len() == y.len()), "residual of a {n}x{k} weight");
    if y.is_empty() {
        return;
    }
    match first.elements() {
        Elements::F32(_) => Product::<f32>::new(x, source, groups, n, k).run(cpu, then, y),
        Elements::Bf16(_) => Product::<bf16>::new(x, source, groups, n, k).run(cpu, then, y),
    }
}

/// A product of checked operands.
struct Product<'a, E> {
    x: &'a [f32],
    source: Option<&'a [u32]>,
    /// Weights and rows of each group.
    groups: Vec<(Typed<'a, E>, Range<usize>)>,
    n: usize,
    k: usize,
}

impl<'a, E: Element> Product<'a, E> {
    fn new(x: &'a [f32], source: Option<&'a [u32]>, groups: &[Group<'a>], n: usize, k: usize) -> Self {
        let typed = |matrix: Matrix<'a>| {
            assert_eq!((matrix.rows(), matrix.cols()), (n, k), "all weights of a product have one shape");
            E::of(matrix.elements())
        };
        let mut rows = 0;
        let mut gated = None;
        let groups = groups.iter().map(|group| {
            let weights = match group.weights {
                Weights::Plain(w) => Typed::Plain(typed(w)),
                Weights::Gated { gate, up } => Typed::Gated { gate: typed(gate), up: typed(up) },
            };
            let this = matches!(group.weights, Weights::Gated { .. });
            assert_eq!(*gated.get_or_insert(this), this, "all weights of a product are of one kind");
            rows += group.rows;
            (weights, rows - group.rows..rows)
        });
        let groups = groups.filter(|(_, rows)| !rows.is_empty()).collect();
        Self { x, source, groups, n, k }
    }

    /// Rows of `x`.
    fn rows(&self, rows: Range<usize>) -> impl Iterator<Item = &'a [f32]> {
        let (x, source, k) = (self.x, self.source, self.k);
        rows.map(move |row| &x[source.map_or(row, |source| source[row] as usize) * k..][..k])
    }

    fn run(&self, cpu: Cpu, then: Epilogue<'_>, y: &mut [f32]) {
        let plan = cpu.run(MakePlan(self));
        let work = y.len() * self.k;
        let (y, n) = (&Shared::new(y), self.n);
        let output = &Output { y, n, then };
        with_scratch(plan.prepared, |prepared| {
            let shared = Shared::new(prepared);
            for_each(plan.tiles, plan.prepared, |tile| self.prepare(cpu, &plan, tile, &shared));
            for_each(plan.tasks, work, |task| self.multiply(cpu, &plan, task, prepared, output));
        });
    }

    fn prepare(&self, cpu: Cpu, plan: &Plan, tile: usize, prepared: &Shared<'_>) {
        let (at, part) = plan.part(|part| part.tiles.start, tile);
        let (rows, units) = (self.groups[at].1.clone(), plan.units);
        if part.few {
            // SAFETY: each part has its own place.
            let out = unsafe { prepared.part(part.prepared.clone()) };
            let (x, count) = (self.rows(rows.clone()), rows.len());
            return with_scratch(units, |row| {
                cpu.run(few::Prepare { x, count, row, out, element: PhantomData::<E> });
            });
        }
        let first = (tile - part.tiles.start) * plan.height;
        let last = first + plan.height >= rows.len();
        let start = part.prepared.start + first * units;
        let end = if last { part.prepared.end } else { start + plan.height * units };
        // SAFETY: each tile has its own place.
        let out = unsafe { prepared.part(start..end) };
        let rows = rows.start + first..rows.end.min(rows.start + first + plan.height);
        let (x, count) = (self.rows(rows.clone()), rows.len());
        with_scratch(plan.height.next_multiple_of(plan.lanes) * units, |rows| {
            cpu.run(many::Prepare { x, count, rows, out, element: PhantomData::<E> });
        });
    }

    fn multiply(&self, cpu: Cpu, plan: &Plan, task: usize, prepared: &[f32], output: &Output<'_>) {
        let (at, part) = plan.part(|part| part.tasks.start, task);
        let (weights, rows) = self.groups[at].clone();
        let first = (task - part.tasks.start) * part.outputs;
        let (n, k, x) = (self.n, self.k, &prepared[part.prepared.clone()]);
        if part.few {
            let outputs = first..n.min(first + part.outputs);
            cpu.run(few::Few { weights, k, x, rows, outputs, output });
        } else {
            with_scratch(2 * plan.lanes * plan.units, |packed| {
                cpu.run(many::Many { weights, n, k, x, rows, first, output, packed });
            });
        }
    }
}

/// How a product is cut into tasks.
struct Plan {
    parts: Vec<Part>,
    /// Units of a prepared row.
    units: usize,
    /// Numbers in all prepared rows.
    prepared: usize,
    /// Rows of a tile.
    height: usize,
    lanes: usize,
    tiles: usize,
    tasks: usize,
}

/// A group's part in it.
struct Part {
    few: bool,
    prepared: Range<usize>,
    tiles: Range<usize>,
    tasks: Range<usize>,
    /// Outputs of a task.
    outputs: usize,
}

impl Plan {
    /// The part that has a tile or task.
    fn part(&self, start: impl Fn(&Part) -> usize, index: usize) -> (usize, &Part) {
        let at = self.parts.partition_point(|part| start(part) <= index) - 1;
        (at, &self.parts[at])
    }
}

struct MakePlan<'p, 'a, E>(&'p Product<'a, E>);

impl<E: Element> Kernel for MakePlan<'_, '_, E> {
    type Out = Plan;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Plan {
        let Product { groups, n, k, .. } = self.0;
        let units = padded::<S, E>(*k);
        let mut plan = Plan {
            parts: Vec::with_capacity(groups.len()),
            units,
            prepared: 0,
            height: S::ROWS,
            lanes: S::LANES,
            tiles: 0,
            tasks: 0,
        };
        let few_groups = groups.iter().filter(|(_, rows)| rows.len() <= FEW).count();
        let bytes = few_groups * n * k * size_of::<E>();
        let chunk = (bytes / (TASKS * threads())).clamp(*CHUNK.start(), *CHUNK.end());
        for (weights, rows) in groups {
            let few = rows.len() <= FEW;
            let prepared = if few { few::filled(rows.len()) } else { many::filled::<S>(rows.len()) } * units;
            let tiles = if few { 1 } else { rows.len().div_ceil(S::ROWS) };
            let outputs = if few {
                (chunk / (k * size_of::<E>()).max(1)).next_multiple_of(S::LANES).max(S::LANES)
            } else {
                weights.panel::<S>()
            };
            let tasks = n.div_ceil(outputs);
            plan.parts.push(Part {
                few,
                prepared: plan.prepared..plan.prepared + prepared,
                tiles: plan.tiles..plan.tiles + tiles,
                tasks: plan.tasks..plan.tasks + tasks,
                outputs,
            });
            plan.prepared += prepared;
            plan.tiles += tiles;
            plan.tasks += tasks;
        }
        plan
    }
}
