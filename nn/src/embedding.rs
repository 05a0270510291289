//! Rows looked up by id.

use crate::{Error, Result, Weight};
use candle_core::{Device, Tensor};
use seekvl_kernels::Elements;

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
        let row = |id: &u32| *id as usize * hidden..(*id as usize + 1) * hidden;
        let values: Vec<f32> = match self.table.matrix().map(|table| table.elements()) {
            Some(Elements::F32(table)) => ids.iter().flat_map(|id| table[row(id)].iter().copied()).collect(),
            Some(Elements::Bf16(table)) => {
                ids.iter().flat_map(|id| table[row(id)].iter().map(|v| v.to_f32())).collect()
            }
            None => {
                let Some(table) = self.table.tensor() else { unreachable!("a weight is on the CPU or on a device") };
                return Ok(table.index_select(&Tensor::new(ids, table.device())?, 0)?);
            }
        };
        Ok(Tensor::from_vec(values, (ids.len(), hidden), &Device::Cpu)?)
    }

    /// The table `[vocabulary, hidden]`, for output layers that share it.
    pub fn table(&self) -> &Weight {
        &self.table
    }
}
