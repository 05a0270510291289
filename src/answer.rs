//! What comes out.

use crate::boxes::{Grounded, Region};
use crate::thinking::{Thought, split};
use seekvl_language::{Cache, Completed, Drafts, FinishReason, Token};
use serde::{Serialize, Serializer};
use std::time::Duration;

/// An answer, with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The text, without grounding markup.
    pub text: String,
    /// The text as the model wrote it, with markup; thoughts, end-of-sentence and stop strings left out.
    pub raw: String,
    /// What the model thought before it answered, where it is one that does (DeepSeek-R1): the text between `<think>` and
    /// `</think>`. An answer that was cut off while it thought has nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// What it points at. Boxes are over the picture that the question is about; where there are several, the last.
    pub regions: Vec<Region>,
    /// Every token of the answer, an end of sentence or the tokens of a stop string included.
    pub tokens: Vec<Token>,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens of the prompt, those of images included.
    pub prompt_tokens: usize,
    /// Of the prompt's tokens, those of each image.
    pub image_tokens: Vec<usize>,
    /// Of the prompt's tokens, those that were read before, by a [`Recall`](crate::Recall).
    pub cached_tokens: usize,
    /// Where time went.
    pub timings: Timings,
    /// Tokens that were drafted and accepted; none where nothing was drafted.
    pub drafts: Drafts,
}

/// Wall-clock time of each stage. It serializes in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timings {
    /// Decoding, resizing and tiling the images.
    #[serde(serialize_with = "seconds")]
    pub images: Duration,
    /// Vision tower and projector.
    #[serde(serialize_with = "seconds")]
    pub vision: Duration,
    /// The prompt, up to the first token.
    #[serde(serialize_with = "seconds")]
    pub prefill: Duration,
    /// The tokens after the first.
    #[serde(serialize_with = "seconds")]
    pub decode: Duration,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl Answer {
    /// From what the engine made of a prompt, beside its cache; `timings` has the stages before the engine.
    pub(crate) fn new(completed: Completed, asked: Asked) -> (Self, Cache) {
        let Asked { image_tokens, thought, timings, has_markup } = asked;
        let (thinking, raw) = split(thought, &completed.text);
        let Grounded { text, regions } = match has_markup {
            true => Grounded::parse(&raw),
            false => Grounded { text: raw.clone(), regions: Vec::new() },
        };
        let answer = Self {
            text,
            raw,
            thinking,
            regions,
            tokens: completed.tokens,
            finish: completed.finish,
            prompt_tokens: completed.prompt_tokens,
            image_tokens,
            cached_tokens: completed.cached_tokens,
            timings: Timings { prefill: completed.timings.prefill, decode: completed.timings.decode, ..timings },
            drafts: completed.drafts,
        };
        (answer, completed.cache)
    }
}

/// What is known of an answer before it is generated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub image_tokens: Vec<usize>,
    pub thought: Thought,
    pub timings: Timings,
    /// Whether the model points with boxes.
    pub has_markup: bool,
}
