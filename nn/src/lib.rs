//! The layers that seekvl's towers share, and the weights they are made of.
//!
//! Activations are candle tensors: `f32` on a CPU, the weights' type on a GPU. This crate alone decides between
//! `seekvl-kernels` (CPU) and candle (GPU); the models above are written once over its layers.
//!
//! - [`Checkpoint`] opens safetensors shards and [`Gguf`] files by memory map, [`Loader`] hands out their tensors strictly.
//! - [`Weight`] is a matrix in the type it is kept in; [`Linear`], [`Embedding`] and [`HeadLinear`] multiply by it.
//! - [`RmsNorm`], [`LayerNorm`], [`Mlp`], [`GatedMlp`], [`Rotary`], [`RelativePositions`] and [`attention()`] are the rest.
//!
//! The CUDA and Metal paths compile under the features of those names and follow the same formulas, but have not been
//! run on such a device by this project's tests, which force candle's path on a CPU instead.
#![deny(unsafe_code)]

mod activation;
mod attention;
mod cache_type;
mod checkpoint;
mod embedding;
mod error;
mod expert_store;
mod experts;
mod fp8;
mod gguf;
mod head_linear;
mod host;
mod linear;
mod loader;
mod mapped;
mod mlp;
mod norm;
mod quantization;
mod relative;
mod renaming;
mod rotary;
mod rows;
mod stored;
mod weight;

pub use activation::Activation;
pub use attention::{KEYS, Mask, attention, attention_on_grid, round_rows};
pub use cache_type::{CacheType, UnknownCacheType};
pub use candle_core::{D, DType, Device, Error as TensorError, Tensor};
pub use checkpoint::{Checkpoint, Role, StoredTensor};
pub use embedding::Embedding;
pub use error::{Error, Result};
pub use expert_store::{ExpertCounts, ExpertStore};
pub use experts::Experts;
pub use fp8::BlockSize;
pub use gguf::{Array, Gguf, GgufEntry, GgufTensor, GgufWriter, Value};
pub use head_linear::HeadLinear;
pub use host::{to_vec, with_slice, with_values};
pub use linear::Linear;
pub use loader::{Loader, WeightType};
pub use mlp::{GatedMlp, Mlp};
pub use norm::{LayerNorm, RmsNorm};
pub use quantization::{Quantization, UnknownQuantization};
pub use relative::RelativePositions;
pub use renaming::Renaming;
pub use rotary::{Angles, Pairs, Rotary};
pub use rows::Rows;
pub use seekvl_kernels::quantized::Format;
pub use seekvl_kernels::quantized::blocks::quantize_rows;
pub use seekvl_kernels::{Cpu, Isa, Limits, for_each_part, set_threads, threads, weighted_lines};
pub use stored::{StoredDtype, Widened};
pub use weight::{Arithmetic, Weight};
