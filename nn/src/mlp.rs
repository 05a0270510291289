//! Feed-forward layers.

use crate::activation::silu_mul;
use crate::{Activation, Linear, Result};
use candle_core::Tensor;

/// `fc2(activation(fc1(x)))`.
#[derive(Clone)]
pub struct Mlp {
    fc1: Linear,
    activation: Activation,
    fc2: Linear,
}

impl Mlp {
    /// From its parts.
    pub fn new(fc1: Linear, activation: Activation, fc2: Linear) -> Self {
        Self { fc1, activation, fc2 }
    }

    /// `x`: `[.., inputs of fc1]`; result: `[.., outputs of fc2]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.fc2.forward(&self.activation.apply(self.fc1.forward(x)?)?)
    }
}

/// `down(silu(gate(x)) · up(x))` (Shazeer 2020, SwiGLU).
#[derive(Clone)]
pub struct GatedMlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl GatedMlp {
    /// From its parts.
    pub fn new(gate: Linear, up: Linear, down: Linear) -> Self {
        Self { gate, up, down }
    }

    /// `x`: `[.., hidden]`, and so is the result.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down.forward(&silu_mul(self.gate.forward(x)?, &self.up.forward(x)?)?)
    }
}
