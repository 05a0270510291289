//! One small matrix for each attention head.

use crate::{Result, Weight, host};
use candle_core::{Device, Tensor};

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
                weight.multiply(&head_x, None, &mut head_y);
                for (from, to) in head_y.chunks_exact(outputs).zip(y.chunks_exact_mut(heads * outputs)) {
                    to[h * outputs..][..outputs].copy_from_slice(from);
                }
            }
        })?;
        Ok(Tensor::from_vec(y, (tokens, heads, outputs), &Device::Cpu)?)
    }
}
