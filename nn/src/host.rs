//! Between candle's CPU tensors and slices.

use crate::Result;
use candle_core::{CpuStorage, Device, Storage, Tensor, WithDType};

/// Runs `f` over the elements of a CPU tensor, row-major; copies only where the tensor is not contiguous.
///
/// # Errors
/// If the tensor is on another device or of another type than `T`.
pub fn with_slice<T: WithDType, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let values = cpu(&storage)?.as_slice::<T>()?;
    let start = layout.start_offset();
    Ok(f(&values[start..start + layout.shape().elem_count()]))
}

/// [`with_slice`] of a tensor that may be missing.
pub(crate) fn with_slice_of<R>(tensor: Option<&Tensor>, f: impl FnOnce(Option<&[f32]>) -> R) -> Result<R> {
    match tensor {
        Some(tensor) => with_slice(tensor, |values| f(Some(values))),
        None => Ok(f(None)),
    }
}

/// Runs `f` over the `f32` elements of a tensor on any device, row-major, converted where it is of another float type.
pub fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    with_slice(&tensor.to_dtype(candle_core::DType::F32)?.to_device(&Device::Cpu)?, f)
}

/// [`with_values`], copied.
pub fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    with_values(tensor, <[f32]>::to_vec)
}

/// The storage of a CPU tensor.
pub(crate) fn cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => Err(candle_core::Error::Msg("expected a tensor on the CPU".into()).into()),
    }
}

/// A new CPU tensor of `x`'s shape but for its last dimension, `width`; `f` fills it from the elements of `x`.
pub(crate) fn map_rows(x: &Tensor, width: usize, f: impl FnOnce(&[f32], &mut [f32])) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = width;
    }
    let mut y = seekvl_kernels::zeros(shape.iter().product());
    with_slice(x, |x| f(x, &mut y))?;
    Ok(Tensor::from_vec(y, shape, &Device::Cpu)?)
}
