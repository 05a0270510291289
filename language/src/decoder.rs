//! The decoder: embeddings, layers of attention and feed-forward, output.

use crate::attention::Attention;
use crate::feed_forward::FeedForward;
use crate::{Cache, DecoderSpec, Error, LatentForm, Probe, Result};
use seekvl_nn::{Angles, Arithmetic, CacheType, DType, Embedding, Linear, Loader, RmsNorm, Rotary, Tensor};

/// A language model's decoder, assembled from the parts that its [`DecoderSpec`] names. It is immutable: one serves many
/// threads, each with its own [`Cache`]s.
pub struct Decoder {
    spec: DecoderSpec,
    embedding: Embedding,
    rotary: Rotary,
    layers: Vec<Layer>,
    norm: RmsNorm,
    output: Linear,
    cache_type: CacheType,
}

/// Rows of one pass that belong to one sequence, and what the decoder keeps of that sequence.
pub struct Span<'a> {
    /// How many; at least one.
    pub rows: usize,
    /// The sequence so far. The rows' positions follow: `cache.len() .. cache.len() + rows`.
    pub cache: &'a mut Cache,
    /// How they multiply with the cache of latent attention; of no meaning to grouped attention.
    pub form: LatentForm,
}

impl Decoder {
    /// Takes the weights from a checkpoint, by the names of Hugging Face's DeepSeek-V2 and LLaMA classes
    /// (`model.embed_tokens`, `model.layers.0`, ..., `model.norm`, `lm_head`) at the loader's place.
    ///
    /// # Errors
    /// A specification that [`DecoderSpec::check`] refuses, or that chooses a cache's type elsewhere than on a CPU; a tensor
    /// that is missing, misshapen or of an unread type.
    pub fn load(loader: &Loader, spec: &DecoderSpec) -> Result<Self> {
        spec.check()?;
        if spec.cache_type.is_some() && !loader.device().is_cpu() {
            return Err(Error::CacheOnDevice);
        }
        let model = loader.at("model");
        let embedding = model.embedding("embed_tokens", spec.vocab_size, spec.hidden_size)?;
        let output = if spec.tied_embeddings {
            loader.skip("lm_head.weight");
            Linear::new(embedding.table().clone(), None)
        } else {
            loader.linear("lm_head", spec.hidden_size, spec.vocab_size, false)?
        };
        let at = model.at("layers");
        let layers: Vec<Layer> =
            (0..spec.layers).map(|layer| Layer::load(&at.at(layer), spec, layer)).collect::<Result<_>>()?;
        let cache_type = spec.cache_type.unwrap_or(CacheType::of(arithmetic(&layers, &output)));
        Ok(Self {
            embedding,
            rotary: spec.rotary.build(),
            layers,
            norm: model.rms_norm("norm", spec.hidden_size, spec.rms_eps)?,
            output,
            cache_type,
            spec: spec.clone(),
        })
    }

    /// What it is made of.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// Bytes of the matrices that are read for one token, the output layer's among them: what decoding is bounded by.
    pub fn bytes_per_token(&self) -> usize {
        let layer = |layer: &Layer| layer.attention.bytes_per_token() + layer.feed_forward.bytes_per_token();
        self.layers.iter().map(layer).sum::<usize>() + self.output.weight().bytes()
    }

    /// The arithmetic of the layers' products, by the weights of the first.
    pub fn arithmetic(&self) -> Arithmetic {
        arithmetic(&self.layers, &self.output)
    }

    /// What its caches keep keys and values as: what the specification says, or else what takes nothing from its products.
    pub fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    /// An empty cache for one sequence.
    pub fn new_cache(&self) -> Cache {
        Cache::new(&self.spec, self.cache_type)
    }

    /// The embeddings of `ids`, `[ids, hidden]`, `f32` on a CPU.
    ///
    /// # Errors
    /// An id outside the vocabulary.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        Ok(self.embedding.forward(ids)?)
    }

    /// Runs the packed rows `embeds` `[sum of the spans' rows, hidden]`, each span's after the ones before, and appends
    /// them to the spans' caches. Returns the hidden states after the final norm, of the shape of `embeds`.
    ///
    /// A row's result depends on its sequence and on the [`LatentForm`] that each row of it up to this one had. It does not
    /// depend on the other spans, nor on how its sequence was cut into passes, bit for bit.
    ///
    /// # Errors
    /// Rows that the spans do not add up to, a sequence beyond the context, a cache of another decoder. The caches'
    /// sequences are then as before.
    pub fn forward(&self, embeds: &Tensor, spans: &mut [Span<'_>], probe: &mut dyn Probe) -> Result<Tensor> {
        let positions = self.positions(embeds, spans)?;
        let angles = self.rotary.angles(&positions);
        let mut hidden = embeds.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, &angles, index, spans, probe)?;
            probe.hidden(index, &hidden);
        }
        for span in spans {
            span.cache.advance(span.rows);
        }
        let hidden = self.norm.forward(&hidden)?;
        probe.normed(&hidden);
        Ok(hidden)
    }

    /// The logits of the next token, `[n, vocabulary]` in `f32`, of `hidden` `[n, hidden]` as [`Decoder::forward`]
    /// returns them. They cost a product with the whole output layer, so pass only the rows that are wanted.
    ///
    /// # Errors
    /// If the tensor is of another width.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.check_width(hidden)?;
        Ok(self.output.forward(hidden)?.to_dtype(DType::F32)?)
    }

    /// Checks the arguments of a pass, and gives the position of each row.
    fn positions(&self, embeds: &Tensor, spans: &[Span<'_>]) -> Result<Vec<usize>> {
        let rows = self.check_width(embeds)?;
        let spanned = spans.iter().fold(0usize, |sum, span| sum.saturating_add(span.rows));
        if rows != spanned || spans.iter().any(|span| span.rows == 0) {
            return Err(Error::Spans { rows, spans: spans.iter().map(|span| span.rows).collect() });
        }
        for span in spans {
            span.cache.check(&self.spec, self.cache_type, span.rows)?;
        }
        Ok(spans.iter().flat_map(|span| span.cache.len()..span.cache.len() + span.rows).collect())
    }

    /// The number of rows, each of which must be a hidden state.
    fn check_width(&self, rows: &Tensor) -> Result<usize> {
        match *rows.dims() {
            [count, width] if width == self.spec.hidden_size && count > 0 => Ok(count),
            _ => Err(Error::Rows { found: rows.dims().to_vec(), hidden: self.spec.hidden_size }),
        }
    }
}

/// For those that share weights.
impl Decoder {
    pub(crate) fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    pub(crate) fn output(&self) -> &Linear {
        &self.output
    }
}

fn arithmetic(layers: &[Layer], output: &Linear) -> Arithmetic {
    layers.first().map_or(output.weight().arithmetic(), |layer| layer.attention.arithmetic())
}

/// One decoder layer: attention, then feed-forward, each behind a norm and added to the residual stream.
pub(crate) struct Layer {
    input_norm: RmsNorm,
    attention: Attention,
    middle_norm: RmsNorm,
    feed_forward: FeedForward,
}

impl Layer {
    pub fn load(loader: &Loader, spec: &DecoderSpec, layer: usize) -> Result<Self> {
        let norm = |name| loader.rms_norm(name, spec.hidden_size, spec.rms_eps);
        Ok(Self {
            input_norm: norm("input_layernorm")?,
            attention: Attention::load(&loader.at("self_attn"), spec)?,
            middle_norm: norm("post_attention_layernorm")?,
            feed_forward: FeedForward::load(&loader.at("mlp"), spec.hidden_size, spec.feed_forward(layer))?,
        })
    }

    pub fn forward(
        &self,
        x: &Tensor,
        angles: &Angles,
        layer: usize,
        spans: &mut [Span<'_>],
        probe: &mut dyn Probe,
    ) -> Result<Tensor> {
        let x = (x + self.attention.forward(&self.input_norm.forward(x)?, angles, layer, spans)?)?;
        Ok((&x + self.feed_forward.forward(&self.middle_norm.forward(&x)?, layer, probe)?)?)
    }
}
