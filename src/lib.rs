//! DeepSeek-VL2 on the machine that a person has.
#![forbid(unsafe_code)]

mod answer;
pub mod boxes;
pub mod config;
pub mod conversation;
pub mod doctor;
pub mod draw;
mod error;
mod eyes;
mod files;
pub mod hub;
pub mod inspect;
pub mod model;
mod options;
pub mod plan;
mod processor;
pub mod template;

pub use answer::{Answer, Timings};
pub use conversation::{Conversation, Image, Message, Part, Role};
pub use error::{Error, Result};
pub use files::ModelFiles;
pub use model::{Builder, Model, Stream};
pub use options::{Options, TilingOptions};
pub use processor::Processor;
pub use seekvl_language::{
    Cancel, FinishReason, GenerationOptions, LogProb, LogProbs, RepetitionGuard, Sampling, Token,
};
pub use seekvl_nn::{Checkpoint, Device, WeightType};
pub use seekvl_vision::{Conversion, Cropping, DecodeLimits, DecodeOptions, PixelLayout, Resolution, Rgb, TileGrid};
