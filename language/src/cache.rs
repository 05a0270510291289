//! What a decoder keeps of the tokens it has seen.

use crate::{DecoderSpec, Error, Result};
use seekvl_nn::{CacheType, KEYS, Tensor};
use std::collections::VecDeque;
use std::fmt;

/// Keys and values (or latents) of one sequence, for all layers. Its owner is the caller of
/// [`Decoder::forward`](crate::Decoder::forward), which appends to it.
///
/// It grows in blocks of [`Cache::BLOCK`] tokens; nothing is moved when it grows. Where the decoder attends to a window,
/// blocks that no further token sees are let go.
pub struct Cache {
    /// For each layer the blocks from token `gone` on, `[heads, BLOCK, elements]`: what a head reads lies together.
    layers: Vec<VecDeque<Tensor>>,
    kind: CacheType,
    row: (usize, usize),
    len: usize,
    /// Tokens at the beginning that were let go, a multiple of the block.
    gone: usize,
    limit: usize,
    window: Option<usize>,
}

impl Cache {
    /// Tokens of a block. Attention takes keys in blocks of as many, so that it can read these where they are.
    pub const BLOCK: usize = KEYS;

    pub(crate) fn new(spec: &DecoderSpec, kind: CacheType) -> Self {
        Self {
            layers: vec![VecDeque::new(); spec.layers],
            kind,
            row: spec.attention.cache_row(),
            len: 0,
            gone: 0,
            limit: spec.longest(),
            window: spec.window,
        }
    }

    /// Tokens of the sequence, those that were let go included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it keeps keys and values as.
    pub fn kind(&self) -> CacheType {
        self.kind
    }

    /// Most tokens that the sequence can have, as [`DecoderSpec::longest`] says.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Forgets all but the first `len` tokens. Their room is kept for others. Where tokens were let go that the next one
    /// would see, nothing is left; taking back up to [`Cache::BLOCK`] tokens is always possible.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        if self.first_seen() < self.gone {
            self.layers.iter_mut().for_each(VecDeque::clear);
            (self.len, self.gone) = (0, 0);
        }
    }

    /// Bytes that it takes, its spare room included.
    pub fn bytes(&self) -> usize {
        self.layers.iter().flatten().map(|rows| rows.elem_count() * rows.dtype().size_in_bytes()).sum()
    }

    /// Tokens that there is room for with `tokens` in the cache: in a window of `window`, and while `rows` of them go
    /// through the decoder at once.
    pub fn room(tokens: usize, rows: usize, window: Option<usize>) -> usize {
        let held =
            window.map_or(tokens, |window| tokens.min(window.saturating_add(rows).saturating_add(2 * Self::BLOCK)));
        held.div_ceil(Self::BLOCK).saturating_mul(Self::BLOCK)
    }

    /// Whether `rows` more tokens fit, in the cache of a decoder like this one.
    pub(crate) fn check(&self, spec: &DecoderSpec, kind: CacheType, rows: usize) -> Result<()> {
        let same = (self.layers.len(), self.row, self.kind) == (spec.layers, spec.attention.cache_row(), kind);
        if !same || (self.limit, self.window) != (spec.longest(), spec.window) {
            return Err(Error::ForeignCache);
        }
        let asked = self.len.saturating_add(rows);
        if asked > self.limit { Err(Error::Context { asked, limit: self.limit }) } else { Ok(()) }
    }

    /// The first token that the next one sees.
    fn first_seen(&self) -> usize {
        self.window.map_or(0, |window| (self.len + 1).saturating_sub(window))
    }

    /// Tokens that were let go: those that [`Cache::append`] returns begin after them.
    pub(crate) fn gone(&self) -> usize {
        self.gone
    }

    /// How many tokens a token sees, where it is not all, itself included.
    pub(crate) fn window(&self) -> Option<usize> {
        self.window
    }

    /// Writes `rows` `[n, heads, width]` of layer `layer` after the tokens that all layers have, and returns those that
    /// are there and the new ones. They become part of the sequence with [`Cache::advance`].
    pub(crate) fn append(&mut self, layer: usize, rows: &Tensor) -> Result<CachedRows> {
        let (blocks, rows) = (&mut self.layers[layer], self.kind.store(rows)?.transpose(0, 1)?);
        let (start, count) = (self.len - self.gone, rows.dim(1)?);
        let end = start + count;
        while blocks.len() * Self::BLOCK < end {
            blocks.push_back(Tensor::zeros((self.row.0, Self::BLOCK, rows.dim(2)?), rows.dtype(), rows.device())?);
        }
        let mut at = start;
        while at < end {
            let offset = at % Self::BLOCK;
            let part = (Self::BLOCK - offset).min(end - at);
            blocks[at / Self::BLOCK].slice_set(&rows.narrow(1, at - start, part)?.contiguous()?, 1, offset)?;
            at += part;
        }
        let filled = |(index, block): (usize, &Tensor)| {
            block.narrow(1, 0, Self::BLOCK.min(end - index * Self::BLOCK))?.transpose(0, 1)
        };
        let blocks = blocks.iter().take(end.div_ceil(Self::BLOCK)).enumerate().map(filled).collect::<Result<_, _>>()?;
        Ok(CachedRows { blocks, kind: self.kind })
    }

    /// Counts `rows` tokens in, after every layer has appended them, and lets blocks go that are out of sight. One more
    /// is kept, so that a few tokens can be taken back.
    pub(crate) fn advance(&mut self, rows: usize) {
        self.len += rows;
        let out_of_sight = self.first_seen().saturating_sub(Self::BLOCK) / Self::BLOCK * Self::BLOCK;
        while self.gone < out_of_sight {
            self.layers.iter_mut().for_each(|blocks| drop(blocks.pop_front()));
            self.gone += Self::BLOCK;
        }
    }
}

/// What a cache keeps of the tokens of one layer, `[tokens, heads, width]`, as it keeps it.
pub(crate) struct CachedRows {
    blocks: Vec<Tensor>,
    kind: CacheType,
}

impl CachedRows {
    /// Of some heads, for [`attention`](seekvl_nn::attention()), without a copy.
    pub fn heads(&self, start: usize, count: usize) -> Result<Vec<Tensor>> {
        Ok(self.blocks.iter().map(|block| block.narrow(1, start, count)).collect::<Result<_, _>>()?)
    }

    /// The first numbers of each head, in the same way.
    pub fn front(&self, width: usize) -> Result<Vec<Tensor>> {
        let elements = self.kind.elements(width);
        Ok(self.blocks.iter().map(|block| block.narrow(2, 0, elements)).collect::<Result<_, _>>()?)
    }

    /// All, as they are kept.
    pub fn all(&self) -> &[Tensor] {
        &self.blocks
    }

    /// All, as numbers.
    pub fn numbers(&self) -> Result<Tensor> {
        Ok(CacheType::restore(&Tensor::cat(&self.blocks, 0)?)?)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, limit, kind, .. } = self;
        f.debug_struct("Cache")
            .field("kind", kind)
            .field("len", len)
            .field("limit", limit)
            .field("bytes", &self.bytes())
            .finish()
    }
}
