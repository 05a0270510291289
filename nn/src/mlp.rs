//! Feed-forward layers.

use crate::activation::silu_mul;
use crate::{Activation, Linear, Result, Weight, host};
use candle_core::Tensor;
use seekvl_kernels::{Cpu, Matrix};
use std::mem::discriminant;

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
        self.fc2.forward(&self.fc1.forward_then(x, Some(self.activation), None)?)
    }

    /// `residual + forward(x)`.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let inner = self.fc1.forward_then(x, Some(self.activation), None)?;
        self.fc2.forward_then(&inner, None, Some(residual))
    }
}

/// `down(silu(gate(x)) · up(x))` (Shazeer 2020, SwiGLU), without biases.
#[derive(Clone)]
pub struct GatedMlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl GatedMlp {
    /// From weights `[inner, hidden]`, `[inner, hidden]` and `[hidden, inner]`.
    pub fn new(gate: Weight, up: Weight, down: Weight) -> Self {
        let [gate, up, down] = [gate, up, down].map(|weight| Linear::new(weight, None));
        Self { gate, up, down }
    }

    /// `x`: `[.., hidden]`, and so is the result.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down.forward(&self.inner(x)?)
    }

    /// `residual + forward(x)`.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.down.forward_then(&self.inner(x)?, None, Some(residual))
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        [&self.gate, &self.up, &self.down].map(|linear| linear.weight().bytes()).into_iter().sum()
    }

    /// Weights of gate and up, where a kernel takes both at once.
    pub(crate) fn pair(&self) -> Option<(Matrix<'_>, Matrix<'_>)> {
        let (gate, up) = (self.gate.weight().matrix()?, self.up.weight().matrix()?);
        (discriminant(&gate.elements()) == discriminant(&up.elements())).then_some((gate, up))
    }

    /// The weight of down, if it is one of numbers on the CPU.
    pub(crate) fn down(&self) -> Option<Matrix<'_>> {
        self.down.weight().matrix()
    }

    fn inner(&self, x: &Tensor) -> Result<Tensor> {
        if let Some((gate, up)) = self.pair() {
            return host::map_rows(x, gate.rows(), |x, y| seekvl_kernels::linear_gated(Cpu::detect(), x, gate, up, y));
        }
        silu_mul(self.gate.forward(x)?, &self.up.forward(x)?)
    }
}
