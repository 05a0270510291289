//! Log-probabilities of tokens.

use serde::Serialize;

/// A token and its log-probability (natural logarithm).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LogProb {
    /// The token.
    pub id: u32,
    /// Its log-probability, 0 or less.
    pub logprob: f32,
}

/// Log-probabilities by the model itself: the log-softmax of its logits, before any penalty, ban, temperature or limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogProbs {
    /// Of the chosen token.
    pub chosen: f32,
    /// Of the most probable tokens, falling; among equal ones the smaller id first.
    pub top: Vec<LogProb>,
}

impl LogProbs {
    /// Of finite `logits` `[vocab]`: the token `chosen`, and the `top` most probable (all, where there are fewer).
    pub(crate) fn new(logits: &[f32], chosen: u32, top: usize) -> Self {
        let best = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - best).exp()).sum();
        let normaliser = best + sum.ln();
        let logprob = |id: u32| (f64::from(logits[id as usize]) - normaliser) as f32;

        let order = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        let mut ids: Vec<u32> = if top == 0 { Vec::new() } else { (0..).zip(logits).map(|(id, _)| id).collect() };
        if top < ids.len() {
            ids.select_nth_unstable_by(top, order);
            ids.truncate(top);
        }
        ids.sort_unstable_by(order);
        Self { chosen: logprob(chosen), top: ids.into_iter().map(|id| LogProb { id, logprob: logprob(id) }).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_log_softmax() {
        let logits = [1.0, 3.0, -2.0, 3.0, 0.5];
        let sum: f32 = logits.iter().map(|logit: &f32| logit.exp()).sum();
        let found = LogProbs::new(&logits, 2, 3);
        assert!((found.chosen - (-2.0 - sum.ln())).abs() < 1e-6);
        assert_eq!(found.top.iter().map(|top| top.id).collect::<Vec<_>>(), [1, 3, 0]);
        assert!((found.top[2].logprob - (1.0 - sum.ln())).abs() < 1e-6);
    }

    #[test]
    fn large_logits_do_not_overflow_and_counts_are_bounded() {
        let found = LogProbs::new(&[f32::MAX, f32::MIN, 0.0], 0, 100);
        assert_eq!(found.chosen, 0.0);
        assert_eq!(found.top.len(), 3);
        assert!(LogProbs::new(&[0.0], 0, 0).top.is_empty());
    }
}
