//! Checkpoints of random weights in the real shape of a DeepSeek-VL2, -V2 or -V3 model, to load, run and measure without the published
//! weights.
#![forbid(unsafe_code)]

mod checkpoint;
mod config;
mod layout;
mod random;

pub use checkpoint::{Summary, last_layers, write};
pub use config::{Config, LanguageConfig, ProjectorConfig, VisionConfig};
pub use layout::{Init, TensorSpec, layout};
