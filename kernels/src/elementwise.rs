//! Norms and activations.

use crate::Cpu;
use crate::math;
use crate::parallel::{Shared, for_each};
use crate::simd::{Kernel, MAX_LANES, Simd};
use std::marker::PhantomData;

/// Numbers that a task works on, about: with their results they stay in a first-level cache.
const CHUNK: usize = 4096;

/// What a number costs, in the multiply-adds by which [`for_each`] decides.
const COST: usize = 16;

/// Root-mean-square norm of each row of `x` (`weight.len()` wide): `x / sqrt(mean(x²) + eps) * weight`.
///
/// # Panics
/// If `x` and `y` are not the same number of whole rows.
pub fn rms_norm(cpu: Cpu, x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    norm(x, weight.len(), y, |x, y| cpu.run(RmsNorm { x, weight, eps, y }));
}

/// Layer norm of each row of `x` (`weight.len()` wide), population variance.
///
/// # Panics
/// If `x` and `y` are not the same number of whole rows, or `bias` is not as long as `weight`.
pub fn layer_norm(cpu: Cpu, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    assert_eq!(weight.len(), bias.len(), "weight and bias of a layer norm");
    norm(x, weight.len(), y, |x, y| cpu.run(LayerNorm { x, weight, bias, eps, y }));
}

/// GELU by its tanh approximation, in place; 0 at -∞.
pub fn gelu_tanh(cpu: Cpu, x: &mut [f32]) {
    map::<GeluTanh>(cpu, x);
}

/// Exact GELU, `x · Φ(x)`, in place; 0 at -∞.
pub fn gelu_erf(cpu: Cpu, x: &mut [f32]) {
    map::<GeluErf>(cpu, x);
}

/// `gate[i] = silu(gate[i]) * up[i]`, in place.
///
/// # Panics
/// If the lengths differ.
pub fn silu_mul(cpu: Cpu, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up");
    chunks(gate, CHUNK, |start, gate| cpu.run(SiluMul { up: &up[start..][..gate.len()], gate }));
}

/// `y[i] = Σ_j weights[i, j] · x[picks[i, j]]` for rows of `width` numbers: `x` and `y` are row-major, `picks` and `weights`
/// `[rows of y, j]`. A row's terms are added in their order.
///
/// # Panics
/// If the lengths do not belong together, or a pick is not a row of `x`.
pub fn weighted_sums(cpu: Cpu, x: &[f32], picks: &[u32], weights: &[f32], width: usize, y: &mut [f32]) {
    assert_eq!(picks.len(), weights.len(), "a weight for each pick");
    if y.is_empty() {
        return;
    }
    let rows = y.len().checked_div(width).unwrap_or(0);
    assert!(y.len() == rows * width && picks.len().is_multiple_of(rows), "{} picks, {} sums", picks.len(), y.len());
    let terms = picks.len() / rows;
    let y = Shared::new(y);
    for_each(rows, rows * width * terms, |row| {
        let (picks, weights) = (&picks[row * terms..][..terms], &weights[row * terms..][..terms]);
        // SAFETY: each row has one task.
        let y = unsafe { y.part(row * width..(row + 1) * width) };
        cpu.run(WeightedSum { x, picks, weights, y });
    });
}

/// Calls `task` with chunks of `x` of `size` numbers, the last possibly shorter, and where they begin.
fn chunks(x: &mut [f32], size: usize, task: impl Fn(usize, &mut [f32]) + Send + Sync) {
    let len = x.len();
    let x = Shared::new(x);
    for_each(len.div_ceil(size), len * COST, |i| {
        let range = i * size..len.min((i + 1) * size);
        // SAFETY: chunks do not overlap, and each has one task.
        task(range.start, unsafe { x.part(range) });
    });
}

/// Calls `task` with several rows of `x` and `y` at a time.
fn norm(x: &[f32], width: usize, y: &mut [f32], task: impl Fn(&[f32], &mut [f32]) + Send + Sync) {
    assert!(x.len() == y.len(), "a norm's {} inputs and {} outputs", x.len(), y.len());
    if x.is_empty() {
        return;
    }
    assert!(width > 0 && x.len().is_multiple_of(width), "{} numbers in rows of {width}", x.len());
    chunks(y, CHUNK.div_ceil(width) * width, |start, y| task(&x[start..][..y.len()], y));
}

/// A function of one number.
trait Function {
    /// Implementations carry `#[inline(always)]`.
    fn apply<S: Simd>(s: S, x: S::V) -> S::V;
}

struct GeluTanh;

impl Function for GeluTanh {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::V) -> S::V {
        math::gelu_tanh(s, x)
    }
}

struct GeluErf;

impl Function for GeluErf {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::V) -> S::V {
        math::gelu_erf(s, x)
    }
}

fn map<F: Function>(cpu: Cpu, x: &mut [f32]) {
    chunks(x, CHUNK, |_, x| cpu.run(Map::<F> { x, function: PhantomData }));
}

struct Map<'a, F> {
    x: &'a mut [f32],
    function: PhantomData<F>,
}

impl<F: Function> Kernel for Map<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut chunks = self.x.chunks_exact_mut(S::LANES);
        for x in &mut chunks {
            s.store(F::apply(s, s.load(x)), x);
        }
        let rest = chunks.into_remainder();
        let lanes = s.lanes(F::apply(s, s.load_part(rest, 0.0)));
        rest.copy_from_slice(&lanes[..rest.len()]);
    }
}

struct SiluMul<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Kernel for SiluMul<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (mut gates, ups) = (self.gate.chunks_exact_mut(S::LANES), self.up.chunks_exact(S::LANES));
        let up = s.load_part(ups.remainder(), 0.0);
        for (gate, up) in (&mut gates).zip(ups) {
            s.store(s.mul(math::silu(s, s.load(gate)), s.load(up)), gate);
        }
        let rest = gates.into_remainder();
        let lanes = s.lanes(s.mul(math::silu(s, s.load_part(rest, 0.0)), up));
        rest.copy_from_slice(&lanes[..rest.len()]);
    }
}

struct WeightedSum<'a> {
    x: &'a [f32],
    picks: &'a [u32],
    weights: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for WeightedSum<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.y.len();
        self.y.fill(0.0);
        for (pick, weight) in self.picks.iter().zip(self.weights) {
            let x = &self.x[*pick as usize * width..][..width];
            for (y, x) in self.y.chunks_mut(S::LANES).zip(x.chunks(S::LANES)) {
                s.store_part(s.fma(s.splat(*weight), s.load_part(x, 0.0), s.load_part(y, 0.0)), y);
            }
        }
    }
}

struct RmsNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.weight.len();
        for (x, y) in self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width)) {
            let mean = sum(s, x, 0.0, |x| s.mul(x, x)) / width as f64;
            let scale = (1.0 / (mean + f64::from(self.eps)).sqrt()) as f32;
            for ((y, x), w) in y.iter_mut().zip(x).zip(self.weight) {
                *y = w * (x * scale);
            }
        }
    }
}

struct LayerNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
}

impl Kernel for LayerNorm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.weight.len();
        for (x, y) in self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width)) {
            let mean = (sum(s, x, 0.0, |x| x) / width as f64) as f32;
            let centre = s.splat(mean);
            let variance = sum(s, x, mean, |x| s.mul(s.sub(x, centre), s.sub(x, centre))) / width as f64;
            let scale = (1.0 / (variance + f64::from(self.eps)).sqrt()) as f32;
            for (((y, x), w), b) in y.iter_mut().zip(x).zip(self.weight).zip(self.bias) {
                *y = (x - mean) * scale * w + b;
            }
        }
    }
}

/// The sum of `f` over a row. The last vector is filled up with `pad`, for which `f` is 0.
#[inline(always)]
fn sum<S: Simd>(s: S, row: &[f32], pad: f32, f: impl Fn(S::V) -> S::V) -> f64 {
    /// Vectors that are summed in f32 before the sum moves on to f64.
    const RUN: usize = 16;
    let mut totals = [0f64; MAX_LANES];
    for run in row.chunks(RUN * S::LANES) {
        let mut sum = s.splat(0.0);
        let vectors = run.chunks_exact(S::LANES);
        let rest = vectors.remainder();
        for x in vectors {
            sum = s.add(sum, f(s.load(x)));
        }
        if !rest.is_empty() {
            sum = s.add(sum, f(s.load_part(rest, pad)));
        }
        for (total, sum) in totals.iter_mut().zip(s.lanes(sum)) {
            *total += f64::from(sum);
        }
    }
    totals.iter().sum()
}
