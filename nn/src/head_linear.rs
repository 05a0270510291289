//! One small matrix for each attention head.

use crate::{Result, Weight, host};
use candle_core::{Device, Tensor};
use seekvl_kernels::Epilogue;
use std::ops::Range;

/// A product of its own for each head: `y[t, h] = x[t, h] · weight[h]ᵀ`.
#[derive(Clone)]
pub struct HeadLinear {
    heads: Vec<Weight>,
}

impl HeadLinear {
    /// From one weight `[outputs, inputs]` for each head, all of one shape.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(heads: Vec<Weight>) -> Self {
        assert!(!heads.is_empty(), "at least one head");
        Self { heads }
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        self.heads.iter().map(Weight::bytes).sum()
    }

    /// The products of all of `heads` with the same `x`, `[tokens, inputs]`; result: `[tokens, heads, outputs]`.
    ///
    /// # Panics
    /// If there are no such heads.
    pub fn spread(&self, x: &Tensor, heads: Range<usize>) -> Result<Tensor> {
        let heads = &self.heads[heads];
        let tokens = x.dim(0)?;
        if heads.iter().any(|weight| weight.tensor().is_some()) {
            let parts = heads.iter().map(|weight| weight.apply(x, None));
            return Ok(Tensor::stack(&parts.collect::<Result<Vec<_>>>()?, 1)?);
        }
        let outputs = self.heads[0].rows();
        let mut y = vec![0f32; tokens * heads.len() * outputs];
        let mut head_y = vec![0f32; tokens * outputs];
        host::with_slice(x, |x: &[f32]| {
            for (h, weight) in heads.iter().enumerate() {
                weight.multiply(x, Epilogue::default(), &mut head_y);
                scatter(&head_y, &mut y, outputs, h, heads.len());
            }
        })?;
        Ok(Tensor::from_vec(y, (tokens, heads.len(), outputs), &Device::Cpu)?)
    }

    /// `x`: `[tokens, heads, inputs]`; result: `[tokens, heads, outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (tokens, heads, inputs) = x.dims3()?;
        let outputs = self.heads[0].rows();
        if self.heads[0].tensor().is_some() {
            let parts = (0..heads).map(|h| self.heads[h].apply(&x.narrow(1, h, 1)?.squeeze(1)?.contiguous()?, None));
            return Ok(Tensor::stack(&parts.collect::<Result<Vec<_>>>()?, 1)?);
        }
        let mut y = vec![0f32; tokens * heads * outputs];
        let mut head_x = vec![0f32; tokens * inputs];
        let mut head_y = vec![0f32; tokens * outputs];
        host::with_slice(x, |x: &[f32]| {
            for (h, weight) in self.heads.iter().enumerate() {
                for (to, from) in head_x.chunks_exact_mut(inputs).zip(x.chunks_exact(heads * inputs)) {
                    to.copy_from_slice(&from[h * inputs..][..inputs]);
                }
                weight.multiply(&head_x, Epilogue::default(), &mut head_y);
                scatter(&head_y, &mut y, outputs, h, heads);
            }
        })?;
        Ok(Tensor::from_vec(y, (tokens, heads, outputs), &Device::Cpu)?)
    }
}

/// Writes one head's rows of `width` to its places in rows of `heads`.
fn scatter(rows: &[f32], all: &mut [f32], width: usize, head: usize, heads: usize) {
    for (from, to) in rows.chunks_exact(width).zip(all.chunks_exact_mut(heads * width)) {
        to[head * width..][..width].copy_from_slice(from);
    }
}
