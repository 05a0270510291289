//! Drafting: multi-token prediction guesses a token, and the next pass of the decoder verifies it.
//!
//! A pass over a drafted token gives the logits that follow it beside those that it should have come of. If the token that
//! these choose is the drafted one, the pass was worth two; if not, its row is taken back. A row's result does not depend
//! on the rows beside it, so the answer is the same as without drafts, whatever the sampling.

use super::Slot;
use super::request::Drafts;
use crate::{Cache, Mtp, Result, Sampler, Span};
use seekvl_nn::{Tensor, with_values};

/// The drafting of one sequence.
pub(super) struct Draft {
    cache: Cache,
    /// The token after the newest one, as far as it was guessed.
    pub guess: Option<u32>,
    pub counts: Drafts,
}

impl Draft {
    pub fn new(mtp: &Mtp) -> Self {
        Self { cache: mtp.new_cache(), guess: None, counts: Drafts::default() }
    }
}

impl Slot<'_> {
    /// The drafted token that goes through the decoder together with the newest one.
    pub(super) fn guess(&self) -> Option<u32> {
        self.draft.as_ref()?.guess
    }

    /// The ids at `positions` of prompt and answer.
    fn ids(&self, positions: std::ops::Range<usize>) -> impl Iterator<Item = u32> {
        let answer = self.answer.tokens.iter().map(|token| token.id);
        self.prompt.ids().iter().copied().chain(answer).skip(positions.start).take(positions.len())
    }

    /// Whether there is room for a drafted token and for one that follows it.
    fn wants_draft(&self) -> bool {
        self.is_live()
            && self.unread() == 0
            && self.answer.remaining() > 1
            && self.cache.len() + 2 <= self.cache.limit()
    }
}

/// Lets `mtp` read what the decoder has read in this pass, and guess. `rows` are those of the pass, of each slot, packed
/// in `hidden` `[all rows, hidden]`; `starts` the lengths of the caches before it.
pub(super) fn draft(
    mtp: &Mtp,
    slots: &mut [Slot<'_>],
    rows: &[usize],
    starts: &[usize],
    hidden: &Tensor,
) -> Result<()> {
    let (mut states, mut ids, mut positions, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut spans = Vec::new();
    let mut first = 0;
    for ((slot, &rows), &start) in slots.iter_mut().zip(rows).zip(starts) {
        let (from, end) = (first, slot.cache.len());
        first += rows;
        let (kept, is_live, wants) = (end.saturating_sub(start), slot.is_live(), slot.wants_draft());
        if kept == 0 || !is_live || slot.draft.is_none() {
            continue;
        }
        let form = slot.form(start);
        states.push(hidden.narrow(0, from, kept)?);
        ids.extend(slot.ids(start + 1..end + 1));
        positions.extend(start + 1..end + 1);
        if let Some(draft) = &mut slot.draft {
            draft.guess = None;
            ends.push((ids.len() - 1, wants.then_some(&mut draft.guess)));
            spans.push(Span { rows: kept, cache: &mut draft.cache, form });
        }
    }
    if states.is_empty() {
        return Ok(());
    }
    let states = mtp.forward(&Tensor::cat(&states, 0)?, &ids, &positions, &mut spans, &mut ())?;
    for (row, guess) in ends {
        if let Some(guess) = guess {
            *guess = Some(with_values(&mtp.logits(&states.narrow(0, row, 1)?)?, Sampler::most_probable)?);
        }
    }
    Ok(())
}
