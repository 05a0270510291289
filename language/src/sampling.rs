//! From logits to the next token.
//!
//! The order and the rules are those of the transformers library's logits processors: repetition penalty, no-repeat
//! n-gram, temperature, top-k, top-p, min-p, softmax.

use crate::{Error, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::HashSet;

/// How tokens are chosen. Greedy, unless a temperature is given.
///
/// ```
/// # use seekvl_language::Sampling;
/// let sampling = Sampling::greedy().temperature(0.4)?.top_p(0.9)?.repetition_penalty(1.1)?.seed(7);
/// # Ok::<(), seekvl_language::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    no_repeat_ngram: Option<usize>,
    seed: u64,
}

impl Sampling {
    /// Always the most probable token; of equal ones the first.
    pub fn greedy() -> Self {
        Self::default()
    }

    /// Draws tokens, from logits divided by the temperature. 0 is greedy.
    ///
    /// # Errors
    /// A negative or non-finite value.
    pub fn temperature(self, value: f32) -> Result<Self> {
        check("temperature", value, value >= 0.0, "a finite number, 0 or more")?;
        Ok(Self { temperature: (value > 0.0).then_some(value), ..self })
    }

    /// Draws only from the `value` most probable tokens, and those as probable as the last of them. 0 is no limit.
    pub fn top_k(self, value: usize) -> Self {
        Self { top_k: (value > 0).then_some(value), ..self }
    }

    /// Draws only from the smallest set of most probable tokens whose probabilities reach `value`. 1 is no limit.
    ///
    /// # Errors
    /// A value outside 0 to 1.
    pub fn top_p(self, value: f32) -> Result<Self> {
        check("top_p", value, (0.0..=1.0).contains(&value), "a number from 0 to 1")?;
        Ok(Self { top_p: (value < 1.0).then_some(value), ..self })
    }

    /// Draws only from tokens that are at least `value` times as probable as the most probable. 0 is no limit.
    ///
    /// # Errors
    /// A value outside 0 to 1.
    pub fn min_p(self, value: f32) -> Result<Self> {
        check("min_p", value, (0.0..=1.0).contains(&value), "a number from 0 to 1")?;
        Ok(Self { min_p: (value > 0.0).then_some(value), ..self })
    }

    /// Divides the positive logits, and multiplies the negative ones, of every token of the prompt and the answer so
    /// far. 1 is no penalty.
    ///
    /// # Errors
    /// A value that is not finite and more than 0.
    pub fn repetition_penalty(self, value: f32) -> Result<Self> {
        check("repetition_penalty", value, value > 0.0, "a finite number more than 0")?;
        Ok(Self { repetition_penalty: (value != 1.0).then_some(value), ..self })
    }

    /// Never completes a run of `value` tokens that prompt and answer already hold. 0 is no ban. Where every token is
    /// banned, none is.
    pub fn no_repeat_ngram(self, value: usize) -> Self {
        Self { no_repeat_ngram: (value > 0).then_some(value), ..self }
    }

    /// Where random numbers start. The same seed draws the same tokens from the same logits, on every machine.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The probabilities `[vocab]` that the next token is drawn with, after prompt and answer `history`. Greedy gives
    /// all to one token.
    ///
    /// # Errors
    /// [`Error::NonFiniteLogits`].
    pub fn distribution(&self, logits: &[f32], history: &[u32]) -> Result<Vec<f32>> {
        let mut sampler = Sampler::new(self.clone(), history);
        sampler.score(logits)?;
        let scores = sampler.scores;
        let mut probabilities = vec![0.0; logits.len()];
        match self.temperature {
            None => probabilities[argmax(&scores) as usize] = 1.0,
            Some(temperature) => {
                let candidates = self.candidates(&scores, temperature);
                let total = total(&candidates);
                for candidate in candidates {
                    probabilities[candidate.id as usize] = (candidate.weight / total) as f32;
                }
            }
        }
        Ok(probabilities)
    }

    /// The tokens that may be drawn. The weight of the most probable is 1.
    fn candidates(&self, scores: &[f32], temperature: f32) -> Vec<Candidate> {
        let best = f64::from(scores[argmax(scores) as usize]);
        let threshold = self.top_k.map_or(f32::NEG_INFINITY, |k| kth_largest(scores, k));
        let mut candidates: Vec<Candidate> = (0..)
            .zip(scores)
            .filter(|&(_, &score)| score > f32::NEG_INFINITY && score >= threshold)
            .map(|(id, &score)| Candidate { id, weight: ((f64::from(score) - best) / f64::from(temperature)).exp() })
            .collect();
        if let Some(p) = self.top_p {
            keep_mass(&mut candidates, f64::from(p));
        }
        if let Some(p) = self.min_p {
            candidates.retain(|candidate| candidate.weight >= f64::from(p));
        }
        candidates
    }
}

fn check(name: &'static str, value: f32, valid: bool, expected: &'static str) -> Result<()> {
    if valid && value.is_finite() {
        return Ok(());
    }
    Err(Error::InvalidOption { name, value: value.to_string(), expected })
}

/// A token and its probability, up to a common factor.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    weight: f64,
}

fn total(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| candidate.weight).sum()
}

/// Drops the least probable candidates as long as they hold no more than `1 - p` together; of equally probable ones,
/// those with larger ids go first. One is always kept.
fn keep_mass(candidates: &mut Vec<Candidate>, p: f64) {
    candidates.sort_unstable_by(|a, b| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id)));
    let spare = (1.0 - p) * total(candidates);
    let mut dropped = 0.0;
    while let [_, .., last] = candidates[..] {
        dropped += last.weight;
        if dropped > spare {
            break;
        }
        candidates.pop();
    }
}

/// The `k`-th largest score, or the smallest where there are fewer. `k` is at least 1.
fn kth_largest(scores: &[f32], k: usize) -> f32 {
    if k >= scores.len() {
        return f32::NEG_INFINITY;
    }
    *scores.to_vec().select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

/// The first of the largest scores, none of which is NaN.
fn argmax(scores: &[f32]) -> u32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    // Several at once, since a vocabulary is long.
    let (chunks, rest) = scores.as_chunks::<32>();
    let mut largest = [f32::NEG_INFINITY; 32];
    for chunk in chunks {
        largest.iter_mut().zip(chunk).for_each(|(largest, score)| *largest = larger(*largest, *score));
    }
    let best = largest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger);
    (0..).zip(scores).find(|(_, score)| **score == best).map_or(0, |(id, _)| id)
}

/// Chooses the tokens of one sequence, and remembers them.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    history: Vec<u32>,
    /// The ids of `history`, where a penalty needs them.
    seen: HashSet<u32>,
    /// Those of the newest logits.
    scores: Vec<f32>,
}

impl Sampler {
    /// A sampler that continues `prompt`.
    pub fn new(sampling: Sampling, prompt: &[u32]) -> Self {
        // The seed is written out, so that it means the same in any version of the generator's crate.
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&sampling.seed.to_le_bytes());
        let seen = prompt.iter().copied().filter(|_| sampling.repetition_penalty.is_some()).collect();
        Self { sampling, random: ChaCha8Rng::from_seed(seed), history: prompt.to_vec(), seen, scores: Vec::new() }
    }

    /// Chooses the next token by its logits `[vocab]`, and remembers it.
    ///
    /// # Errors
    /// [`Error::NonFiniteLogits`].
    pub fn next(&mut self, logits: &[f32]) -> Result<u32> {
        self.next_of(logits, |_| ())
    }

    /// As [`next`](Self::next), after `restrict` has given negative infinity to the scores of what may not come; never
    /// to all of them.
    pub(crate) fn next_of(&mut self, logits: &[f32], restrict: impl FnOnce(&mut [f32])) -> Result<u32> {
        self.score(logits)?;
        restrict(&mut self.scores);
        let id = match self.sampling.temperature {
            None => argmax(&self.scores),
            Some(temperature) => {
                let candidates = self.sampling.candidates(&self.scores, temperature);
                // 53 random bits: every multiple of 2^-53 from 0 to 1, without 1.
                let uniform = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                draw(&candidates, uniform)
            }
        };
        self.remember(id);
        Ok(id)
    }

    /// Remembers a token that was not for it to choose.
    pub fn remember(&mut self, id: u32) {
        self.history.push(id);
        if self.sampling.repetition_penalty.is_some() {
            self.seen.insert(id);
        }
    }

    /// The most probable token by its logits `[vocab]`; the first of equals.
    pub(crate) fn most_probable(logits: &[f32]) -> u32 {
        argmax(logits)
    }

    /// Makes scores of logits: after repetition penalty and n-gram ban; what is banned has negative infinity.
    fn score(&mut self, logits: &[f32]) -> Result<()> {
        // All are looked at, which is faster than to stop at the first.
        if !logits.iter().fold(true, |finite, logit| finite & logit.is_finite()) {
            let found = (0..).zip(logits).find(|(_, logit)| !logit.is_finite());
            let (token, value) = found.map_or((0, f32::NAN), |(token, &value)| (token, value));
            return Err(Error::NonFiniteLogits { position: self.history.len(), token, value });
        }
        if logits.is_empty() {
            return Err(Error::NoLogits);
        }
        self.scores.clear();
        self.scores.extend_from_slice(logits);
        if let Some(penalty) = self.sampling.repetition_penalty {
            for &id in &self.seen {
                if let Some(score) = self.scores.get_mut(id as usize) {
                    let penalised = if *score < 0.0 { *score * penalty } else { *score / penalty };
                    *score = penalised.clamp(f32::MIN, f32::MAX);
                }
            }
        }
        if let Some(n) = self.sampling.no_repeat_ngram {
            self.ban_ngrams(n);
        }
        Ok(())
    }

    fn ban_ngrams(&mut self, n: usize) {
        let Some(start) = (self.history.len() + 1).checked_sub(n) else { return };
        let (before, scores) = (&self.history[start..], &mut self.scores);
        let banned: HashSet<u32> =
            self.history.windows(n).filter(|ngram| ngram.starts_with(before)).map(|ngram| ngram[n - 1]).collect();
        if banned.iter().filter(|&&id| (id as usize) < scores.len()).count() == scores.len() {
            return;
        }
        for id in banned {
            if let Some(score) = scores.get_mut(id as usize) {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// The candidate at `uniform`, from 0 to 1, of the whole weight.
fn draw(candidates: &[Candidate], uniform: f64) -> u32 {
    let mut rest = uniform * total(candidates);
    let chosen = candidates.iter().find(|candidate| {
        rest -= candidate.weight;
        rest < 0.0
    });
    // Rounding may leave a crumb after the last one.
    let last = || candidates.iter().rfind(|candidate| candidate.weight > 0.0);
    chosen.or_else(last).map_or(0, |candidate| candidate.id)
}
