//! Generation of a batch of answers.
//!
//! Each step is one pass of packed rows through the decoder: first the prompts, in chunks if asked, then one row for
//! every answer that is not finished. Answers begin and end independently of each other, and each is the same as if it
//! were alone.

mod answer;
mod budget;
mod draft;
mod request;

pub use request::{
    Cancel, Completed, Drafts, Event, FinishReason, GenerationOptions, Request, ThinkingBudget, Timings, Token,
};

use crate::{Cache, Decoder, Error, LatentForm, Mtp, Result, Span, TokenSequence, Tokenizer};
use answer::Answer;
use draft::{Draft, draft};
use seekvl_nn::Tensor;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Instant;

/// Generates answers with a decoder and its tokenizer.
#[derive(Clone, Copy)]
pub struct Engine<'m> {
    decoder: &'m Decoder,
    tokenizer: &'m Tokenizer,
    prefill_chunk: Option<NonZeroUsize>,
    mtp: Option<&'m Mtp>,
    latent_form: Option<LatentForm>,
}

impl<'m> Engine<'m> {
    /// Prompts of a batch go through the decoder in one pass.
    pub fn new(decoder: &'m Decoder, tokenizer: &'m Tokenizer) -> Self {
        Self { decoder, tokenizer, prefill_chunk: None, mtp: None, latent_form: None }
    }

    /// Lets the decoder's layer for multi-token prediction draft tokens, which the decoder verifies. Answers are the same;
    /// [`Completed::drafts`] says how many drafts were right.
    pub fn drafting(self, mtp: Option<&'m Mtp>) -> Self {
        Self { mtp, ..self }
    }

    /// Lets at most `rows` positions of prompts through the decoder at once, whatever sequences they belong to. That
    /// bounds the memory for activations and changes nothing else. 0 is no limit.
    pub fn prefill_chunk(self, rows: usize) -> Self {
        Self { prefill_chunk: NonZeroUsize::new(rows), ..self }
    }

    /// The form in which latent attention reads prompts; without one, [the cheaper](crate::AttentionSpec::cheaper_form) for
    /// the positions of a prompt that its cache does not hold.
    pub fn latent_form(self, form: impl Into<Option<LatentForm>>) -> Self {
        Self { latent_form: form.into(), ..self }
    }

    /// Checks the requests. The work is done as the [`Generation`] is iterated over.
    ///
    /// # Errors
    /// A prompt that is empty, longer than the context, or no longer than its cache; inserted rows of a wrong width;
    /// an empty stop string.
    pub fn start(&self, requests: Vec<Request>, cancel: Cancel) -> Result<Generation<'m>> {
        let slots = requests.into_iter().enumerate().map(|(sequence, request)| self.slot(sequence, request));
        let slots: Vec<Slot<'m>> = slots.collect::<Result<_>>()?;
        let mut events = VecDeque::new();
        for (sequence, slot) in slots.iter().enumerate() {
            if let Some(finish) = slot.answer.finish {
                events.push_back(Event { sequence, delta: String::new(), token: None, finish: Some(finish) });
            }
        }
        Ok(Generation { engine: *self, cancel, slots, events, failed: false, error: None })
    }

    fn slot(&self, sequence: usize, request: Request) -> Result<Slot<'m>> {
        let Request { prompt, options, cache } = request;
        let spec = self.decoder.spec();
        let cache = cache.unwrap_or_else(|| self.decoder.new_cache());
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt { sequence });
        }
        let Some(room) = spec.longest().checked_sub(prompt.len()) else {
            return Err(Error::PromptTooLong { sequence, prompt: prompt.len(), context: spec.longest() });
        };
        if cache.len() >= prompt.len() {
            return Err(Error::CacheTooLong { sequence, cached: cache.len(), prompt: prompt.len() });
        }
        let widths = prompt.inserts().iter().map(|insert| insert.rows().dims()[1]);
        if let Some(found) = widths.into_iter().find(|&width| width != spec.hidden_size) {
            return Err(Error::InsertWidth { found, hidden_size: spec.hidden_size });
        }
        let answer = Answer::new(self.tokenizer, prompt.ids(), options, room)?;
        let draft = self.mtp.map(Draft::new);
        let cached_tokens = cache.len();
        let cheaper = || spec.attention.cheaper_form(prompt.len() - cached_tokens, cached_tokens);
        let form = self.latent_form.unwrap_or_else(cheaper);
        Ok(Slot { cached_tokens, prompt, form, cache, answer, draft, timings: Timings::default() })
    }
}

/// One sequence of the batch.
struct Slot<'m> {
    prompt: TokenSequence,
    cached_tokens: usize,
    /// In which latent attention reads the prompt. It depends on nothing that other requests have a part in, nor on chunks.
    form: LatentForm,
    /// Holds the positions that went through the decoder.
    cache: Cache,
    answer: Answer<'m>,
    draft: Option<Draft>,
    timings: Timings,
}

impl Slot<'_> {
    fn is_live(&self) -> bool {
        self.answer.finish.is_none()
    }

    /// Positions of the prompt that have not gone through the decoder.
    fn unread(&self) -> usize {
        self.prompt.len().saturating_sub(self.cache.len())
    }

    /// The form for rows from position `start` on, all of the prompt or all of the answer.
    fn form(&self, start: usize) -> LatentForm {
        if start < self.prompt.len() { self.form } else { LatentForm::Absorbed }
    }

    fn complete(self) -> Completed {
        Completed {
            tokens: self.answer.tokens,
            text: self.answer.text,
            finish: self.answer.finish.unwrap_or(FinishReason::Cancelled),
            prompt_tokens: self.prompt.len(),
            cached_tokens: self.cached_tokens,
            timings: self.timings,
            drafts: self.draft.map(|draft| draft.counts).unwrap_or_default(),
            cache: self.cache,
        }
    }
}

/// Answers in the making: an iterator over what happens, step by step, until every answer is finished.
///
/// It ends after an error, as it does when it is cancelled; [`into_completed`](Self::into_completed) then still gives
/// what there is of the answers.
pub struct Generation<'m> {
    engine: Engine<'m>,
    cancel: Cancel,
    slots: Vec<Slot<'m>>,
    events: VecDeque<Event>,
    failed: bool,
    /// What made it fail, until it is told.
    error: Option<Error>,
}

impl Iterator for Generation<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            if let Some(error) = self.error.take() {
                return Some(Err(error));
            }
            if self.failed || !self.slots.iter().any(Slot::is_live) {
                return None;
            }
            if self.cancel.is_cancelled() {
                self.end_all();
            } else if let Err(error) = self.step() {
                self.failed = true;
                self.error = Some(error);
            }
        }
    }
}

impl Generation<'_> {
    /// Runs to the end; the answers in the order of the requests.
    ///
    /// # Errors
    /// Whatever the decoder or the sampler trips over, such as [`Error::NonFiniteLogits`].
    pub fn finish(mut self) -> Result<Vec<Completed>> {
        for event in &mut self {
            event?;
        }
        Ok(self.into_completed())
    }

    /// The answers as they stand, in the order of the requests. Those that are not finished count as cancelled.
    pub fn into_completed(mut self) -> Vec<Completed> {
        self.end_all();
        self.slots.into_iter().map(Slot::complete).collect()
    }

    fn end_all(&mut self) {
        for (sequence, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.is_live()) {
            let finish = FinishReason::Cancelled;
            let delta = slot.answer.end(finish);
            self.events.push_back(Event { sequence, delta, token: None, finish: Some(finish) });
        }
    }

    /// One pass through the decoder, and the tokens that come of it.
    fn step(&mut self) -> Result<()> {
        let started = Instant::now();
        let reads = self.slots.iter().any(|slot| slot.is_live() && slot.unread() > 0);
        let (rows, embeds) = if reads { self.prompt_rows()? } else { self.answer_rows()? };

        let starts: Vec<usize> = self.slots.iter().map(|slot| slot.cache.len()).collect();
        let taking_part = self.slots.iter_mut().zip(&rows).filter(|(_, rows)| **rows > 0);
        let mut spans = Vec::new();
        for (slot, &rows) in taking_part {
            spans.push(Span { rows, form: slot.form(slot.cache.len()), cache: &mut slot.cache });
        }
        let hidden = self.engine.decoder.forward(&embeds, &mut spans, &mut ())?;
        self.sample(&rows, &hidden)?;
        if let Some(mtp) = self.engine.mtp {
            draft(mtp, &mut self.slots, &rows, &starts, &hidden)?;
        }

        let time = started.elapsed();
        for (slot, _) in self.slots.iter_mut().zip(&rows).filter(|(_, rows)| **rows > 0) {
            *(if reads { &mut slot.timings.prefill } else { &mut slot.timings.decode }) += time;
        }
        Ok(())
    }

    /// The next chunk of the prompts: how many rows of each sequence, and their embeddings, packed.
    fn prompt_rows(&self) -> Result<(Vec<usize>, Tensor)> {
        let mut budget = self.engine.prefill_chunk.map_or(usize::MAX, NonZeroUsize::get);
        let mut embeds = Vec::new();
        let mut rows = vec![0; self.slots.len()];
        for (slot, rows) in self.slots.iter().zip(&mut rows).filter(|(slot, _)| slot.is_live()) {
            *rows = slot.unread().min(budget);
            budget -= *rows;
            if *rows > 0 {
                let start = slot.cache.len();
                embeds.push(slot.prompt.embeddings(self.engine.decoder, start..start + *rows)?);
            }
        }
        Ok((rows, Tensor::cat(&embeds, 0)?))
    }

    /// The newest token of every answer that goes on, and the drafted one after it: how many rows of each sequence, and
    /// their embeddings, packed.
    fn answer_rows(&self) -> Result<(Vec<usize>, Tensor)> {
        let (mut rows, mut ids) = (vec![0; self.slots.len()], Vec::new());
        for (slot, rows) in self.slots.iter().zip(&mut rows).filter(|(slot, _)| slot.is_live()) {
            let before = ids.len();
            ids.extend(slot.answer.tokens.last().map(|token| token.id));
            ids.extend(slot.guess());
            *rows = ids.len() - before;
        }
        Ok((rows, self.engine.decoder.embed(&ids)?))
    }

    /// Tokens for every sequence of the pass that has read its whole prompt: one, and another where a draft was right.
    fn sample(&mut self, rows: &[usize], hidden: &Tensor) -> Result<()> {
        let (mut end, mut sequences, mut last) = (0, Vec::new(), Vec::new());
        for (sequence, &rows) in rows.iter().enumerate().filter(|(_, rows)| **rows > 0) {
            end += rows;
            let slot = &self.slots[sequence];
            if slot.unread() == 0 {
                let wanted = 1 + usize::from(slot.guess().is_some());
                sequences.push((sequence, wanted));
                last.push(hidden.narrow(0, end - wanted, wanted)?);
            }
        }
        if last.is_empty() {
            return Ok(());
        }
        let last = Tensor::cat(&last, 0)?;
        let logits = self.engine.decoder.logits(&last)?;
        let vocab = self.engine.decoder.spec().vocab_size;
        seekvl_nn::with_values(&logits, |logits| {
            let mut logits = logits.chunks_exact(vocab);
            for (sequence, wanted) in sequences {
                let (now, after_draft) = (logits.next(), if wanted > 1 { logits.next() } else { None });
                let Some(now) = now else { return Err(Error::NoLogits) };
                let chosen = self.advance(sequence, now)?;
                if let Some(after_draft) = after_draft {
                    self.verify(sequence, chosen, after_draft)?;
                }
            }
            Ok(())
        })?
    }

    /// Takes back the row of a drafted token that was not chosen, or goes on with the logits that follow it.
    fn verify(&mut self, sequence: usize, chosen: u32, after_draft: &[f32]) -> Result<()> {
        let slot = &mut self.slots[sequence];
        let Some(draft) = &mut slot.draft else { return Ok(()) };
        draft.counts.proposed += 1;
        if draft.guess != Some(chosen) || slot.answer.finish.is_some() {
            slot.cache.truncate(slot.cache.len().min(slot.prompt.len() + slot.answer.tokens.len() - 1));
            return Ok(());
        }
        draft.counts.accepted += 1;
        self.advance(sequence, after_draft)?;
        Ok(())
    }

    /// The next token of a sequence, by its logits.
    fn advance(&mut self, sequence: usize, logits: &[f32]) -> Result<u32> {
        let slot = &mut self.slots[sequence];
        let (token, delta) = slot.answer.advance(logits)?;
        let (id, finish) = (token.id, slot.answer.finish);
        if finish == Some(FinishReason::Repetition) {
            slot.cache.truncate(slot.prompt.len() + slot.answer.tokens.len());
        }
        self.events.push_back(Event { sequence, delta, token: Some(token), finish });
        Ok(id)
    }
}
