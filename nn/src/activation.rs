//! Activations.

use crate::Result;
#[cfg(test)]
use crate::host;
use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Tensor};
use seekvl_kernels::Cpu;

/// An element-wise function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU by its tanh approximation (VL2's SigLIP).
    GeluTanh,
    /// Exact GELU, `x · Φ(x)` (projectors, DeepSeek-VL's SigLIP).
    Gelu,
}

impl Activation {
    /// Applies it to a tensor that nobody else holds: on a CPU this happens in place, and clones of `x` would see it.
    pub fn apply(self, x: Tensor) -> Result<Tensor> {
        if x.device().is_cpu() {
            x.inplace_op1(&Elementwise(self))?;
            return Ok(x);
        }
        Ok(match self {
            Activation::GeluTanh => x.gelu()?,
            Activation::Gelu => x.gelu_erf()?,
        })
    }
}

impl From<Activation> for seekvl_kernels::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::GeluTanh => Self::GeluTanh,
            Activation::Gelu => Self::Gelu,
        }
    }
}

struct Elementwise(Activation);

impl InplaceOp1 for Elementwise {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let x = contiguous(storage, layout)?;
        match self.0 {
            Activation::GeluTanh => seekvl_kernels::gelu_tanh(Cpu::detect(), x),
            Activation::Gelu => seekvl_kernels::gelu_erf(Cpu::detect(), x),
        }
        Ok(())
    }
}

/// `silu(gate) · up`, reusing `gate`, which nobody else holds.
pub(crate) fn silu_mul(gate: Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.device().is_cpu() {
        gate.inplace_op2(up, &SiluMul)?;
        return Ok(gate);
    }
    Ok((gate.silu()? * up)?)
}

struct SiluMul;

impl InplaceOp2 for SiluMul {
    fn name(&self) -> &'static str {
        "silu-mul"
    }

    fn cpu_fwd(
        &self,
        gate: &mut CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> candle_core::Result<()> {
        let gate = contiguous(gate, gate_layout)?;
        let up = &up.as_slice::<f32>()?[up_layout.start_offset()..][..gate.len()];
        seekvl_kernels::silu_mul(Cpu::detect(), gate, up);
        Ok(())
    }
}

fn contiguous<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> candle_core::Result<&'a mut [f32]> {
    let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
        candle_core::bail!("expected a contiguous f32 tensor")
    };
    Ok(&mut values[start..end])
}

/// A copy of `x` that nobody else holds.
#[cfg(test)]
pub(crate) fn own(x: &Tensor) -> Result<Tensor> {
    Ok(Tensor::from_vec(host::to_vec(x)?, x.shape(), x.device())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn both_paths_agree() -> Result<()> {
        let x = Tensor::randn(0f32, 3f32, (7, 33), &Device::Cpu)?;
        let up = Tensor::randn(0f32, 1f32, (7, 33), &Device::Cpu)?;
        let close =
            |a: Tensor, b: Tensor| -> Result<bool> { Ok((a - b)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5) };
        assert!(close(Activation::GeluTanh.apply(own(&x)?)?, x.gelu()?)?);
        assert!(close(Activation::Gelu.apply(own(&x)?)?, x.gelu_erf()?)?);
        assert!(close(silu_mul(own(&x)?, &up)?, (x.silu()? * &up)?)?);
        Ok(())
    }
}
