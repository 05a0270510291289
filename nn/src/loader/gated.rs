//! Gated layers, of which experts may stay in their files.

use super::{Loader, SCALES};
use crate::expert_store::Stored;
use crate::{Experts, GatedMlp, Result, WeightType};
use half::bf16;
use safetensors::Dtype;

/// Names and shapes of the matrices of a gated layer.
fn gated_shapes(hidden: usize, inner: usize) -> [(&'static str, [usize; 2]); 3] {
    [("gate_proj", [inner, hidden]), ("up_proj", [inner, hidden]), ("down_proj", [hidden, inner])]
}

impl Loader {
    /// `gate_proj`, `up_proj` and `down_proj` of a gated layer without biases.
    ///
    /// # Errors
    /// As [`Loader::tensor`].
    pub fn gated_mlp(&self, hidden: usize, inner: usize) -> Result<GatedMlp> {
        let [gate, up, down] =
            gated_shapes(hidden, inner).map(|(name, shape)| self.weight(&format!("{name}.weight"), &shape));
        Ok(GatedMlp::new(gate?, up?, down?))
    }

    /// [`Loader::gated_mlp`] in memory of its own.
    pub(crate) fn read_gated_mlp(&self, hidden: usize, inner: usize) -> Result<GatedMlp> {
        Self { reads: true, ..self.clone() }.gated_mlp(hidden, inner)
    }

    /// Gated layers `0`, `1`, .. of one shape, `count` of them; in the store of [`Loader::with_expert_store`], if there is
    /// one. None is read then, but names and shapes are checked.
    ///
    /// # Errors
    /// As [`Loader::tensor`], and [`Error::ExpertBudget`](crate::Error::ExpertBudget).
    pub fn experts(&self, count: usize, hidden: usize, inner: usize) -> Result<Experts> {
        let Some(store) = &self.shared.experts else {
            let layers = (0..count).map(|expert| self.at(expert).gated_mlp(hidden, inner));
            return Ok(Experts::new(layers.collect::<Result<_>>()?));
        };
        let stored = (0..count).map(|expert| {
            let mut stored = Stored { loader: self.at(expert), bytes: 0, file_bytes: 0 };
            for (name, shape) in gated_shapes(hidden, inner) {
                let (bytes, file_bytes) = stored.loader.weight_bytes(&format!("{name}.weight"), &shape)?;
                stored.bytes += bytes;
                stored.file_bytes += file_bytes;
            }
            Ok(stored)
        });
        let layer = store.add(hidden, inner, stored.collect::<Result<_>>()?)?;
        Ok(Experts::stored(store.clone(), layer))
    }

    /// Bytes that a matrix takes in memory, and those that it takes in the file. Ticks it off.
    fn weight_bytes(&self, name: &str, shape: &[usize; 2]) -> Result<(u64, u64)> {
        let fp8 = self.shared.fp8_blocks.filter(|_| self.is_fp8(name));
        let (full_name, stored) = if fp8.is_some() { self.take_any(name, shape)? } else { self.take(name, shape)? };
        let mut file_bytes = stored.bytes();
        if let Some(blocks) = fp8 {
            file_bytes += self.take(&format!("{name}{SCALES}"), &blocks.scales(shape[0], shape[1]))?.1.bytes();
        }
        let format = self.shared.quantization.and_then(|quantization| quantization.format(&full_name, shape[1]));
        let bytes = match (format, self.shared.weights, stored.dtype) {
            (Some(format), ..) => format.bytes(shape[0], shape[1]).unwrap_or(usize::MAX),
            (_, WeightType::Bf16, _) | (_, WeightType::AsStored, Dtype::BF16 | Dtype::F8_E4M3) => {
                stored.elements() * size_of::<bf16>()
            }
            _ => stored.elements() * size_of::<f32>(),
        };
        Ok((bytes as u64, file_bytes as u64))
    }
}
