//! Checkpoints of random weights in the real shapes of this family, to load, run and measure without the published
//! weights.
#![forbid(unsafe_code)]

mod checkpoint;
mod config;
mod layout;
mod random;

pub use checkpoint::{Summary, last_layers, write};
pub use config::{Config, LanguageConfig, ProjectorConfig, VisionConfig};
pub use layout::{Init, TensorSpec, layout};
