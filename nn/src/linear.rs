//! A matrix product with an optional bias.

use crate::{Activation, Result, Weight, host};
use candle_core::Tensor;
use seekvl_kernels::Epilogue;

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

    /// `residual + activation(forward(x))`, without writing what is between; `residual` has the shape of the result.
    pub fn forward_then(
        &self,
        x: &Tensor,
        activation: Option<Activation>,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        if self.weight.tensor().is_none() {
            return host::with_slice_of(self.bias.as_ref(), |bias| {
                host::with_slice_of(residual, |residual| {
                    let then = Epilogue { bias, activation: activation.map(Into::into), residual };
                    host::map_rows(x, self.weight.rows(), |x, y| self.weight.multiply(x, then, y))
                })
            })??;
        }
        let mut y = self.forward(x)?;
        if let Some(activation) = activation {
            y = activation.apply(y)?;
        }
        Ok(match residual {
            Some(residual) => (residual + y)?,
            None => y,
        })
    }

    /// The weight `[outputs, inputs]`.
    pub fn weight(&self) -> &Weight {
        &self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn fusing_changes_nothing() -> Result<()> {
        let cpu = &Device::Cpu;
        let weight = Weight::from_f32(crate::to_vec(&Tensor::randn(0f32, 0.2, (37, 50), cpu)?)?, 37, 50);
        let linear = Linear::new(weight, Some(Tensor::randn(0f32, 1f32, 37, cpu)?));
        let (x, residual) = (Tensor::randn(0f32, 1f32, (2, 9, 50), cpu)?, Tensor::randn(0f32, 1f32, (2, 9, 37), cpu)?);
        for activation in [Activation::GeluTanh, Activation::Gelu] {
            let fused = linear.forward_then(&x, Some(activation), Some(&residual))?;
            let apart = (&residual + activation.apply(linear.forward(&x)?)?)?;
            assert_eq!(crate::to_vec(&fused)?, crate::to_vec(&apart)?);
        }
        Ok(())
    }
}
