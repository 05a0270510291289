//! Answers that go round in circles.

use crate::{Error, Result};

/// The longest cycle that can be looked for.
const MAX_PERIOD: usize = 1 << 16;

/// When an answer counts as stuck: its end is one cycle of tokens over and over.
///
/// Answers repeat themselves for good reasons too: rules and empty rows of tables, columns of zeros, dotted lines. So a
/// cycle must both come round `min_repeats` times and fill `min_tokens` tokens: a long one is suspicious after a few
/// rounds, a short one only after many. Loops that change as they go (a counter in a repeated sentence) are not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepetitionGuard {
    max_period: usize,
    min_repeats: usize,
    min_tokens: usize,
}

impl Default for RepetitionGuard {
    /// Cycles of up to 256 tokens that come round at least 6 times and fill at least 128 tokens: one token 128 times, a
    /// row of 10 tokens 13 times, a paragraph of 100 tokens 6 times.
    fn default() -> Self {
        Self { max_period: 256, min_repeats: 6, min_tokens: 128 }
    }
}

impl RepetitionGuard {
    /// Cycles of up to `max_period` tokens that come round at least `min_repeats` times and fill at least `min_tokens`.
    ///
    /// # Errors
    /// A `max_period` outside 1 to 65536, or `min_repeats` less than 2.
    pub fn new(max_period: usize, min_repeats: usize, min_tokens: usize) -> Result<Self> {
        if !(1..=MAX_PERIOD).contains(&max_period) {
            let expected = "a number of tokens from 1 to 65536";
            return Err(Error::InvalidOption { name: "max_period", value: max_period.to_string(), expected });
        }
        if min_repeats < 2 {
            let value = min_repeats.to_string();
            return Err(Error::InvalidOption { name: "min_repeats", value, expected: "2 or more" });
        }
        Ok(Self { max_period, min_repeats, min_tokens })
    }
}

/// Looks for a cycle at the end of a growing sequence, in time proportional to the longest period for each token.
#[derive(Clone, Debug)]
pub(crate) struct RepetitionDetector {
    guard: RepetitionGuard,
    ids: Vec<u32>,
    /// Entry `p - 1`: how many ids at the end equal the one `p` before them, without a gap.
    matches: Vec<usize>,
}

impl RepetitionDetector {
    pub fn new(guard: RepetitionGuard) -> Self {
        Self { guard, ids: Vec::new(), matches: vec![0; guard.max_period] }
    }

    /// Takes the next id. If the sequence is now stuck: how many ids to keep, which is up to the end of the cycle's
    /// first round.
    pub fn push(&mut self, id: u32) -> Option<usize> {
        let before = self.ids.len();
        self.ids.push(id);
        let mut found = None;
        for (period, matches) in (1..=before).zip(&mut self.matches) {
            *matches = if self.ids[before - period] == id { *matches + 1 } else { 0 };
            let filled = *matches + period;
            let stuck = filled >= self.guard.min_tokens && filled / period >= self.guard.min_repeats;
            // The shortest period is the cycle itself, others go round it several times.
            if stuck && found.is_none() {
                found = Some(self.ids.len() - *matches);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The number of ids at which the guard strikes, and how many it keeps.
    fn strike(guard: RepetitionGuard, ids: impl IntoIterator<Item = u32>) -> Option<(usize, usize)> {
        let mut detector = RepetitionDetector::new(guard);
        (1..).zip(ids).find_map(|(count, id)| detector.push(id).map(|keep| (count, keep)))
    }

    fn repeated(prefix: &[u32], cycle: &[u32], times: usize) -> Vec<u32> {
        prefix.iter().chain(cycle.iter().cycle().take(cycle.len() * times)).copied().collect()
    }

    #[test]
    fn loops_are_cut_after_their_first_round() {
        let guard = RepetitionGuard::default();
        assert_eq!(strike(guard, repeated(&[7, 8], &[1], 1000)), Some((2 + 128, 2 + 1)));
        assert_eq!(strike(guard, repeated(&[7, 8], &[1, 2], 1000)), Some((2 + 128, 2 + 2)));
        let sentence: Vec<u32> = (100..140).collect();
        assert_eq!(strike(guard, repeated(&[7; 20], &sentence, 1000)), Some((20 + 6 * 40, 20 + 40)));
        let paragraph: Vec<u32> = (100..356).collect();
        assert_eq!(strike(guard, repeated(&[], &paragraph, 1000)), Some((6 * 256, 256)));
    }

    #[test]
    fn what_tables_and_forms_hold_is_let_through() {
        let guard = RepetitionGuard::default();
        // The rule under a table's head: 30 columns of `---|`.
        assert_eq!(strike(guard, repeated(&[5], &[1, 2], 30)), None);
        // Ten rows of twelve zeros and bars.
        assert_eq!(strike(guard, repeated(&[5], &[1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 3], 10)), None);
        // A hundred dots up to the page number.
        assert_eq!(strike(guard, repeated(&[5], &[1], 100)), None);
        // Rows that differ in one place only, forever.
        assert_eq!(strike(guard, (0..1000u32).flat_map(|row| [1, 2, 3, 100 + row, 4])), None);
        // A cycle longer than is looked for.
        assert_eq!(strike(guard, repeated(&[], &(0..257).collect::<Vec<_>>(), 20)), None);
    }

    #[test]
    fn a_broken_loop_starts_anew() {
        let guard = RepetitionGuard::new(4, 3, 0).unwrap();
        assert_eq!(strike(guard, [1, 2, 1, 2, 1, 3, 1, 2, 1, 2]), None);
        assert_eq!(strike(guard, [1, 2, 1, 2, 1, 3, 1, 2, 1, 2, 1, 2]), Some((12, 8)));
    }

    #[test]
    fn options_are_checked() {
        assert!(RepetitionGuard::new(0, 3, 1).unwrap_err().to_string().contains("max_period is 0"));
        assert!(RepetitionGuard::new(usize::MAX, 3, 1).is_err());
        assert!(RepetitionGuard::new(1, 1, 1).unwrap_err().to_string().contains("min_repeats is 1"));
    }

    /// The definition: the end of `ids` is a cycle that comes round often enough; what is kept, for the shortest.
    fn by_definition(guard: RepetitionGuard, ids: &[u32]) -> Option<usize> {
        (1..=guard.max_period.min(ids.len().saturating_sub(1))).find_map(|period| {
            let start = (0..ids.len() - period)
                .find(|&start| (start..ids.len() - period).all(|i| ids[i] == ids[i + period]))?;
            let filled = ids.len() - start;
            (filled >= guard.min_tokens && filled / period >= guard.min_repeats).then_some(start + period)
        })
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(
            ids in prop::collection::vec(0u32..2, 1..40), period in 1usize..6, repeats in 2usize..5, tokens in 0usize..12,
        ) {
            let guard = RepetitionGuard::new(period, repeats, tokens).unwrap();
            let mut detector = RepetitionDetector::new(guard);
            for count in 1..=ids.len() {
                prop_assert_eq!(detector.push(ids[count - 1]), by_definition(guard, &ids[..count]));
            }
        }
    }
}
