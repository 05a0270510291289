//! Attention against its definition in f64, for every family of instructions.

mod common;

use common::{bits, config, cpus, random, with_threads};
use proptest::prelude::*;
use seekvl_kernels::{Attention, Cpu, GridBias, KEYS, Mask, Rows, attention, attention_bf16, round_rows};

/// Queries, keys and values of a case, each with a gap between its rows.
struct Case {
    a: Attention<'static>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    gap: usize,
    /// Keys in a line of a grid, if they lie on one, and the bias of lines and of columns.
    grid: Option<(usize, Vec<f32>, Vec<f32>)>,
}

/// Parts that are laid head by head.
fn rows<'p, T>(parts: &'p [Vec<T>], a: &Attention<'_>, dim: usize) -> Vec<Rows<'p, T>> {
    parts.iter().map(|data| Rows { data, stride: dim, head_stride: data.len() / a.kv_heads }).collect()
}

impl Case {
    fn new(a: Attention<'static>, gap: usize, seed: u64) -> Self {
        let rows = |seed, count: usize, width: usize| random(seed, count * (width + gap));
        let q = rows(seed, a.queries, a.heads * a.key_dim);
        let k = rows(seed ^ 1, a.keys, a.kv_heads * a.key_dim);
        let v = rows(seed ^ 2, a.keys, a.kv_heads * a.value_dim);
        Self { a, q, k, v, gap, grid: None }
    }

    /// With keys on a grid.
    fn on_grid(self, across: usize, seed: u64) -> Self {
        let numbers = self.a.queries * self.a.heads;
        let lines = random(seed ^ 3, numbers * (self.a.keys / across));
        Self { grid: Some((across, lines, random(seed ^ 4, numbers * across))), ..self }
    }

    fn strides(&self) -> [usize; 3] {
        let a = &self.a;
        [a.heads * a.key_dim, a.kv_heads * a.key_dim, a.kv_heads * a.value_dim].map(|width| width + self.gap)
    }

    /// The kernel's result for some of the queries, which see at most the first `keys` keys.
    fn run(&self, cpu: Cpu, queries: std::ops::Range<usize>, keys: usize) -> Vec<f32> {
        let [q, k, v] = self.strides();
        let mask = match self.a.mask {
            Mask::None => Mask::None,
            Mask::Causal { first } => Mask::Causal { first: first + queries.start },
            Mask::Window { first, size } => Mask::Window { first: first + queries.start, size },
        };
        let bias = self.grid.as_ref().map(|(across, lines, columns)| {
            let part =
                |all: &'_ [f32]| queries.start * all.len() / self.a.queries..queries.end * all.len() / self.a.queries;
            GridBias { lines: &lines[part(lines)], columns: &columns[part(columns)], across: *across }
        });
        let a = Attention { queries: queries.len(), keys, mask, bias, ..self.a };
        let mut out = vec![f32::NAN; a.queries * a.heads * a.value_dim];
        let rows = |data, stride, head_stride| Rows { data, stride, head_stride };
        let q = rows(&self.q[queries.start * q..], q, a.key_dim);
        attention(cpu, &a, q, &[rows(&self.k, k, a.key_dim)], &[rows(&self.v, v, a.value_dim)], &mut out);
        out
    }

    /// As [`Case::all`], with keys and values in parts, head by head, as bf16 if `rounded`; those of the first `gone` keys are
    /// missing.
    fn in_parts(&self, cpu: Cpu, rounded: bool, gone: usize) -> Vec<f32> {
        let [q, k, v] = self.strides();
        let a = self.a;
        let mask = match a.mask {
            Mask::Window { first, size } => Mask::Window { first: first - gone, size },
            mask => mask,
        };
        let a = Attention { keys: a.keys - gone, mask, ..a };
        let mut out = vec![f32::NAN; a.queries * a.heads * a.value_dim];
        let queries = Rows { data: &self.q[..], stride: q, head_stride: a.key_dim };
        let parts = |data: &[f32], stride: usize, dim: usize| -> Vec<Vec<f32>> {
            let by_head = |part: &[f32]| -> Vec<f32> {
                let head = |h: usize| part.chunks(stride).flat_map(move |row| &row[h * dim..][..dim]);
                (0..a.kv_heads).flat_map(head).copied().collect()
            };
            data[gone * stride..].chunks(KEYS * stride).map(by_head).collect()
        };
        let (keys, values) = (parts(&self.k, k, a.key_dim), parts(&self.v, v, a.value_dim));
        if rounded {
            let round = |parts: &[Vec<f32>]| -> Vec<Vec<half::bf16>> {
                let round = |part: &Vec<f32>| {
                    let mut y = vec![half::bf16::ZERO; part.len()];
                    round_rows(cpu, part, part.len(), part.len(), &mut y);
                    y
                };
                parts.iter().map(round).collect()
            };
            let (keys, values) = (round(&keys), round(&values));
            attention_bf16(cpu, &a, queries, &rows(&keys, &a, a.key_dim), &rows(&values, &a, a.value_dim), &mut out);
        } else {
            attention(cpu, &a, queries, &rows(&keys, &a, a.key_dim), &rows(&values, &a, a.value_dim), &mut out);
        }
        out
    }

    fn all(&self, cpu: Cpu) -> Vec<f32> {
        self.run(cpu, 0..self.a.queries, self.a.keys)
    }

    fn reference(&self) -> Vec<f64> {
        let a = &self.a;
        let [q_stride, k_stride, v_stride] = self.strides();
        let mut out = Vec::new();
        for i in 0..a.queries {
            let seen = match a.mask {
                Mask::None => 0..a.keys,
                Mask::Causal { first } => 0..a.keys.min(first + i + 1),
                Mask::Window { first, size } => (first + i + 1).saturating_sub(size)..first + i + 1,
            };
            for h in 0..a.heads {
                let kv = h / (a.heads / a.kv_heads);
                let q = &self.q[i * q_stride + h * a.key_dim..][..a.key_dim];
                let score = |j: usize| {
                    let k = &self.k[j * k_stride + kv * a.key_dim..][..a.key_dim];
                    let bias = self.grid.as_ref().map_or(0.0, |(across, lines, columns)| {
                        let number = i * a.heads + h;
                        f64::from(lines[number * (a.keys / across) + j / across])
                            + f64::from(columns[number * across + j % across])
                    });
                    f64::from(a.scale) * q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>() + bias
                };
                let scores: Vec<_> = seen.clone().map(score).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<_> = scores.iter().map(|s| (s - max).exp()).collect();
                let total: f64 = weights.iter().sum();
                out.extend((0..a.value_dim).map(|c| {
                    let value = |j: usize| f64::from(self.v[j * v_stride + kv * a.value_dim + c]);
                    weights.iter().zip(seen.clone()).map(|(w, j)| w * value(j)).sum::<f64>() / total
                }));
            }
        }
        out
    }

    /// Values are of size 1, and so are their means; what is left are the errors of the scores, of size |score| · 2^-24
    /// times a few, in the exponent.
    fn check(&self, cpu: Cpu) {
        self.compare(cpu, &self.all(cpu), 1e-5);
    }

    fn compare(&self, cpu: Cpu, found: &[f32], bound: f64) {
        for (i, (y, expected)) in found.iter().zip(self.reference()).enumerate() {
            assert!(
                (f64::from(*y) - expected).abs() <= bound,
                "{:?} {:?} at {i}: {y}, not {expected}",
                cpu.isa(),
                self.a
            );
        }
    }

    /// With numbers that bf16 has.
    fn rounded(mut self) -> Self {
        for part in [&mut self.q, &mut self.k, &mut self.v] {
            part.iter_mut().for_each(|x| *x = half::bf16::from_f32(*x).to_f32());
        }
        self
    }
}

fn shape(
    queries: usize,
    keys: usize,
    kv_heads: usize,
    group: usize,
    key_dim: usize,
    value_dim: usize,
) -> Attention<'static> {
    let scale = 1.0 / (key_dim as f32).sqrt();
    Attention {
        queries,
        keys,
        heads: kv_heads * group,
        kv_heads,
        key_dim,
        value_dim,
        scale,
        mask: Mask::None,
        bias: None,
    }
}

prop_compose! {
    fn shapes()(
        queries in 1usize..70,
        keys in 1usize..300,
        kv_heads in 1usize..3,
        group in prop::sample::select(vec![1usize, 2, 3, 4, 8]),
        key_dim in 1usize..80,
        value_dim in 1usize..80,
        causal: bool,
        window in prop::option::of(1usize..200),
    ) -> Attention<'static> {
        let (queries, keys) = if cfg!(miri) { (queries % 5 + 1, keys % 20 + 1) } else { (queries, keys) };
        let a = shape(queries, keys, kv_heads, group, key_dim, value_dim);
        let first = keys.saturating_sub(queries);
        match window {
            Some(size) => Attention { keys: first + queries, mask: Mask::Window { first, size }, ..a },
            None if causal => Attention { mask: Mask::Causal { first }, ..a },
            None => a,
        }
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn is_softmax_attention(a in shapes(), gap in 0usize..40, seed: u64) {
        for cpu in cpus() {
            Case::new(a, gap, seed).check(cpu);
        }
    }

    /// Nothing but probabilities is rounded then, to 8 bits: each is off by 2^-9 of itself at most, values are below 6, and the sum
    /// that they are divided by is their own.
    #[test]
    fn of_bf16_it_is_softmax_attention(a in shapes(), gap in 0usize..40, seed: u64) {
        let case = Case::new(a, gap, seed).rounded();
        for cpu in cpus() {
            case.compare(cpu, &case.in_parts(cpu, true, 0), 6.0 * 2f64.powi(-8));
        }
    }

    #[test]
    fn a_bias_is_added_to_the_scores(
        a in shapes(), lines in 1usize..20, across in 1usize..20, cut in 0usize..70, seed: u64,
    ) {
        let (lines, across) = if cfg!(miri) { (lines % 3 + 1, across % 5 + 1) } else { (lines, across) };
        let a = Attention { keys: lines * across, mask: Mask::None, ..a };
        let case = Case::new(a, 2, seed).on_grid(across, seed);
        for cpu in cpus() {
            case.check(cpu);
            let cut = cut % a.queries;
            let mut parts = case.run(cpu, 0..cut, a.keys);
            parts.extend(case.run(cpu, cut..a.queries, a.keys));
            prop_assert_eq!(bits(&case.all(cpu)), bits(&parts));
        }
    }

    #[test]
    fn chunks_and_threads_do_not_matter(a in shapes(), cut in 0usize..70, seed: u64) {
        let first = a.keys.saturating_sub(a.queries);
        let mask = if let Mask::Window { size, .. } = a.mask { Mask::Window { first, size } } else { Mask::Causal { first } };
        let a = Attention { keys: a.keys.max(a.queries), mask, ..a };
        let cut = cut % a.queries;
        let case = Case::new(a, 3, seed);
        for cpu in cpus() {
            let whole = bits(&case.all(cpu));
            // The first chunk does not even have the keys of the second.
            let mut parts = case.run(cpu, 0..cut, a.keys.min(first + cut));
            parts.extend(case.run(cpu, cut..a.queries, a.keys));
            prop_assert_eq!(&whole, &bits(&parts), "{:?}", cpu.isa());
            // One query takes keys as they lie, and several take them packed.
            let one = bits(&case.run(cpu, cut..cut + 1, a.keys.min(first + cut + 1)));
            let width = a.heads * a.value_dim;
            prop_assert_eq!(&whole[cut * width..][..width], &one, "{:?}", cpu.isa());
            if !cfg!(miri) {
                prop_assert_eq!(&whole, &bits(&with_threads(1, || case.all(cpu))));
                prop_assert_eq!(&whole, &bits(&with_threads(3, || case.all(cpu))));
            }
        }
    }
}

/// Blocks of keys have fixed places, so it does not matter whether they lie together, nor that some are gone which nobody sees.
#[test]
fn parts_do_not_matter() {
    if cfg!(miri) {
        return;
    }
    let causal = Attention { mask: Mask::Causal { first: 230 }, ..shape(70, 300, 2, 2, 24, 20) };
    let narrow = Attention { mask: Mask::Window { first: 230, size: 61 }, ..causal };
    for cpu in cpus() {
        for a in [causal, narrow, Attention { queries: 1, mask: Mask::Window { first: 299, size: 43 }, ..causal }] {
            let case = Case::new(a, 0, 5);
            assert_eq!(bits(&case.all(cpu)), bits(&case.in_parts(cpu, false, 0)), "{a:?}");
            let gone = if a.mask == causal.mask { 0 } else { KEYS };
            for rounded in [false, true] {
                let whole = case.in_parts(cpu, rounded, 0);
                assert_eq!(bits(&whole), bits(&case.in_parts(cpu, rounded, gone)), "{a:?}");
                // Each query alone.
                let width = a.heads * a.value_dim;
                for (i, row) in whole.chunks(width).enumerate() {
                    let mask = match a.mask {
                        Mask::Window { first, size } => Mask::Window { first: first + i, size },
                        Mask::Causal { first } => Mask::Causal { first: first + i },
                        Mask::None => Mask::None,
                    };
                    let q = case.q[i * a.heads * a.key_dim..][..a.heads * a.key_dim].to_vec();
                    let one = Case {
                        a: Attention { queries: 1, mask, ..a },
                        q,
                        k: case.k.clone(),
                        v: case.v.clone(),
                        gap: 0,
                        grid: None,
                    };
                    assert_eq!(bits(&one.in_parts(cpu, rounded, 0)), bits(row), "query {i} of {a:?}");
                }
            }
        }
    }
}

/// A value that is no number shows in those who see it alone, at both ends of a window and within pairs of bf16.
#[test]
fn a_window_hides_what_is_no_number() {
    if cfg!(miri) {
        return;
    }
    let a = Attention { mask: Mask::Window { first: 0, size: 37 }, ..shape(200, 200, 1, 1, 20, 20) };
    for at in [70, 71, 127, 128] {
        let mut case = Case::new(a, 0, 1);
        case.v[at * 20] = f32::NAN;
        for (cpu, rounded) in cpus().flat_map(|cpu| [(cpu, false), (cpu, true)]) {
            let out = case.in_parts(cpu, rounded, 0);
            for i in 0..200 {
                assert_eq!(out[i * 20].is_nan(), (at..at + 37).contains(&i), "value {at}, query {i}, {:?}", cpu.isa());
                assert!(out[i * 20 + 1].is_finite());
            }
        }
    }
}

/// The shapes of the towers, of decoding, and of latent attention.
#[test]
fn real_shapes() {
    if cfg!(miri) {
        return;
    }
    let causal = Attention { mask: Mask::Causal { first: 100 }, ..shape(200, 300, 2, 1, 128, 128) };
    for a in [shape(729, 729, 2, 1, 72, 72), shape(1, 2000, 2, 5, 128, 128), shape(3, 500, 1, 16, 576, 512), causal] {
        for cpu in cpus() {
            Case::new(a, 7, 1).check(cpu);
        }
    }
}

#[test]
fn values_can_be_the_front_of_keys() {
    let a = shape(2, 9, 1, 4, 24, 16);
    let case = Case::new(a, 0, 3);
    let front: Vec<_> = case.k.chunks(24).flat_map(|k| &k[..16]).copied().collect();
    for cpu in cpus() {
        let mut out = vec![0.0; 2 * 4 * 16];
        let rows = |data, stride| [Rows { data, stride, head_stride: 24 }];
        attention(cpu, &a, rows(&case.q, 96)[0], &rows(&case.k, 24), &rows(&case.k, 24), &mut out);
        let separate = Case { v: front.clone(), ..Case::new(a, 0, 3) };
        assert_eq!(bits(&out), bits(&separate.all(cpu)));
    }
}

#[test]
fn nan_propagates_to_those_who_see_it() {
    let a = Attention { mask: Mask::Causal { first: 0 }, ..shape(150, 150, 1, 1, 20, 20) };
    let poison: [fn(&mut Case); 3] =
        [|c| c.q[70 * 20] = f32::NAN, |c| c.k[70 * 20 + 3] = f32::NAN, |c| c.v[70 * 20] = f32::NAN];
    for (which, poison) in poison.into_iter().enumerate() {
        let (clean, mut case) = (Case::new(a, 0, 1), Case::new(a, 0, 1));
        poison(&mut case);
        for cpu in cpus() {
            let (clean, out) = (clean.all(cpu), case.all(cpu));
            for i in 0..150 {
                let (row, clean) = (&out[i * 20..][..20], &clean[i * 20..][..20]);
                match which {
                    0 if i == 70 => assert!(row.iter().all(|y| y.is_nan())),
                    1 if i >= 70 => assert!(row.iter().all(|y| y.is_nan())),
                    2 if i >= 70 => {
                        assert!(row[0].is_nan() && bits(&row[1..]) == bits(&clean[1..]))
                    }
                    _ => assert_eq!(bits(row), bits(clean)),
                }
            }
        }
    }
}

/// Scores far apart, all of them huge or -∞ for a whole block, neither overflow nor lose the answer.
#[test]
fn extreme_scores() {
    let a = Attention { scale: 1.0, ..shape(1, 300, 1, 1, 1, 1) };
    let mut case = Case::new(a, 0, 1);
    case.q = vec![1.0];
    for (low, high) in [(-3e38, 80.0), (f32::NEG_INFINITY, 5.0), (-1000.0, 1000.0), (1e30, 3e38)] {
        case.k = (0..300).map(|j| if j == 200 { high } else { low }).collect();
        for cpu in cpus() {
            assert_eq!(case.all(cpu)[0], case.v[200], "{:?} {low} {high}", cpu.isa());
            let rounded = half::bf16::from_f32(case.v[200]).to_f32();
            assert_eq!(case.in_parts(cpu, true, 0)[0], rounded, "{:?} {low} {high}", cpu.isa());
        }
    }
    case.k.fill(f32::NEG_INFINITY);
    for cpu in cpus() {
        assert!(case.all(cpu)[0].is_nan());
    }
}

#[test]
fn without_keys_there_is_no_answer() {
    for cpu in cpus() {
        assert!(Case::new(shape(2, 0, 1, 2, 4, 4), 0, 1).all(cpu).iter().all(|y| y.is_nan()));
        assert!(Case::new(shape(0, 5, 1, 2, 4, 4), 0, 1).all(cpu).is_empty());
    }
}

#[test]
#[should_panic(expected = "keys of")]
fn lengths_must_fit() {
    let rows = |data| Rows { data, stride: 4, head_stride: 4 };
    let a = shape(1, 3, 1, 1, 4, 4);
    attention(Cpu::detect(), &a, rows(&[0.0; 4]), &[rows(&[0.0; 11])], &[rows(&[0.0; 12])], &mut [0.0; 4]);
}

#[test]
#[should_panic(expected = "bias of")]
fn a_bias_must_fit() {
    let rows = |data| Rows { data, stride: 4, head_stride: 4 };
    let bias = Some(GridBias { lines: &[0.0; 2], columns: &[0.0; 1], across: 2 });
    let a = Attention { bias, ..shape(1, 4, 1, 1, 4, 4) };
    attention(Cpu::detect(), &a, rows(&[0.0; 4]), &[rows(&[0.0; 16])], &[rows(&[0.0; 16])], &mut [0.0; 4]);
}
