//! A matrix product with an optional bias.

use crate::{Result, Weight};
use candle_core::Tensor;

/// `x · weightᵀ + bias`.
#[derive(Clone)]
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
}

impl Linear {
    /// From a weight `[outputs, inputs]` and a bias `[outputs]`.
    pub fn new(weight: Weight, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `x`: `[.., inputs]`; result: `[.., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.weight.apply(x, self.bias.as_ref())
    }

    /// The weight `[outputs, inputs]`.
    pub fn weight(&self) -> &Weight {
        &self.weight
    }
}
