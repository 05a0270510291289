//! An answer in the making.

use crate::answer::{Answer, Asked};
use crate::recall::{Asking, ModelId, Recall};
use crate::thinking::{Delta, Phase, Splitter};
use crate::{Error, Result};
use seekvl_language::{Event, Generation};
use std::collections::VecDeque;

/// An answer in the making: an iterator over its text, piece by piece, never splitting a character.
///
/// Pieces are of the text as the model writes it, grounding markup included. What a model thinks before it answers is left
/// out; [`Stream::next_delta`] gives that too, and should then be used alone. An answer that went round in circles is
/// cut back in the end, so [`Stream::finish`] may give less than was streamed.
pub struct Stream<'m> {
    generation: Generation<'m>,
    asked: Asked,
    model: ModelId,
    asking: Asking,
    splitter: Splitter,
    deltas: VecDeque<Delta>,
}

impl<'m> Stream<'m> {
    pub(super) fn new(generation: Generation<'m>, asked: Asked, model: ModelId, asking: Asking) -> Self {
        Self { generation, splitter: Splitter::new(asked.thought), asked, model, asking, deltas: VecDeque::new() }
    }

    /// The next piece of what the model thinks or says, with the word which; `None` when the answer is complete.
    pub fn next_delta(&mut self) -> Option<Result<Delta>> {
        loop {
            if let Some(delta) = self.deltas.pop_front() {
                return Some(Ok(delta));
            }
            match self.generation.next() {
                Some(Ok(Event { delta, .. })) => self.deltas = self.splitter.push(&delta),
                Some(Err(error)) => return Some(Err(Error::from(error))),
                None => return self.splitter.finish().map(Ok),
            }
        }
    }

    /// The answer as it stands. One that is not finished counts as cancelled.
    ///
    /// # Panics
    /// Never: there is one request, so there is one answer.
    pub fn finish(self) -> Answer {
        self.end(None)
    }

    pub(crate) fn end(self, recall: Option<&mut Recall>) -> Answer {
        let mut completed = self.generation.into_completed();
        let (answer, cache) = Answer::new(completed.pop().expect("one request has one answer"), self.asked);
        if let Some(recall) = recall {
            recall.keep(self.model, self.asking, &answer.tokens, cache);
        }
        answer
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_delta()? {
                Ok(Delta { phase: Phase::Thinking, .. }) => {}
                Ok(Delta { text, .. }) => return Some(Ok(text)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
