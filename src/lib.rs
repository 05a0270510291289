//! DeepSeek-VL2 on the machine that a person has: ask about pictures, read their text, find things in them.
//!
//! ```text
//! image file ─ Rgb ─ tiles ─ vision tower ─ projector ─ layout ─┐
//!                                                              ├─ TokenSequence ─ decoder ─ sampler ─ text ─ boxes
//! Conversation ─ template ─ tokenizer ─────────────────────────┘
//! ```
//!
//! - [`Model`] is the whole way: [`Model::ask`], [`Model::ocr`] and [`Model::ground`] for one picture,
//!   [`Model::generate`], [`Model::stream`] and [`Model::batch`] for any [`Conversation`] with any [`Options`].
//! - An [`Answer`] has the text, the boxes that the model points with ([`boxes`], drawn by [`draw`]), tokens,
//!   log-probabilities and the time of each stage.
//! - [`plan`] and [`inspect`] say what an answer will take and what a model is, before any weight is read.
//! - [`mod@bench`] measures every stage, beside what the machine can do at most.
//! - [`doctor`] compares every stage with what the original implementation computed.
//!
//! ```
//! use seekvl::{Message, Model, Options};
//!
//! # fn main() -> seekvl::Result<()> {
//! # let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/images/page.png");
//! let model = Model::from_pretrained("nano")?; // or an id such as "deepseek-ai/deepseek-vl2-tiny", or a directory
//! let conversation = Message::question("What does it cost?", [picture.into()]).into();
//! let mut stream = model.stream(&conversation, &Options::default())?;
//! for piece in &mut stream {
//!     print!("{}", piece?);
//! }
//! let answer = stream.finish();
//! println!("\n{} tokens of prompt, {} of answer", answer.prompt_tokens, answer.tokens.len());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod answer;
pub mod bench;
pub mod boxes;
mod chat_template;
pub mod config;
pub mod conversation;
pub mod doctor;
pub mod draw;
mod error;
mod eyes;
mod files;
mod generation_config;
pub mod gguf;
pub mod hub;
pub mod inspect;
pub mod model;
mod options;
pub mod plan;
mod processor;
mod recall;
pub mod template;
pub mod thinking;

pub use answer::{Answer, ExpertUse, Timings};
pub use conversation::{Conversation, Image, Message, Part, Role};
pub use error::{Error, Result};
pub use files::{ModelFile, ModelFiles, NANO};
pub use model::{Builder, Model, Stream};
pub use options::{Options, TilingOptions};
pub use processor::Processor;
pub use recall::Recall;
pub use seekvl_language::{
    Cancel, Drafts, FinishReason, GenerationOptions, LatentForm, LogProb, LogProbs, RepetitionGuard, Sampling, Token,
};
pub use seekvl_nn::{
    CacheType, Checkpoint, Device, Quantization, UnknownCacheType, UnknownQuantization, WeightType, set_threads,
};
pub use seekvl_vision::{Conversion, Cropping, DecodeLimits, DecodeOptions, PixelLayout, Resolution, Rgb, TileGrid};
pub use thinking::{Delta, Phase};

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
