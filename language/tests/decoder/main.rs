//! The decoder and its specification.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod cache;
mod passes;
mod reference;
mod spec;
mod window;
