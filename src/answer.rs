//! What comes out.

use crate::boxes::{Grounded, Region};
use crate::thinking::{Thought, split};
use seekvl_language::{Cache, Completed, Drafts, FinishReason, Token};
use seekvl_nn::{ExpertCounts, ExpertStore};
use serde::{Serialize, Serializer};
use std::sync::Arc;
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
    /// What became of experts that stay in their files while the answer was made, for other answers at the same time too;
    /// `None` without [`Builder::expert_budget`](crate::Builder::expert_budget).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experts: Option<ExpertUse>,
}

/// How experts that stay in their files were used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExpertUse {
    /// The most bytes of experts in memory.
    pub budget: u64,
    /// Times that tokens were sent to an expert that was in memory.
    pub hits: u64,
    /// Times that it had to be read.
    pub reads: u64,
    /// The share of hits in both; 0 where there were none.
    pub hit_rate: f64,
    /// Bytes read from the files.
    pub bytes_read: u64,
    /// Bytes of the experts that are in memory now.
    pub resident: u64,
    /// The most that those were since the model was loaded.
    pub most_resident: u64,
}

impl ExpertUse {
    /// Since there were `before`.
    fn since(store: &ExpertStore, before: ExpertCounts) -> Self {
        let now = store.counts();
        let (hits, reads) = (now.hits - before.hits, now.reads - before.reads);
        Self {
            budget: store.budget(),
            hits,
            reads,
            hit_rate: hits as f64 / (hits + reads).max(1) as f64,
            bytes_read: now.bytes_read - before.bytes_read,
            resident: now.resident,
            most_resident: now.most_resident,
        }
    }
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
        let Asked { image_tokens, thought, timings, has_markup, experts } = asked;
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
            experts: experts.map(|(store, before)| ExpertUse::since(&store, before)),
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
    /// What had become of experts that stay in their files.
    pub experts: Option<(Arc<ExpertStore>, ExpertCounts)>,
}
