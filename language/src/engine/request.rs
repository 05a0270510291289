//! What the engine is asked for, and what it answers.

use crate::logprobs::LogProbs;
use crate::{Cache, RepetitionGuard, Sampling, TokenSequence};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How one answer is generated.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationOptions {
    /// The most tokens of the answer, its end of sentence included. 0 is an empty answer.
    pub max_new_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Strings that end the answer, without being part of it.
    pub stop: Vec<String>,
    /// Log-probabilities: of the chosen token and this many of the most probable ones. 0 is the chosen one alone.
    pub top_logprobs: Option<usize>,
    /// When to end an answer that goes round in circles; never, if there is none.
    pub repetition_guard: Option<RepetitionGuard>,
    /// Chooses only tokens that keep grounding markup well formed: tags in pairs, a label before its boxes, four numbers
    /// from 0 to 999 a box, left and top first. Models without the tags do as without.
    pub markup_guard: bool,
    /// Goes on after the end of sentence, which stays out of the text.
    pub ignore_eos: bool,
    /// Ends the part of the answer in which the model thinks, when it has become too long.
    pub thinking: Option<ThinkingBudget>,
}

/// The most tokens of the part of an answer in which a model thinks, which is at its beginning and ends with a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThinkingBudget {
    /// The most tokens after the tag that begins it and before the one that ends it.
    pub max_tokens: usize,
    /// The ids of the tag that begins it; empty where the prompt has begun it already. An answer that begins otherwise
    /// is not bounded.
    pub start: Vec<u32>,
    /// The ids of the tag that ends it.
    pub end: Vec<u32>,
    /// What the answer goes on with where the model has not ended it in time: the end tag, and what a model writes around it.
    pub forced: Vec<u32>,
}

impl Default for GenerationOptions {
    /// Up to 512 tokens, greedy, with the default guards.
    fn default() -> Self {
        Self {
            max_new_tokens: 512,
            sampling: Sampling::greedy(),
            stop: Vec::new(),
            top_logprobs: None,
            repetition_guard: Some(RepetitionGuard::default()),
            markup_guard: true,
            ignore_eos: false,
            thinking: None,
        }
    }
}

/// One sequence of a batch.
#[derive(Debug)]
pub struct Request {
    /// What the answer follows. Never empty.
    pub prompt: TokenSequence,
    /// How it is generated.
    pub options: GenerationOptions,
    /// The cache of an earlier sequence that begins like `prompt`: the positions that it holds are not computed again,
    /// so it must hold fewer than the prompt has. That they are the prompt's first ones is the caller's business.
    /// With latent attention the answer may differ by roundings from that without: see
    /// [`AttentionSpec::cheaper_form`](crate::AttentionSpec::cheaper_form).
    pub cache: Option<Cache>,
}

impl Request {
    /// Without a cache.
    pub fn new(prompt: TokenSequence, options: GenerationOptions) -> Self {
        Self { prompt, options, cache: None }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its sentence.
    Stop,
    /// A stop string came up.
    StopString,
    /// The answer has as many tokens as were asked for.
    Length,
    /// Prompt and answer fill the model's context.
    Context,
    /// The answer went round in circles. It is cut back to the end of the cycle's first round, so it may be shorter
    /// than what was streamed.
    Repetition,
    /// The caller gave it up.
    Cancelled,
}

/// A token of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Token {
    /// The token.
    pub id: u32,
    /// Its log-probability and those of others, if asked for.
    pub logprobs: Option<LogProbs>,
}

/// What one step did to one sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which sequence: its place among the requests.
    pub sequence: usize,
    /// New text: whole characters, special tokens as they read, no end of sentence. Text that may yet turn out to be
    /// part of a stop string waits.
    pub delta: String,
    /// The new token; none if the sequence ended without one.
    pub token: Option<Token>,
    /// Set in a sequence's last event.
    pub finish: Option<FinishReason>,
}

/// An answer.
#[derive(Debug)]
pub struct Completed {
    /// Every token of the answer, with an end of sentence or the tokens of a stop string.
    pub tokens: Vec<Token>,
    /// The text: special tokens as they read, without end of sentence and stop string.
    pub text: String,
    /// Why it ended.
    pub finish: FinishReason,
    /// Number of positions of the prompt.
    pub prompt_tokens: usize,
    /// How many of those came with the request's cache.
    pub cached_tokens: usize,
    /// Where time went.
    pub timings: Timings,
    /// How drafting went; nothing proposed where there was none.
    pub drafts: Drafts,
    /// Keys and values of the first `cache.len()` positions of prompt and answer, for a request that goes on from them.
    /// Empty if the generation failed.
    pub cache: Cache,
}

impl Completed {
    /// The ids of the answer's tokens.
    pub fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }
}

/// Tokens that were drafted by multi-token prediction, and verified by the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drafts {
    /// Drafted.
    pub proposed: usize,
    /// Of these, those that the model chose as well.
    pub accepted: usize,
}

/// Wall-clock time of the steps that a sequence took part in. The sequences of a batch share steps, so their times do
/// not add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// For the prompt, up to the first token.
    pub prefill: Duration,
    /// For the tokens after the first.
    pub decode: Duration,
}

/// Ends a generation from elsewhere: another thread, or a signal handler. Clones belong together.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Not cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the generation before its next step, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
