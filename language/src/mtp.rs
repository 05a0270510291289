//! Multi-token prediction: one more layer after the decoder's last that guesses the token after the next (DeepSeek-AI 2024,
//! "DeepSeek-V3", section 2.2). The engine lets it draft, and the decoder verify.

use crate::decoder::Layer;
use crate::{Cache, Decoder, DecoderSpec, Error, Probe, Result, Span};
use seekvl_nn::{CacheType, DType, Embedding, Linear, Loader, RmsNorm, Rotary, Tensor};

/// The layer that drafts. Immutable, as the decoder is; each sequence has a [`Cache`] of its own for it.
pub struct Mtp {
    /// The decoder's, with one layer.
    spec: DecoderSpec,
    embedding: Embedding,
    rotary: Rotary,
    token_norm: RmsNorm,
    hidden_norm: RmsNorm,
    join: Linear,
    layer: Layer,
    norm: RmsNorm,
    output: Linear,
    cache_type: CacheType,
}

impl Mtp {
    /// Takes the weights of `decoder`'s layer for multi-token prediction from a checkpoint, by DeepSeek-V3's names at
    /// `model.layers.N` of the loader's place, where N is the number of the decoder's layers. `None` where the
    /// configuration names no such layer, or the checkpoint leaves it out. Embeddings and output layer are the decoder's,
    /// unless the checkpoint repeats them.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen or of an unread type.
    pub fn load(loader: &Loader, decoder: &Decoder) -> Result<Option<Self>> {
        let spec = decoder.spec();
        let loader = Self::place(loader, spec);
        if !spec.has_mtp || !loader.contains("eh_proj.weight") {
            return Ok(None);
        }
        let (vocab, hidden) = (spec.vocab_size, spec.hidden_size);
        let norm = |name| loader.rms_norm(name, hidden, spec.rms_eps);
        let head = loader.at("shared_head");
        Ok(Some(Self {
            embedding: match loader.contains("embed_tokens.weight") {
                true => loader.embedding("embed_tokens", vocab, hidden)?,
                false => decoder.embedding().clone(),
            },
            rotary: spec.rotary.build(),
            token_norm: norm("enorm")?,
            hidden_norm: norm("hnorm")?,
            join: loader.linear("eh_proj", 2 * hidden, hidden, false)?,
            layer: Layer::load(&loader, spec, spec.layers)?,
            norm: norm("shared_head.norm")?,
            output: match head.contains("head.weight") {
                true => head.linear("head", hidden, vocab, false)?,
                false => decoder.output().clone(),
            },
            cache_type: decoder.cache_type(),
            spec: DecoderSpec { layers: 1, ..spec.clone() },
        }))
    }

    /// Ticks its tensors off without loading them.
    pub fn skip(loader: &Loader, spec: &DecoderSpec) {
        if spec.has_mtp {
            // With the dot, or layer 6 would skip 60 too.
            Self::place(loader, spec).skip("");
        }
    }

    fn place(loader: &Loader, spec: &DecoderSpec) -> Loader {
        loader.at("model").at("layers").at(spec.layers)
    }

    /// An empty cache for one sequence, of the decoder's type.
    pub fn new_cache(&self) -> Cache {
        Cache::new(&self.spec, self.cache_type)
    }

    /// Runs packed rows: row `i` has the decoder's state `hidden` `[rows, hidden]` after its final norm at position
    /// `positions[i] - 1`, and the token `ids[i]` at `positions[i]`. Returns states `[rows, hidden]` that are worth
    /// [`Mtp::logits`] of the token at `positions[i] + 1`. To `probe` it is layer 0.
    ///
    /// # Errors
    /// An id outside the vocabulary, spans that the rows do not add up to, a cache of another model.
    pub fn forward(
        &self,
        hidden: &Tensor,
        ids: &[u32],
        positions: &[usize],
        spans: &mut [Span<'_>],
        probe: &mut dyn Probe,
    ) -> Result<Tensor> {
        let rows = ids.len();
        let spanned: usize = spans.iter().map(|span| span.rows).sum();
        if hidden.dims() != [rows, self.spec.hidden_size] || positions.len() != rows || spanned != rows || rows == 0 {
            return Err(Error::Spans { rows, spans: spans.iter().map(|span| span.rows).collect() });
        }
        for span in &*spans {
            span.cache.check(&self.spec, self.cache_type, span.rows)?;
        }
        let tokens = self.token_norm.forward(&self.embedding.forward(ids)?)?;
        let joined = Tensor::cat(&[tokens, self.hidden_norm.forward(hidden)?], 1)?;
        let angles = self.rotary.angles(positions);
        let states = self.layer.forward(&self.join.forward(&joined)?, &angles, 0, spans, probe)?;
        for span in spans {
            span.cache.advance(span.rows);
        }
        Ok(self.norm.forward(&states)?)
    }

    /// Logits `[rows, vocabulary]` in `f32` of states as [`Mtp::forward`] returns them.
    ///
    /// # Errors
    /// If the tensor is of another width.
    pub fn logits(&self, states: &Tensor) -> Result<Tensor> {
        Ok(self.output.forward(states)?.to_dtype(DType::F32)?)
    }
}
