//! What comes out.

use crate::boxes::{Grounded, Region};
use seekvl_language::{Completed, FinishReason, Token};
use serde::{Serialize, Serializer};
use std::time::Duration;

/// An answer, with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The text, without grounding markup.
    pub text: String,
    /// The text as the model wrote it, with markup; end-of-sentence and stop strings left out.
    pub raw: String,
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
    /// Where time went.
    pub timings: Timings,
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
    /// From what the engine made of a prompt with these images; `timings` has the stages before the engine.
    pub(crate) fn new(completed: Completed, image_tokens: Vec<usize>, timings: Timings) -> Self {
        let Grounded { text, regions } = Grounded::parse(&completed.text);
        Self {
            text,
            raw: completed.text,
            regions,
            tokens: completed.tokens,
            finish: completed.finish,
            prompt_tokens: completed.prompt_tokens,
            image_tokens,
            timings: Timings { prefill: completed.timings.prefill, decode: completed.timings.decode, ..timings },
        }
    }
}
