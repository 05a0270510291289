//! Gated layers, of which experts may stay in their files.

use super::{Loader, matrix};
use crate::expert_store::Stored;
use crate::{Experts, GatedMlp, Result};

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
    fn weight_bytes(&self, name: &str, shape: &[usize]) -> Result<(u64, u64)> {
        let (full_name, stored) = self.look_up(name, shape)?;
        let (outputs, inputs) = matrix(shape);
        let bytes = self.kept(&full_name, &stored).bytes(outputs, inputs).unwrap_or(usize::MAX);
        Ok((bytes as u64, self.rows(name, shape)?.file_bytes() as u64))
    }
}
