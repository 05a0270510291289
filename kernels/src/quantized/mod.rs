//! Weights of 4 to 8 bits.
//!
//! [`blocks`] are GGUF's formats, one block of a row at a time. [`Quantized`] is a whole weight, packed for products:
//! sixteen outputs make a panel, whose layout is in `forms.rs`, the same on every processor. [`linear_quantized`]
//! multiplies by it:
//!
//! - Activations are rounded to 8 bits, row by row and group by group (see [`Format::group`]); what comes of that is in
//!   `activations.rs`.
//! - The products of codes with rounded activations are summed as integers over each run of weights with a scale of its
//!   own, 16 or 32 long; all else is f32, in the order that `tile.rs` defines.
//! - The result is the same on every processor, for every number of threads and whatever rows are multiplied with it, bit
//!   for bit.
//!
//! With few rows the panels are read as they are, one sequential stream for each thread, at the speed of the memory. With
//! many rows, four panels at a time are unpacked to bytes that stay in the second-level cache, and all rows pass over
//! them.
//!
//! # Error
//! To the dequantised weights the product is exact but for the rounding of the activations and the sums in f32. Let `a`
//! be the largest magnitude of each activation's group, then
//! `|y - Σ w x| ≤ Σ |w| a / 254 + (k / 8 + 8) · 2^-24 · Σ (|w| + |min|) a`.
//! On activations that are normally distributed, rounding them costs 0.7 % of the result's deviation.

mod activations;
pub mod blocks;
mod forms;
pub(crate) mod lanes;
mod matrix;
mod product;
mod tile;
mod unpacked;

pub use matrix::{Format, Quantized, linear_quantized};

/// Chunks of 32 weights with one scale of the activations, for the formats without groups of their own.
const GROUP: usize = 4;
