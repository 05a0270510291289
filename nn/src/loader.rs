//! Handing out the tensors of a checkpoint, strictly.

mod gated;

use crate::fp8::BlockSize;
use crate::weight::Data;
use crate::{
    Checkpoint, Embedding, Error, ExpertStore, LayerNorm, Linear, Quantization, Result, RmsNorm, StoredTensor, Weight,
};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use safetensors::Dtype;
use seekvl_kernels::Cpu;
use seekvl_kernels::quantized::{Format, Quantized};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

/// The type that matrices are kept in. Norms, biases and routers are `f32` on a CPU whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightType {
    /// As the checkpoint has them; f16 becomes f32 on a CPU.
    #[default]
    AsStored,
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
    /// 16-bit floats, on a GPU only.
    F16,
}

/// A place in a checkpoint's tree of names. Every tensor that it hands out is ticked off; [`Loader::finish`] complains
/// of those that nobody asked for.
#[derive(Clone)]
pub struct Loader {
    shared: Arc<Shared>,
    prefix: String,
    /// Matrices are read into memory instead of being used where they are mapped.
    reads: bool,
}

struct Shared {
    checkpoint: Arc<Checkpoint>,
    device: Device,
    weights: WeightType,
    quantization: Option<Quantization>,
    /// Of matrices in 8 bits, where the checkpoint has some.
    fp8_blocks: Option<BlockSize>,
    experts: Option<Arc<ExpertStore>>,
    used: Mutex<BTreeSet<String>>,
}

/// What is added to the name of a matrix in 8 bits: the name of its scales.
const SCALES: &str = "_scale_inv";

/// Widens all elements of a tensor.
type Widen = fn(&[u8], &mut [f32]);

impl Loader {
    /// The root of a checkpoint's names.
    ///
    /// # Errors
    /// [`Error::HalfOnCpu`] for [`WeightType::F16`] on a CPU.
    pub fn new(checkpoint: Arc<Checkpoint>, device: Device, weights: WeightType) -> Result<Self> {
        if weights == WeightType::F16 && device.is_cpu() {
            return Err(Error::HalfOnCpu);
        }
        let shared = Shared {
            checkpoint,
            device,
            weights,
            quantization: None,
            fp8_blocks: None,
            experts: None,
            used: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), prefix: String::new(), reads: false })
    }

    /// The same place, but matrices are rounded as they are loaded, those that [`Quantization::format`] says; the others
    /// are kept as without it. Matrices are rounded by a few rows at a time: no more memory is used than for the result,
    /// and pages of the file that were read for it are given back.
    ///
    /// # Errors
    /// [`Error::QuantizedOnDevice`] if the tensors do not go to the CPU.
    pub fn quantized(self, quantization: Quantization) -> Result<Self> {
        if !self.device().is_cpu() {
            return Err(Error::QuantizedOnDevice(quantization));
        }
        Ok(self.with(|shared| shared.quantization = Some(quantization)))
    }

    /// The same place, where matrices `NAME` of type F8_E4M3 are read too: they have a scale for each block in
    /// `NAME_scale_inv`, and are kept as bf16 where they should be kept as they are stored.
    #[must_use]
    pub fn with_fp8_blocks(self, blocks: BlockSize) -> Self {
        self.with(|shared| shared.fp8_blocks = Some(blocks))
    }

    /// The same place, where experts stay in their files until tokens are sent to them, and `store` has those in memory that
    /// were used last.
    ///
    /// # Errors
    /// [`Error::ExpertsOnDevice`] if the tensors do not go to the CPU.
    pub fn with_expert_store(self, store: Arc<ExpertStore>) -> Result<Self> {
        if !self.device().is_cpu() {
            return Err(Error::ExpertsOnDevice);
        }
        Ok(self.with(|shared| shared.experts = Some(store)))
    }

    /// The same place with other settings; what was used so far counts for it too.
    fn with(self, change: impl FnOnce(&mut Shared)) -> Self {
        let Shared { checkpoint, device, weights, quantization, fp8_blocks, experts, used } = &*self.shared;
        let mut shared = Shared {
            checkpoint: checkpoint.clone(),
            device: device.clone(),
            weights: *weights,
            quantization: *quantization,
            fp8_blocks: *fp8_blocks,
            experts: experts.clone(),
            used: Mutex::new(used.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        };
        change(&mut shared);
        Self { shared: Arc::new(shared), ..self }
    }

    /// The place `part` below this one.
    #[must_use]
    pub fn at(&self, part: impl Display) -> Self {
        Self { shared: self.shared.clone(), prefix: self.full_name(&part.to_string()), reads: self.reads }
    }

    /// Where the tensors go.
    pub fn device(&self) -> &Device {
        &self.shared.device
    }

    /// Whether the checkpoint has a tensor of this name here.
    pub fn contains(&self, name: &str) -> bool {
        self.shared.checkpoint.get(&self.full_name(name)).is_some()
    }

    /// Ticks off all tensors whose names begin with `prefix` here: present in checkpoints, and of no use.
    pub fn skip(&self, prefix: &str) {
        let prefix = self.full_name(prefix);
        let names = self.shared.checkpoint.tensors().map(|(name, _)| name).filter(|name| name.starts_with(&prefix));
        self.used().extend(names.map(str::to_owned));
    }

    /// Complains of tensors that were neither handed out nor skipped.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn finish(&self) -> Result<()> {
        let used = self.used();
        let checkpoint = &self.shared.checkpoint;
        let unknown: Vec<_> = checkpoint.tensors().filter(|(name, _)| !used.contains(*name)).collect();
        let Some((_, first)) = unknown.first() else { return Ok(()) };
        Err(Error::Unknown {
            path: checkpoint.path(first).into(),
            count: unknown.len(),
            names: unknown.iter().take(3).map(|(name, _)| (*name).to_owned()).collect(),
        })
    }

    /// A tensor in the type that activations have: `f32` on a CPU.
    ///
    /// # Errors
    /// Missing, misshapen, or of a type that is not read.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let (name, stored) = self.take(name, shape)?;
        let tensor = Tensor::from_vec(self.widen(&name, &stored)?, shape, &Device::Cpu)?;
        Ok(tensor.to_device(self.device())?.to_dtype(self.activations(&stored))?)
    }

    /// A matrix. `shape[0]` are its outputs, the product of the rest its inputs (a convolution over patches that do not
    /// overlap is a matrix too).
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn weight(&self, name: &str, shape: &[usize]) -> Result<Weight> {
        self.weight_as(name, shape, self.shared.weights, self.shared.quantization)
    }

    /// A matrix kept in `f32` whatever the others are.
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn weight_f32(&self, name: &str, shape: &[usize]) -> Result<Weight> {
        self.weight_as(name, shape, WeightType::F32, None)
    }

    fn weight_as(
        &self,
        name: &str,
        shape: &[usize],
        kept: WeightType,
        quantization: Option<Quantization>,
    ) -> Result<Weight> {
        if let Some(blocks) = self.shared.fp8_blocks.filter(|_| self.is_fp8(name)) {
            return self.weight_of_fp8(name, shape, kept, quantization, blocks);
        }
        let (name, stored) = self.take(name, shape)?;
        let (rows, cols) = (shape[0], shape[1..].iter().product());
        if let Some(format) = quantization.and_then(|quantization| quantization.format(&name, cols)) {
            return self.quantize(&name, &stored, format, (rows, cols));
        }
        if !self.device().is_cpu() {
            let tensor = Tensor::from_vec(self.widen(&name, &stored)?, (rows, cols), &Device::Cpu)?;
            let dtype = if kept == WeightType::F32 { DType::F32 } else { self.activations(&stored) };
            return Ok(Weight::device(tensor.to_dtype(dtype)?.to_device(self.device())?, rows, cols));
        }
        let (bytes, range) = self.shared.checkpoint.data(&stored);
        let aligned = |to: usize| (*bytes).as_ref()[range.clone()].as_ptr().addr().is_multiple_of(to);
        let data = match (stored.dtype, kept) {
            (Dtype::F32, WeightType::AsStored | WeightType::F32) if self.reads => Data::F32(self.read(&stored)?),
            (Dtype::BF16, WeightType::AsStored | WeightType::Bf16) if self.reads => Data::Bf16(self.read(&stored)?),
            (Dtype::F32, WeightType::AsStored | WeightType::F32) if aligned(4) => Data::MappedF32(bytes, range),
            (Dtype::BF16, WeightType::AsStored | WeightType::Bf16) if aligned(2) => Data::MappedBf16(bytes, range),
            (_, WeightType::Bf16) | (Dtype::BF16, WeightType::AsStored) => {
                Data::Bf16(self.widen(&name, &stored)?.into_iter().map(bf16::from_f32).collect())
            }
            _ => Data::F32(self.widen(&name, &stored)?.into()),
        };
        if self.reads {
            self.shared.checkpoint.release(&stored);
        }
        Ok(Weight::host(data, rows, cols))
    }

    /// All elements of a tensor, as they are stored.
    fn read<T: bytemuck::Pod>(&self, stored: &StoredTensor) -> Result<Arc<[T]>> {
        let mut values: Arc<[T]> = std::iter::repeat_n(T::zeroed(), stored.elements()).collect();
        if let Some(values) = Arc::get_mut(&mut values) {
            self.shared.checkpoint.read(stored, bytemuck::cast_slice_mut(values))?;
        }
        Ok(values)
    }

    fn is_fp8(&self, name: &str) -> bool {
        self.shared.checkpoint.get(&self.full_name(name)).is_some_and(|stored| stored.dtype == Dtype::F8_E4M3)
    }

    /// A matrix in 8 bits, made numbers row by row.
    fn weight_of_fp8(
        &self,
        name: &str,
        shape: &[usize],
        kept: WeightType,
        quantization: Option<Quantization>,
        blocks: BlockSize,
    ) -> Result<Weight> {
        let (full_name, stored) = self.take_any(name, shape)?;
        let (rows, cols) = (shape[0], shape[1..].iter().product::<usize>());
        let (scales_name, scales) = self.take(&format!("{name}{SCALES}"), &blocks.scales(rows, cols))?;
        let scales = self.widen(&scales_name, &scales)?;
        let (bytes, range) = self.shared.checkpoint.data(&stored);
        let bytes = &(*bytes).as_ref()[range];
        let widen = |row: usize, values: &mut [f32]| {
            blocks.dequantize_row(row, &bytes[row * cols..][..cols], &scales, values);
        };
        if let Some(format) = quantization.and_then(|quantization| quantization.format(&full_name, cols)) {
            let weight = Quantized::quantize(Cpu::detect(), format, rows, cols, widen);
            self.shared.checkpoint.release(&stored);
            return Ok(Weight::quantized(weight));
        }
        let all = || {
            let mut values = vec![0.0; rows * cols];
            values.chunks_exact_mut(cols.max(1)).enumerate().for_each(|(row, values)| widen(row, values));
            values
        };
        if !self.device().is_cpu() {
            let dtype = match kept {
                WeightType::F32 => DType::F32,
                WeightType::F16 => DType::F16,
                WeightType::AsStored | WeightType::Bf16 => DType::BF16,
            };
            let tensor = Tensor::from_vec(all(), (rows, cols), &Device::Cpu)?.to_dtype(dtype)?;
            return Ok(Weight::device(tensor.to_device(self.device())?, rows, cols));
        }
        let data = if kept == WeightType::F32 {
            Data::F32(all().into())
        } else {
            let (mut values, mut wide) = (Vec::with_capacity(rows * cols), vec![0.0; cols]);
            for row in 0..rows {
                widen(row, &mut wide);
                values.extend(wide.iter().map(|&value| bf16::from_f32(value)));
            }
            Data::Bf16(values.into())
        };
        self.shared.checkpoint.release(&stored);
        Ok(Weight::host(data, rows, cols))
    }

    /// `NAME.weight` `[outputs, inputs]` and, where asked for, `NAME.bias` `[outputs]`.
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
        let weight = self.weight(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = bias.then(|| self.tensor(&format!("{name}.bias"), &[outputs])).transpose()?;
        Ok(Linear::new(weight, bias))
    }

    /// `NAME.weight` `[rows, width]`.
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn embedding(&self, name: &str, rows: usize, width: usize) -> Result<Embedding> {
        Ok(Embedding::new(self.weight(&format!("{name}.weight"), &[rows, width])?))
    }

    /// `NAME.weight` `[width]`.
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn rms_norm(&self, name: &str, width: usize, eps: f32) -> Result<RmsNorm> {
        Ok(RmsNorm::new(self.tensor(&format!("{name}.weight"), &[width])?, eps))
    }

    /// `NAME.weight` and `NAME.bias`, both `[width]`.
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn layer_norm(&self, name: &str, width: usize, eps: f32) -> Result<LayerNorm> {
        let weight = self.tensor(&format!("{name}.weight"), &[width])?;
        Ok(LayerNorm::new(weight, self.tensor(&format!("{name}.bias"), &[width])?, eps))
    }

    fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.into() } else { format!("{}.{name}", self.prefix) }
    }

    fn used(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.shared.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tensor of a type that [`Loader::widen`] reads.
    fn take(&self, name: &str, shape: &[usize]) -> Result<(String, StoredTensor)> {
        let (name, stored) = self.take_any(name, shape)?;
        if !matches!(stored.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            let path = self.shared.checkpoint.path(&stored).into();
            return Err(Error::UnsupportedType { path, dtype: stored.dtype, name });
        }
        Ok((name, stored))
    }

    fn take_any(&self, name: &str, shape: &[usize]) -> Result<(String, StoredTensor)> {
        let name = self.full_name(name);
        let checkpoint = &self.shared.checkpoint;
        let Some(stored) = checkpoint.get(&name) else {
            return Err(Error::Missing { name, files: checkpoint.files() });
        };
        if stored.shape != shape {
            let path = checkpoint.path(stored).into();
            return Err(Error::Shape { path, expected: shape.into(), found: stored.shape.clone(), name });
        }
        self.used().insert(name.clone());
        Ok((name, stored.clone()))
    }

    fn quantize(
        &self,
        name: &str,
        stored: &StoredTensor,
        format: Format,
        (rows, cols): (usize, usize),
    ) -> Result<Weight> {
        let checkpoint = &self.shared.checkpoint;
        let (bytes, range) = checkpoint.data(stored);
        let bytes = &(*bytes).as_ref()[range];
        let widen = self.widener(name, stored)?;
        let row = bytes.len() / rows.max(1);
        let weight = Quantized::quantize(Cpu::detect(), format, rows, cols, |index, values| {
            widen(&bytes[index * row..][..row], values);
        });
        checkpoint.release(stored);
        Ok(Weight::quantized(weight))
    }

    /// All elements as `f32`.
    fn widen(&self, name: &str, stored: &StoredTensor) -> Result<Vec<f32>> {
        let (bytes, range) = self.shared.checkpoint.data(stored);
        let mut values = vec![0.0; stored.elements()];
        self.widener(name, stored)?(&(*bytes).as_ref()[range], &mut values);
        Ok(values)
    }

    /// What turns a tensor's bytes into `f32`.
    fn widener(&self, name: &str, stored: &StoredTensor) -> Result<Widen> {
        fn each<const N: usize>(bytes: &[u8], values: &mut [f32], widen: fn([u8; N]) -> f32) {
            values.iter_mut().zip(bytes.as_chunks().0).for_each(|(value, bytes)| *value = widen(*bytes));
        }
        match stored.dtype {
            Dtype::F32 => Ok(|bytes, values| each(bytes, values, f32::from_le_bytes)),
            Dtype::F16 => Ok(|bytes, values| each(bytes, values, |pair| f16::from_le_bytes(pair).to_f32())),
            Dtype::BF16 => Ok(|bytes, values| each(bytes, values, |pair| bf16::from_le_bytes(pair).to_f32())),
            dtype => {
                let path = self.shared.checkpoint.path(stored).into();
                Err(Error::UnsupportedType { name: name.into(), path, dtype })
            }
        }
    }

    fn activations(&self, stored: &StoredTensor) -> DType {
        match (self.device().is_cpu(), self.shared.weights, stored.dtype) {
            (true, ..) | (_, WeightType::F32, _) | (_, WeightType::AsStored, Dtype::F32) => DType::F32,
            (_, WeightType::Bf16, _) | (_, WeightType::AsStored, Dtype::BF16) => DType::BF16,
            (_, WeightType::F16 | WeightType::AsStored, _) => DType::F16,
        }
    }
}
