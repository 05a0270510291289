//! Handing out the tensors of a checkpoint, strictly.

mod gated;

use crate::fp8::BlockSize;
use crate::rows::Elements;
use crate::weight::Data;
use crate::{
    Checkpoint, Embedding, Error, ExpertStore, LayerNorm, Linear, Quantization, Renaming, Result, RmsNorm, Rows,
    StoredDtype, StoredTensor, Weight,
};
use candle_core::{DType, Device, Tensor};
use half::bf16;
use seekvl_kernels::quantized::{Format, Quantized};
use seekvl_kernels::{Cpu, Shelf};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The type that matrices are kept in; those that a file has quantised stay so on a CPU. Norms, biases and routers are `f32` on a CPU whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightType {
    /// As the checkpoint has them; f16, and blocks that there are no products for, become f32 on a CPU.
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
    formats: Option<Formats>,
    /// Of matrices in 8 bits, where the checkpoint has some.
    fp8_blocks: Option<BlockSize>,
    experts: Option<Arc<ExpertStore>>,
    names: &'static [Renaming],
    used: Mutex<BTreeSet<String>>,
    taken: Arc<AtomicU64>,
    /// Where quantised matrices stand.
    shelf: Arc<Shelf>,
}

/// What is added to the name of a matrix in 8 bits: the name of its scales.
const SCALES: &str = "_scale_inv";

/// What a matrix is kept as on a CPU.
#[derive(Clone, Copy)]
enum Kept {
    /// The blocks that the file has.
    Blocks(Format),
    /// Rounded to a format.
    Rounded(Format),
    Bf16,
    F32,
}

impl Kept {
    /// Bytes that it takes, as [`Weight::bytes`]; none if they are beyond counting.
    fn bytes(self, rows: usize, cols: usize) -> Option<usize> {
        let all = |size: usize| rows.checked_mul(cols)?.checked_mul(size);
        match self {
            Self::Blocks(format) | Self::Rounded(format) => format.bytes(rows, cols),
            Self::Bf16 => all(size_of::<bf16>()),
            Self::F32 => all(size_of::<f32>()),
        }
    }
}

/// The format to round a matrix to, by its name and its inputs.
type Formats = Arc<dyn Fn(&str, usize) -> Option<Format> + Send + Sync>;

impl Loader {
    /// The root of a checkpoint's names.
    ///
    /// # Errors
    /// [`Error::HalfOnCpu`] for [`WeightType::F16`] on a CPU.
    pub fn new(checkpoint: Arc<Checkpoint>, device: Device, weights: WeightType) -> Result<Self> {
        if weights == WeightType::F16 && device.is_cpu() {
            return Err(Error::HalfOnCpu);
        }
        let (formats, fp8_blocks, experts, names) = (None, None, None, &[][..]);
        let (used, taken, shelf) = Default::default();
        let shared = Shared { checkpoint, device, weights, formats, fp8_blocks, experts, names, used, taken, shelf };
        Ok(Self { shared: Arc::new(shared), prefix: String::new(), reads: false })
    }

    /// The same place, but matrices are rounded as they are loaded, those that [`Quantization::format`] says; the others
    /// are kept as without it, and so are those that the file has quantised. Matrices are rounded by a few rows at a time: no
    /// more memory is used than for the result, and pages of the file that were read for it are given back.
    ///
    /// # Errors
    /// [`Error::QuantizedOnDevice`] if the tensors do not go to the CPU.
    pub fn quantized(self, quantization: Quantization) -> Result<Self> {
        self.quantized_by(move |name, inputs| quantization.format(name, inputs))
    }

    /// As [`Loader::quantized`], but `format` says which matrix is rounded to what, by its name and its inputs.
    ///
    /// # Errors
    /// As [`Loader::quantized`].
    pub fn quantized_by(self, format: impl Fn(&str, usize) -> Option<Format> + Send + Sync + 'static) -> Result<Self> {
        if !self.device().is_cpu() {
            return Err(Error::QuantizedOnDevice);
        }
        Ok(self.with(|shared| shared.formats = Some(Arc::new(format))))
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

    /// The same place in a checkpoint that has other names than those that are asked for. What errors and
    /// [`Quantization::format`] are told are the checkpoint's.
    #[must_use]
    pub fn renamed(self, names: &'static [Renaming]) -> Self {
        self.with(|shared| shared.names = names)
    }

    /// The same place with other settings; what was used so far counts for it too.
    fn with(self, change: impl FnOnce(&mut Shared)) -> Self {
        let Shared { checkpoint, device, weights, formats, fp8_blocks, experts, names, used, taken, shelf } =
            &*self.shared;
        let mut shared = Shared {
            checkpoint: checkpoint.clone(),
            device: device.clone(),
            weights: *weights,
            formats: formats.clone(),
            fp8_blocks: *fp8_blocks,
            experts: experts.clone(),
            names,
            used: Mutex::new(used.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            taken: taken.clone(),
            shelf: shelf.clone(),
        };
        change(&mut shared);
        Self { shared: Arc::new(shared), ..self }
    }

    /// The place `part` below this one.
    #[must_use]
    pub fn at(&self, part: impl Display) -> Self {
        Self { shared: self.shared.clone(), prefix: self.asked_name(&part.to_string()), reads: self.reads }
    }

    /// Where the tensors go.
    pub fn device(&self) -> &Device {
        &self.shared.device
    }

    /// Counts bytes of the files: those of every tensor, once it is asked for.
    pub fn taken(&self) -> Arc<AtomicU64> {
        self.shared.taken.clone()
    }

    /// Whether the checkpoint has a tensor of this name here.
    pub fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// The shape of a tensor, if the checkpoint has it here.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shared.checkpoint.get(&self.full_name(name)).map(|stored| &stored.shape[..])
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
        let (_, stored) = self.look_up(name, shape)?;
        let tensor = Tensor::from_vec(self.rows(name, shape)?.all(), shape, &Device::Cpu)?;
        Ok(tensor.to_device(self.device())?.to_dtype(self.on_device(self.shared.weights, &stored))?)
    }

    /// A matrix. `shape[0]` are its outputs, the product of the rest its inputs (a convolution over patches that do not
    /// overlap is a matrix too).
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn weight(&self, name: &str, shape: &[usize]) -> Result<Weight> {
        if !self.device().is_cpu() {
            return self.weight_on_device(name, shape, self.shared.weights);
        }
        let (full_name, stored) = self.look_up(name, shape)?;
        self.weight_as(name, shape, self.kept(&full_name, &stored))
    }

    /// A matrix kept in `f32` whatever the others are.
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn weight_f32(&self, name: &str, shape: &[usize]) -> Result<Weight> {
        if !self.device().is_cpu() {
            return self.weight_on_device(name, shape, WeightType::F32);
        }
        self.weight_as(name, shape, Kept::F32)
    }

    fn weight_on_device(&self, name: &str, shape: &[usize], kept: WeightType) -> Result<Weight> {
        let ((_, tensor), (rows, cols)) = (self.look_up(name, shape)?, matrix(shape));
        let values = Tensor::from_vec(self.rows(name, shape)?.all(), (rows, cols), &Device::Cpu)?;
        let values = values.to_dtype(self.on_device(kept, &tensor))?;
        Ok(Weight::device(values.to_device(self.device())?, rows, cols))
    }

    /// What a matrix is kept as on a CPU.
    fn kept(&self, full_name: &str, stored: &StoredTensor) -> Kept {
        let inputs = matrix(&stored.shape).1;
        // Convolutions stay as they are.
        let formats = self.shared.formats.as_ref().filter(|_| stored.shape.len() == 2);
        match (stored.dtype, self.shared.weights) {
            (StoredDtype::Blocks(format), _) => Kept::Blocks(format),
            (dtype, weights) => match (formats.and_then(|formats| formats(full_name, inputs)), weights, dtype) {
                (Some(format), ..) => Kept::Rounded(format),
                (_, WeightType::Bf16, _) => Kept::Bf16,
                (_, WeightType::AsStored, StoredDtype::BF16 | StoredDtype::F8E4M3) => Kept::Bf16,
                _ => Kept::F32,
            },
        }
    }

    fn weight_as(&self, name: &str, shape: &[usize], kept: Kept) -> Result<Weight> {
        let (stored, (rows, cols)) = (self.rows(name, shape)?, matrix(shape));
        let fill = |row: usize, values: &mut [f32]| stored.read(row, values);
        // Experts that are read for a store come and go by themselves.
        let shelf = (!self.reads).then_some(&*self.shared.shelf);
        let quantized = match kept {
            Kept::Blocks(format) => Quantized::from_blocks(format, rows, cols, shelf, stored.stored()),
            Kept::Rounded(format) => Some(Quantized::quantize(Cpu::detect(), format, rows, cols, shelf, fill)),
            Kept::Bf16 | Kept::F32 => None,
        };
        if let Some(quantized) = quantized {
            stored.release();
            return Ok(Weight::quantized(quantized));
        }
        let (bytes, range) = stored.place();
        let aligned = |to: usize| stored.stored().as_ptr().addr().is_multiple_of(to);
        let data = match (kept, stored.dtype()) {
            (Kept::Bf16, StoredDtype::BF16) if aligned(2) => Data::FileBf16(bytes, range),
            (Kept::F32, StoredDtype::F32) if aligned(4) => Data::FileF32(bytes, range),
            (Kept::Bf16, _) => {
                let (mut values, mut wide) = (Vec::with_capacity(rows * cols), vec![0.0; cols]);
                for row in 0..rows {
                    stored.read(row, &mut wide);
                    values.extend(wide.iter().map(|&value| bf16::from_f32(value)));
                }
                stored.release();
                Data::Bf16(values.into())
            }
            _ => {
                let values = stored.all();
                stored.release();
                Data::F32(values.into())
            }
        };
        Ok(Weight::host(data, rows, cols))
    }

    /// The rows of a tensor as numbers; a vector is one of one number each. It is ticked off.
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn rows(&self, name: &str, shape: &[usize]) -> Result<Rows> {
        let (full_name, stored) = self.look_up(name, shape)?;
        let (rows, cols) = matrix(shape);
        let unsupported = || Error::UnsupportedType {
            name: full_name.clone(),
            path: self.shared.checkpoint.path(&stored).into(),
            dtype: stored.dtype,
        };
        let elements = match stored.dtype {
            StoredDtype::F32 => Elements::F32,
            StoredDtype::F16 => Elements::F16,
            StoredDtype::BF16 => Elements::Bf16,
            // Blocks lie along a row: they are whole where that is the file's last side.
            StoredDtype::Blocks(format) if format.row_bytes(cols).is_some() => Elements::Blocks(format),
            StoredDtype::Widened(blocks) if stored.dtype.row_bytes(cols).is_some() => Elements::Widened(blocks),
            StoredDtype::F8E4M3 => {
                let blocks = self.shared.fp8_blocks.ok_or_else(unsupported)?;
                let (name, shape) = (format!("{name}{SCALES}"), blocks.scales(rows, cols));
                Elements::Fp8(blocks, self.rows(&name, &shape)?.all())
            }
            StoredDtype::Blocks(_) | StoredDtype::Widened(_) | StoredDtype::Other(_) => return Err(unsupported()),
        };
        if self.used().insert(full_name) {
            self.shared.taken.fetch_add(stored.bytes() as u64, Ordering::Relaxed);
        }
        let checkpoint = self.shared.checkpoint.clone();
        let place = if self.reads { checkpoint.read(&stored)? } else { checkpoint.data(&stored) };
        Ok(Rows::new(checkpoint, stored, place, (rows, cols), elements))
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

    fn asked_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.into() } else { format!("{}.{name}", self.prefix) }
    }

    /// The name in the checkpoint.
    fn full_name(&self, name: &str) -> String {
        Renaming::apply(self.shared.names, &self.asked_name(name)).into_owned()
    }

    fn used(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.shared.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tensor of this shape, and its full name.
    fn look_up(&self, name: &str, shape: &[usize]) -> Result<(String, StoredTensor)> {
        let name = self.full_name(name);
        let checkpoint = &self.shared.checkpoint;
        let Some(stored) = checkpoint.get(&name) else {
            return Err(Error::Missing { name, files: checkpoint.files() });
        };
        if stored.shape != shape {
            let path = checkpoint.path(stored).into();
            return Err(Error::Shape { path, expected: shape.into(), found: stored.shape.clone(), name });
        }
        Ok((name, stored.clone()))
    }

    /// The type of a tensor where it goes.
    fn on_device(&self, kept: WeightType, stored: &StoredTensor) -> DType {
        match (self.device().is_cpu(), kept, stored.dtype) {
            (true, ..) | (_, WeightType::F32, _) | (_, WeightType::AsStored, StoredDtype::F32) => DType::F32,
            (_, WeightType::Bf16, _) => DType::BF16,
            (_, WeightType::AsStored, StoredDtype::BF16 | StoredDtype::F8E4M3) => DType::BF16,
            (_, WeightType::F16 | WeightType::AsStored, _) => DType::F16,
        }
    }
}

/// Outputs, and inputs: all sides but the first.
fn matrix(shape: &[usize]) -> (usize, usize) {
    (shape[0], shape[1..].iter().product())
}
