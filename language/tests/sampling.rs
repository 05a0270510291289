//! Sampling, against the reference and against a plain restatement of the transformers library's rules.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use safetensors::SafeTensors;
use seekvl_language::{Error, Sampler, Sampling};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const CHECKPOINTS: [&str; 3] = ["vl2-tiny-like", "vl2-small-like", "vl2-base-like"];

fn golden(checkpoint: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference");
    fs::read(Path::new(path).join(checkpoint).join("golden.safetensors")).unwrap()
}

fn f32s(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let bytes = tensors.tensor(name).unwrap().data();
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn ids(tensors: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let bytes = tensors.tensor(name).unwrap().data();
    bytes.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()) as u32).collect()
}

/// The prompt of `one_image` and the logits after it.
fn one_image(tensors: &SafeTensors<'_>) -> (Vec<u32>, Vec<f32>) {
    let vocab = *tensors.tensor("one_image.tail_logits").unwrap().shape().last().unwrap();
    let tail = f32s(tensors, "one_image.tail_logits");
    (ids(tensors, "one_image.input_ids"), tail[tail.len() - vocab..].to_vec())
}

#[test]
fn the_distribution_is_the_reference_s() {
    let sampling =
        Sampling::greedy().repetition_penalty(1.1).unwrap().temperature(0.4).unwrap().top_k(50).top_p(0.9).unwrap();
    for checkpoint in CHECKPOINTS {
        let bytes = golden(checkpoint);
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let (prompt, logits) = one_image(&tensors);
        let expected = f32s(&tensors, "one_image.sampling_probs");
        let found = sampling.distribution(&logits, &prompt).unwrap();
        assert_eq!(found.len(), expected.len());
        let kept = |p: &[f32]| p.iter().filter(|p| **p > 0.0).count();
        assert_eq!(kept(&found), kept(&expected), "{checkpoint}");
        for (id, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!((found - expected).abs() < 1e-6, "{checkpoint}, token {id}: {found} for {expected}");
        }
    }
}

#[test]
fn greedy_is_the_reference_s() {
    for checkpoint in CHECKPOINTS {
        let bytes = golden(checkpoint);
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let (prompt, logits) = one_image(&tensors);
        let first = ids(&tensors, "one_image.greedy_ids")[0];
        assert_eq!(Sampler::new(Sampling::greedy(), &prompt).next(&logits).unwrap(), first);
        let distribution = Sampling::greedy().distribution(&logits, &prompt).unwrap();
        assert_eq!(distribution[first as usize], 1.0);
        assert_eq!(distribution.iter().sum::<f32>(), 1.0);
    }
}

/// The transformers library's `RepetitionPenaltyLogitsProcessor`, `NoRepeatNGramLogitsProcessor`, `Temperature-`,
/// `TopK-`, `TopP-` and `MinPLogitsWarper`, restated over whole sorted vectors.
#[derive(Clone, Copy, Debug)]
struct Rules {
    penalty: f32,
    ngram: usize,
    temperature: f32,
    top_k: usize,
    top_p: f32,
    min_p: f32,
}

impl Rules {
    fn sampling(self) -> Sampling {
        let sampling = Sampling::greedy().repetition_penalty(self.penalty).unwrap().no_repeat_ngram(self.ngram);
        let sampling = sampling.temperature(self.temperature).unwrap().top_k(self.top_k);
        sampling.top_p(self.top_p).unwrap().min_p(self.min_p).unwrap()
    }

    /// Whether no choice hangs on rounding: no two logits are almost the same, and no threshold almost met.
    fn are_clear(self, logits: &[f32], history: &[u32]) -> bool {
        let mut sorted = logits.to_vec();
        sorted.sort_by(f32::total_cmp);
        let moved = |share: f32, by: f32| if share > 0.0 && share < 1.0 { (share + by).clamp(0.0, 1.0) } else { share };
        let kept = |by: f32| -> Vec<bool> {
            let rules = Self { top_p: moved(self.top_p, by), min_p: moved(self.min_p, by), ..self };
            rules.distribution(logits, history).into_iter().map(|probability| probability > 0.0).collect()
        };
        sorted.windows(2).all(|pair| pair[1] - pair[0] > 1e-5) && kept(1e-5) == kept(-1e-5)
    }

    fn distribution(self, logits: &[f32], history: &[u32]) -> Vec<f64> {
        let mut scores: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        for id in history.iter().collect::<BTreeSet<_>>() {
            let score = &mut scores[*id as usize];
            *score *= if *score < 0.0 { f64::from(self.penalty) } else { 1.0 / f64::from(self.penalty) };
        }
        if self.ngram > 0 && history.len() + 1 >= self.ngram {
            let before = &history[history.len() + 1 - self.ngram..];
            for end in self.ngram..=history.len() {
                let ngram = &history[end - self.ngram..end];
                if &ngram[..self.ngram - 1] == before {
                    scores[ngram[self.ngram - 1] as usize] = f64::NEG_INFINITY;
                }
            }
        }
        scores.iter_mut().for_each(|score| *score /= f64::from(self.temperature));
        if self.top_k > 0 {
            let mut sorted = scores.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let smallest = sorted[self.top_k.min(sorted.len()) - 1];
            scores.iter_mut().filter(|score| **score < smallest).for_each(|score| *score = f64::NEG_INFINITY);
        }
        if self.top_p < 1.0 {
            let probabilities = softmax(&scores);
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
            let mut below = 0.0;
            for &id in &order[..order.len() - 1] {
                below += probabilities[id];
                if below <= 1.0 - f64::from(self.top_p) {
                    scores[id] = f64::NEG_INFINITY;
                }
            }
        }
        if self.min_p > 0.0 {
            let probabilities = softmax(&scores);
            let best = probabilities.iter().copied().fold(0.0, f64::max);
            for (score, probability) in scores.iter_mut().zip(probabilities) {
                if probability < f64::from(self.min_p) * best {
                    *score = f64::NEG_INFINITY;
                }
            }
        }
        softmax(&scores)
    }
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - best).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

prop_compose! {
    fn rules()(
        penalty in prop_oneof![Just(1.0f32), 0.5f32..2.0],
        ngram in 0usize..4,
        temperature in 0.2f32..3.0,
        top_k in 0usize..40,
        top_p in prop_oneof![Just(1.0f32), Just(0.0), 0.0f32..1.0],
        min_p in prop_oneof![Just(0.0f32), Just(1.0), 0.0f32..0.5],
    ) -> Rules {
        Rules { penalty, ngram, temperature, top_k, top_p, min_p }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_rules_are_the_library_s(
        rules in rules(),
        logits in prop::collection::vec(-8.0f32..8.0, 24),
        history in prop::collection::vec(0u32..6, 0..20),
    ) {
        let expected = rules.distribution(&logits, &history);
        prop_assume!(rules.are_clear(&logits, &history));
        let found = rules.sampling().distribution(&logits, &history).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} for {expected}");
        }
        // What is drawn has a probability.
        let id = Sampler::new(rules.sampling(), &history).next(&logits).unwrap();
        prop_assert!(found[id as usize] > 0.0);
    }

    #[test]
    fn any_finite_logits_give_a_distribution(
        logits in prop::collection::vec(any::<f32>().prop_filter("finite", |x| x.is_finite()), 1..12),
        penalty in prop_oneof![Just(f32::MIN_POSITIVE), Just(f32::MAX), 0.1f32..10.0],
        temperature in prop_oneof![Just(0.0), Just(1e-45f32), Just(f32::MAX), 0.1f32..10.0],
        ngram in 0usize..3,
    ) {
        let sampling = Sampling::greedy().repetition_penalty(penalty).unwrap().temperature(temperature).unwrap();
        let history: Vec<u32> = (0..12).chain(0..12).collect();
        let sum: f32 = sampling.no_repeat_ngram(ngram).distribution(&logits, &history).unwrap().iter().sum();
        prop_assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}

#[test]
fn draws_follow_the_distribution_and_the_seed() {
    let sampling = Sampling::greedy().temperature(1.0).unwrap().top_k(3);
    let logits = [0.5, -1.0, 2.0, 1.0, f32::MIN];
    let expected = sampling.distribution(&logits, &[]).unwrap();
    let draw = |seed, count| {
        let mut sampler = Sampler::new(sampling.clone().seed(seed), &[]);
        (0..count).map(|_| sampler.next(&logits).unwrap()).collect::<Vec<_>>()
    };
    let drawn = draw(1, 20_000);
    for (id, expected) in (0..).zip(expected) {
        let share = drawn.iter().filter(|drawn| **drawn == id).count() as f32 / 20_000.0;
        assert!((share - expected).abs() < 0.015, "token {id}: {share} for {expected}");
    }
    assert_eq!(draw(1, 100), drawn[..100]);
    assert_ne!(draw(2, 100), drawn[..100]);
    // Held fast: the same on every machine, in every version.
    assert_eq!(draw(1, 12), DRAWN_BY_SEED_1);
}

/// Worked out from the definition of ChaCha8, apart from this code.
const DRAWN_BY_SEED_1: [u32; 12] = [2, 2, 3, 3, 3, 0, 2, 3, 2, 2, 3, 2];

#[test]
fn equal_logits_keep_their_order_and_stay_together() {
    let logits = [1.0, 3.0, 3.0, 0.0, 3.0];
    assert_eq!(Sampler::new(Sampling::greedy(), &[]).next(&logits).unwrap(), 1);
    let kept = |sampling: Sampling| {
        let distribution = sampling.distribution(&logits, &[]).unwrap();
        (0..5).filter(|&id| distribution[id] > 0.0).collect::<Vec<_>>()
    };
    assert_eq!(kept(Sampling::greedy().temperature(1.0).unwrap().top_k(1)), [1, 2, 4]);
    assert_eq!(kept(Sampling::greedy().temperature(1.0).unwrap().top_k(100)), [0, 1, 2, 3, 4]);
    assert_eq!(kept(Sampling::greedy().temperature(1.0).unwrap().top_p(0.5).unwrap()), [1, 2]);
    assert_eq!(kept(Sampling::greedy().temperature(1.0).unwrap().min_p(1.0).unwrap()), [1, 2, 4]);
}

#[test]
fn no_repeat_ngram_bans_what_would_repeat() {
    let logits = [3.0, 2.0, 1.0, 0.0];
    let next = |n, history: &[u32]| Sampler::new(Sampling::greedy().no_repeat_ngram(n), history).next(&logits).unwrap();
    assert_eq!(next(1, &[0, 2]), 1);
    assert_eq!(next(2, &[1, 0, 1]), 1);
    assert_eq!(next(2, &[0, 0, 0]), 1);
    assert_eq!(next(3, &[3, 1, 0, 3, 1]), 1);
    assert_eq!(next(3, &[3, 1, 0, 1, 3]), 0);
    assert_eq!(next(9, &[0, 0, 0]), 0);
    assert_eq!(next(1, &[0, 1, 2, 3]), 0);
}

#[test]
fn logits_that_are_no_numbers_are_errors() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for sampling in [Sampling::greedy(), Sampling::greedy().temperature(1.0).unwrap().top_k(2)] {
            let error = Sampler::new(sampling, &[5, 6, 7]).next(&[0.0, bad, 1.0]).unwrap_err();
            assert!(matches!(error, Error::NonFiniteLogits { position: 3, token: 1, .. }), "{error}");
        }
    }
    assert!(matches!(Sampling::greedy().distribution(&[], &[]), Err(Error::NoLogits)));
}

#[test]
fn options_are_checked() {
    let greedy = Sampling::greedy;
    for (result, message) in [
        (greedy().temperature(-1.0), "temperature is -1"),
        (greedy().temperature(f32::NAN), "temperature is NaN"),
        (greedy().temperature(f32::INFINITY), "temperature is inf"),
        (greedy().top_p(1.5), "top_p is 1.5"),
        (greedy().min_p(-0.1), "min_p is -0.1"),
        (greedy().repetition_penalty(0.0), "repetition_penalty is 0"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
