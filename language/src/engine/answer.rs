//! One answer as it grows: logits in, text out.

use super::budget::Budget;
use super::request::{FinishReason, GenerationOptions, Token};
use crate::logprobs::LogProbs;
use crate::markup::MarkupGuard;
use crate::repetition::RepetitionDetector;
use crate::sampling::Sampler;
use crate::stop::StopStrings;
use crate::{Result, TextStream, Tokenizer};

/// Chooses tokens, turns them into text, and knows when to end.
pub(crate) struct Answer<'t> {
    tokenizer: &'t Tokenizer,
    sampler: Sampler,
    stream: TextStream<'t>,
    stops: StopStrings,
    repetition: Option<RepetitionDetector>,
    markup: Option<MarkupGuard<'t>>,
    top_logprobs: Option<usize>,
    ignore_eos: bool,
    budget: Option<Budget>,
    /// The most tokens, and why it ends there.
    limit: (usize, FinishReason),
    pub tokens: Vec<Token>,
    pub text: String,
    pub finish: Option<FinishReason>,
}

impl<'t> Answer<'t> {
    /// An answer to `prompt`; `room` positions of the context are left for it. It may be finished already.
    pub fn new(tokenizer: &'t Tokenizer, prompt: &[u32], options: GenerationOptions, room: usize) -> Result<Self> {
        let limit = if options.max_new_tokens <= room {
            (options.max_new_tokens, FinishReason::Length)
        } else {
            (room, FinishReason::Context)
        };
        Ok(Self {
            tokenizer,
            sampler: Sampler::new(options.sampling, prompt),
            stream: tokenizer.stream(false),
            stops: StopStrings::new(&options.stop)?,
            repetition: options.repetition_guard.map(RepetitionDetector::new),
            markup: if options.markup_guard { MarkupGuard::new(tokenizer) } else { None },
            top_logprobs: options.top_logprobs,
            ignore_eos: options.ignore_eos,
            budget: options.thinking.map(Budget::new),
            limit,
            tokens: Vec::new(),
            text: String::new(),
            finish: (limit.0 == 0).then_some(limit.1),
        })
    }

    /// Takes the logits of the next position; returns the token chosen and the text that is new.
    pub fn advance(&mut self, logits: &[f32]) -> Result<(Token, String)> {
        let id = match self.budget.as_mut().and_then(Budget::forced) {
            Some(id) => {
                self.sampler.remember(id);
                id
            }
            None => self.sampler.next_of(logits, |scores| {
                if let Some(markup) = &self.markup {
                    markup.restrict(scores);
                }
            })?,
        };
        if let Some(markup) = &mut self.markup {
            markup.push(id);
        }
        if let Some(budget) = &mut self.budget {
            budget.push(id);
        }
        let logprobs = self.top_logprobs.map(|top| LogProbs::new(logits, id, top));
        let token = Token { id, logprobs };
        self.tokens.push(token.clone());

        let is_eos = self.tokenizer.is_end(id);
        let piece = if is_eos { String::new() } else { self.stream.push(id) };
        let passed = self.stops.push(&piece);
        let mut delta = passed.text;
        self.text += &delta;
        if passed.stopped {
            self.finish = Some(FinishReason::StopString);
        } else if is_eos && !self.ignore_eos {
            delta += &self.end(FinishReason::Stop);
        } else if let Some(keep) = self.repetition.as_mut().and_then(|repetition| repetition.push(id)) {
            self.cut(keep);
        } else if self.tokens.len() == self.limit.0 {
            delta += &self.end(self.limit.1);
        }
        Ok((token, delta))
    }

    /// Tokens that may still come.
    pub fn remaining(&self) -> usize {
        self.limit.0.saturating_sub(self.tokens.len())
    }

    /// Ends the answer; returns the text that was held back.
    pub fn end(&mut self, reason: FinishReason) -> String {
        let unfinished = self.stream.finish();
        let passed = self.stops.push(&unfinished);
        let mut delta = passed.text;
        if !passed.stopped {
            delta += &self.stops.finish();
        }
        self.text += &delta;
        self.finish = Some(reason);
        delta
    }

    /// Keeps the first tokens only, and their whole characters.
    fn cut(&mut self, keep: usize) {
        self.tokens.truncate(keep);
        let mut stream = self.tokenizer.stream(false);
        let ids = self.tokens.iter().map(|token| token.id).filter(|&id| !self.tokenizer.is_end(id));
        self.text = ids.map(|id| stream.push(id)).collect();
        self.finish = Some(FinishReason::Repetition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RepetitionGuard, Sampling};
    use std::path::Path;
    use std::sync::LazyLock;

    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference/vl2-tiny-like");
        Tokenizer::from_dir(Path::new(path)).unwrap()
    });

    /// An answer whose model says `ids`, and all its pieces.
    fn scripted(options: GenerationOptions, ids: &[u32]) -> (Answer<'static>, String) {
        let mut answer = Answer::new(&TOKENIZER, &[0], options, 1000).unwrap();
        let mut deltas = String::new();
        for &id in ids {
            assert_eq!(answer.finish, None);
            let mut logits = vec![0.0; 768];
            logits[id as usize] = 1.0;
            let (token, delta) = answer.advance(&logits).unwrap();
            assert_eq!(token.id, id);
            deltas += &delta;
        }
        (answer, deltas)
    }

    fn ids(text: &str) -> Vec<u32> {
        TOKENIZER.encode(text).unwrap()
    }

    #[test]
    fn an_end_of_sentence_is_a_token_but_no_text() {
        let said = ids("so be it<｜end▁of▁sentence｜>");
        let (answer, deltas) = scripted(GenerationOptions::default(), &said);
        assert_eq!((answer.finish, answer.text.as_str()), (Some(FinishReason::Stop), "so be it"));
        assert_eq!((answer.tokens.len(), deltas), (said.len(), answer.text));

        let said = ids("so be it<｜end▁of▁sentence｜> or not");
        let (answer, deltas) = scripted(GenerationOptions { ignore_eos: true, ..Default::default() }, &said);
        assert_eq!((answer.finish, deltas.as_str()), (None, "so be it or not"));
    }

    #[test]
    fn other_special_tokens_stay() {
        let text = "<|ref|>cup<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>";
        assert_eq!(scripted(GenerationOptions::default(), &ids(text)).1, text);
        let options = GenerationOptions { stop: vec!["<|/det|>".into()], ..Default::default() };
        let (answer, deltas) = scripted(options, &ids(text));
        assert_eq!(
            (answer.finish, deltas.as_str()),
            (Some(FinishReason::StopString), "<|ref|>cup<|/ref|><|det|>[[1, 2, 3, 4]]")
        );
    }

    #[test]
    fn what_is_held_back_comes_at_the_end() {
        let said = ids("one\n𝄞");
        let (whole, cut) = (said.len(), said.len() - 1);
        let options =
            |max_new_tokens| GenerationOptions { max_new_tokens, stop: vec!["\n𝄞!".into()], ..Default::default() };
        let (answer, deltas) = scripted(options(whole), &said);
        assert_eq!((answer.finish, deltas.as_str()), (Some(FinishReason::Length), "one\n𝄞"));
        let (answer, deltas) = scripted(options(cut), &said[..cut]);
        assert_eq!((answer.text.as_str(), deltas.as_str()), ("one\n\u{fffd}", "one\n\u{fffd}"));
    }

    #[test]
    fn loops_are_cut_at_a_whole_character() {
        let guard = Some(RepetitionGuard::new(8, 3, 0).unwrap());
        let options = GenerationOptions { repetition_guard: guard, sampling: Sampling::greedy(), ..Default::default() };
        let said = ids("well, no. no. no.");
        let (answer, deltas) = scripted(options.clone(), &said);
        assert_eq!((answer.finish, answer.text.as_str()), (Some(FinishReason::Repetition), "well, no."));
        assert_eq!(deltas, "well, no. no. no.");
        assert_eq!(answer.tokens.len(), ids("well, no.").len());

        // The three bytes of a character, beginning with its last one.
        let character: Vec<u32> = [0xe4u8, 0xb8, 0xad].iter().map(|&byte| single_byte(byte)).collect();
        let said: Vec<u32> = character.iter().copied().cycle().skip(2).take(9).collect();
        let (answer, _) = scripted(options, &said);
        assert_eq!((answer.finish, answer.text.as_str()), (Some(FinishReason::Repetition), "\u{fffd}"));
    }

    fn single_byte(byte: u8) -> u32 {
        let is_it = |id: &u32| {
            let mut bytes = Vec::new();
            TOKENIZER.append_bytes(*id, false, &mut bytes);
            bytes == [byte]
        };
        (0..720).find(is_it).unwrap()
    }
}
