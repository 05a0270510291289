//! Checkpoints of random weights in the real shape of a DeepSeek-VL2 or -V2 model, to load, run and measure without the published
//! weights.
#![forbid(unsafe_code)]

mod checkpoint;
mod config;
mod layout;
mod random;

pub use checkpoint::{Summary, write};
pub use config::{Config, LanguageConfig, ProjectorConfig, VisionConfig};
pub use layout::{Init, TensorSpec, layout};
