//! The decoder, its caches, the tokenizer, sampling and the engine. Never hears of images: a prompt is token ids and,
//! where a caller wants it, rows of embeddings in place of some of them.
#![forbid(unsafe_code)]

mod architecture;
mod attention;
mod cache;
mod config;
mod decoder;
mod engine;
mod error;
mod feed_forward;
mod logprobs;
mod markup;
mod mtp;
mod probe;
mod repetition;
mod router;
mod sampling;
mod sequence;
mod spec;
mod stop;
mod text_stream;
mod tokenizer;

pub use architecture::Architecture;
pub use attention::LatentForm;
pub use cache::Cache;
pub use config::{LanguageConfig, RopeScaling, TokenIds};
pub use decoder::{Decoder, Span};
pub use engine::{
    Cancel, Completed, Drafts, Engine, Event, FinishReason, Generation, GenerationOptions, Request, ThinkingBudget,
    Timings, Token,
};
pub use error::{Error, Result};
pub use logprobs::{LogProb, LogProbs};
pub use mtp::Mtp;
pub use probe::Probe;
pub use repetition::RepetitionGuard;
pub use router::{GroupRank, Groups, RouterSpec, Routing, Score};
pub use sampling::{Sampler, Sampling};
pub use sequence::{Insert, TokenSequence};
pub use spec::{
    AttentionSpec, DecoderSpec, FeedForwardSpec, Llama3Spec, Parameters, RotaryScaling, RotarySpec, SparseSpec,
    YarnSpec,
};
pub use text_stream::TextStream;
pub use tokenizer::Tokenizer;
