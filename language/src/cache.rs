//! What a decoder keeps of the tokens it has seen.

use crate::{DecoderSpec, Error, Result};
use seekvl_nn::Tensor;
use std::fmt;

/// Keys and values (or latents) of one sequence, for all layers. Its owner is the caller of
/// [`Decoder::forward`](crate::Decoder::forward), which appends to it.
///
/// Room grows in steps that double it, up to the decoder's context.
pub struct Cache {
    /// One for each layer, `[capacity, heads, width]`, once something was appended.
    layers: Vec<Option<Tensor>>,
    row: (usize, usize),
    len: usize,
    limit: usize,
}

impl Cache {
    /// Tokens that there is room for at first, to spare short sequences many small steps.
    pub const SMALLEST_ROOM: usize = 64;

    pub(crate) fn new(spec: &DecoderSpec) -> Self {
        let row = spec.attention.cache_row();
        Self { layers: vec![None; spec.layers], row, len: 0, limit: spec.max_positions }
    }

    /// Tokens in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Most tokens that it can hold: the decoder's context.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Forgets all but the first `len` tokens. Their room is kept for others.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Bytes that it takes, its spare room included.
    pub fn bytes(&self) -> usize {
        self.layers.iter().flatten().map(|rows| rows.elem_count() * rows.dtype().size_in_bytes()).sum()
    }

    /// Whether `rows` more tokens fit, in the cache of a decoder like this one.
    pub(crate) fn check(&self, spec: &DecoderSpec, rows: usize) -> Result<()> {
        if self.layers.len() != spec.layers
            || self.row != spec.attention.cache_row()
            || self.limit != spec.max_positions
        {
            return Err(Error::ForeignCache);
        }
        let asked = self.len.saturating_add(rows);
        if asked > self.limit { Err(Error::Context { asked, limit: self.limit }) } else { Ok(()) }
    }

    /// Writes `rows` `[n, heads, width]` of layer `layer` after the tokens that all layers have, and returns those and
    /// the new ones, `[len + n, heads, width]`. They become part of the sequence with [`Cache::advance`].
    pub(crate) fn append(&mut self, layer: usize, rows: &Tensor) -> Result<Tensor> {
        let end = self.len + rows.dim(0)?;
        let room = match &self.layers[layer] {
            Some(room) if room.dim(0)? >= end => room.clone(),
            grown => {
                let full = grown.as_ref().map_or(Ok(0), |old| old.dim(0))?;
                let capacity = end.max(2 * full).max(Self::SMALLEST_ROOM).min(self.limit);
                let room = Tensor::zeros((capacity, self.row.0, self.row.1), rows.dtype(), rows.device())?;
                if let Some(old) = grown.as_ref().filter(|_| self.len > 0) {
                    room.slice_set(&old.narrow(0, 0, self.len)?, 0, 0)?;
                }
                self.layers[layer] = Some(room.clone());
                room
            }
        };
        room.slice_set(&rows.contiguous()?, 0, self.len)?;
        Ok(room.narrow(0, 0, end)?)
    }

    /// Counts `rows` tokens in, after every layer has appended them.
    pub(crate) fn advance(&mut self, rows: usize) {
        self.len += rows;
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, limit, .. } = self;
        f.debug_struct("Cache").field("len", len).field("limit", limit).field("bytes", &self.bytes()).finish()
    }
}
