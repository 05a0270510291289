//! Normalisation of the last dimension.

use crate::{Result, host};
use candle_core::{D, DType, Tensor};
use seekvl_kernels::Cpu;

/// Root-mean-square norm (Zhang and Sennrich 2019): `x / sqrt(mean(x²) + eps) · weight`.
#[derive(Clone)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f32,
}

impl RmsNorm {
    /// From its weight `[width]`.
    pub fn new(weight: Tensor, eps: f32) -> Self {
        Self { weight, eps }
    }

    /// `x`: `[.., width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return self.forward_device(x);
        }
        let width = x.dim(D::Minus1)?;
        host::with_slice(&self.weight, |weight: &[f32]| {
            host::map_rows(x, width, |x, y| seekvl_kernels::rms_norm(Cpu::detect(), x, weight, self.eps, y))
        })?
    }

    fn forward_device(&self, x: &Tensor) -> Result<Tensor> {
        let wide = x.to_dtype(DType::F32)?;
        let scale = (wide.sqr()?.mean_keepdim(D::Minus1)? + f64::from(self.eps))?.sqrt()?.recip()?;
        Ok(wide.broadcast_mul(&scale)?.to_dtype(x.dtype())?.broadcast_mul(&self.weight)?)
    }
}

/// Layer norm (Ba, Kiros and Hinton 2016) with the population variance.
#[derive(Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl LayerNorm {
    /// From weight and bias, both `[width]`.
    pub fn new(weight: Tensor, bias: Tensor, eps: f32) -> Self {
        Self { weight, bias, eps }
    }

    /// `x`: `[.., width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return self.forward_device(x);
        }
        let width = x.dim(D::Minus1)?;
        host::with_slice(&self.weight, |weight: &[f32]| {
            host::with_slice(&self.bias, |bias: &[f32]| {
                host::map_rows(x, width, |x, y| seekvl_kernels::layer_norm(Cpu::detect(), x, weight, bias, self.eps, y))
            })
        })??
    }

    fn forward_device(&self, x: &Tensor) -> Result<Tensor> {
        let wide = x.to_dtype(DType::F32)?;
        let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
        let scale = (centred.sqr()?.mean_keepdim(D::Minus1)? + f64::from(self.eps))?.sqrt()?.recip()?;
        let y = centred.broadcast_mul(&scale)?.to_dtype(x.dtype())?;
        Ok(y.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn both_paths_agree() -> Result<()> {
        let x = Tensor::randn(1f32, 2f32, (5, 40), &Device::Cpu)?;
        let (weight, bias) =
            (Tensor::randn(0f32, 1f32, 40, &Device::Cpu)?, Tensor::randn(0f32, 1f32, 40, &Device::Cpu)?);
        let rms = RmsNorm::new(weight.clone(), 1e-6);
        let layer = LayerNorm::new(weight, bias, 1e-6);
        for (a, b) in [(rms.forward(&x)?, rms.forward_device(&x)?), (layer.forward(&x)?, layer.forward_device(&x)?)] {
            assert!((a - b)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
        }
        Ok(())
    }
}
