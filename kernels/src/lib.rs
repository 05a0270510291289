//! The inner loops of seekvl on a CPU, over plain slices.
//!
//! Activations are `f32` everywhere. Weights are `f32` or `bf16`, row-major `[outputs, inputs]` as checkpoints
//! store them. All functions check the lengths of their slices and panic on a mismatch, which is a bug of the
//! caller (`seekvl-nn`), never something that a file can cause.

mod attention;
mod cpu;
mod elementwise;
mod limits;
mod linear;
mod math;
mod matrix;
mod parallel;
mod pixels;
mod pool;
pub mod q8;
pub mod quantized;
mod round;
mod shelf;
mod simd;
mod tile;

pub use attention::{Attention, GridBias, KEYS, Mask, Rows, attention, attention_bf16, attention_q8};
pub use cpu::{Cpu, Isa};
pub use elementwise::{gelu_erf, gelu_tanh, layer_norm, rms_norm, silu_mul, weighted_sums};
pub use limits::Limits;
pub use linear::{Activation, Epilogue, Group, Weights, linear, linear_gated, linear_grouped, linear_then};
pub use matrix::{Elements, Matrix};
pub use parallel::{for_each_part, zeros};
pub use pixels::weighted_lines;
pub use pool::{set_threads, threads, with_threads};
pub use round::round_rows;
pub use shelf::Shelf;
