//! Which experts a token is sent to, and how much each counts. One router for every routing.

use crate::Result;
use seekvl_nn::{DType, Loader, Tensor, Weight, to_vec};
use std::cmp::Ordering;

/// How experts are chosen and weighed.
///
/// The score of an expert is the softmax or the sigmoid of its logit. Experts are chosen by score, plus a correction
/// where there is one: first the best groups of neighbouring experts, if there are groups, then the best experts of
/// those groups. Their weights are their scores, without the correction; normalised if so wished, and scaled.
///
/// So DeepSeek-V2 (softmax; its large model keeps the groups with the best expert) and DeepSeek-V3 (sigmoid,
/// corrected; groups with the best sum of two).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouterSpec {
    /// Experts to choose from.
    pub experts: usize,
    /// Experts chosen for each token.
    pub top_k: usize,
    /// What turns logits into scores.
    pub score: Score,
    /// Whether a learned number for each expert is added to its score for the choice alone.
    pub correction: bool,
    /// The groups that the choice is limited by.
    pub groups: Option<Groups>,
    /// Whether the weights are divided by their sum (where more than one expert is chosen).
    pub normalise: bool,
    /// Factor on the weights.
    pub scale: f32,
}

/// What turns a router's logits into scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// Softmax over all experts.
    Softmax,
    /// The logistic function of each.
    Sigmoid,
}

/// Groups of neighbouring experts, of which a token chooses from the best few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Number of groups; divides the number of experts.
    pub count: usize,
    /// How many of them a token chooses from.
    pub kept: usize,
    /// What ranks them.
    pub rank: GroupRank,
}

/// What ranks a group of experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRank {
    /// The score of its best expert.
    Best,
    /// The sum of the scores of its best two.
    BestTwo,
}

/// The experts of some tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// Experts for each token.
    pub top_k: usize,
    /// Their indices, `[tokens, top_k]`, the best first.
    pub ids: Vec<u32>,
    /// What each counts, `[tokens, top_k]`.
    pub weights: Vec<f32>,
}

impl RouterSpec {
    /// Routes tokens by their logits `[tokens, experts]`, with the `correction` `[experts]` if there is one.
    ///
    /// Of equals the lower index wins. A score that is not a number counts as the highest, so that it shows in the
    /// output instead of hiding an expert.
    ///
    /// # Panics
    /// If the specification is not one that [`DecoderSpec::check`](crate::DecoderSpec::check) passes, or `correction`
    /// is of another length.
    pub fn route(&self, logits: &[f32], correction: Option<&[f32]>) -> Routing {
        let mut routing = Routing { top_k: self.top_k, ..Routing::default() };
        for logits in logits.chunks_exact(self.experts) {
            let scores = self.score.of(logits);
            let choice = match correction {
                None => scores.clone(),
                Some(correction) => {
                    assert_eq!(correction.len(), self.experts, "one correction for each expert");
                    scores.iter().zip(correction).map(|(score, correction)| score + correction).collect()
                }
            };
            let chosen = best(&choice, self.candidates(&choice), self.top_k);
            let sum = match self.normalise && self.top_k > 1 {
                true => chosen.iter().map(|&expert| scores[expert]).sum::<f32>() + 1e-20,
                false => 1.0,
            };
            routing.ids.extend(chosen.iter().map(|&expert| expert as u32));
            routing.weights.extend(chosen.iter().map(|&expert| scores[expert] / sum * self.scale));
        }
        routing
    }

    /// The experts of the best groups.
    fn candidates(&self, choice: &[f32]) -> Vec<usize> {
        let Some(groups) = self.groups else { return (0..self.experts).collect() };
        let size = self.experts / groups.count;
        let counted = match groups.rank {
            GroupRank::Best => 1,
            GroupRank::BestTwo => 2.min(size),
        };
        let ranks: Vec<f32> = (0..groups.count)
            .map(|group| best(choice, (group * size..(group + 1) * size).collect(), counted))
            .map(|experts| experts.iter().map(|&expert| choice[expert]).sum())
            .collect();
        let kept = best(&ranks, (0..groups.count).collect(), groups.kept);
        kept.into_iter().flat_map(|group| group * size..(group + 1) * size).collect()
    }
}

impl Score {
    fn of(self, logits: &[f32]) -> Vec<f32> {
        match self {
            Score::Sigmoid => logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
            Score::Softmax => {
                let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut scores: Vec<f32> = logits.iter().map(|logit| (logit - max).exp()).collect();
                let sum: f32 = scores.iter().sum();
                scores.iter_mut().for_each(|score| *score /= sum);
                scores
            }
        }
    }
}

/// The `count` candidates with the highest values, the best first.
fn best(values: &[f32], mut candidates: Vec<usize>, count: usize) -> Vec<usize> {
    let order = |a: &usize, b: &usize| descending(values[*a], values[*b]).then(a.cmp(b));
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, order);
        candidates.truncate(count);
    }
    candidates.sort_unstable_by(order);
    candidates
}

/// NaN first, whatever its sign; both zeros equal.
fn descending(a: f32, b: f32) -> Ordering {
    b.is_nan().cmp(&a.is_nan()).then(b.partial_cmp(&a).unwrap_or(Ordering::Equal))
}

/// A router and its weights. It works in `f32` whatever the other weights are.
pub(crate) struct Router {
    spec: RouterSpec,
    weight: Weight,
    correction: Option<Vec<f32>>,
}

impl Router {
    /// From `weight` and, if there is a correction, `e_score_correction_bias`.
    pub fn load(loader: &Loader, hidden: usize, spec: RouterSpec) -> Result<Self> {
        let correction = match spec.correction {
            true => Some(to_vec(&loader.tensor("e_score_correction_bias", &[spec.experts])?)?),
            false => None,
        };
        Ok(Self { spec, weight: loader.weight_f32("weight", &[spec.experts, hidden])?, correction })
    }

    /// The experts of each row of `x`: `[tokens, hidden]`.
    pub fn route(&self, x: &Tensor) -> Result<Routing> {
        let logits = to_vec(&self.weight.apply(&x.to_dtype(DType::F32)?, None)?)?;
        Ok(self.spec.route(&logits, self.correction.as_deref()))
    }
}

#[cfg(test)]
mod tests;
