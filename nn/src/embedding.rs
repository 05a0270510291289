//! Rows looked up by id.

use crate::{Error, Result, Weight};
use candle_core::{Device, Tensor};

/// A table `[vocabulary, hidden]`.
#[derive(Clone)]
pub struct Embedding {
    table: Weight,
}

impl Embedding {
    /// From its table.
    pub fn new(table: Weight) -> Self {
        Self { table }
    }

    /// The rows of `ids`: `[ids, hidden]`, `f32` on a CPU.
    ///
    /// # Errors
    /// An id outside the table.
    pub fn forward(&self, ids: &[u32]) -> Result<Tensor> {
        let (rows, hidden) = (self.table.rows(), self.table.cols());
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= rows) {
            return Err(Error::Id { id, rows });
        }
        if let Some(table) = self.table.tensor() {
            return Ok(table.index_select(&Tensor::new(ids, table.device())?, 0)?);
        }
        let mut values = vec![0f32; ids.len() * hidden];
        for (id, values) in ids.iter().zip(values.chunks_exact_mut(hidden.max(1))) {
            self.table.read_row(*id as usize, values);
        }
        Ok(Tensor::from_vec(values, (ids.len(), hidden), &Device::Cpu)?)
    }

    /// The table `[vocabulary, hidden]`, for output layers that share it.
    pub fn table(&self) -> &Weight {
        &self.table
    }
}
