//! Grouped attention.

use super::{Cached, Heads, LatentForm, bytes, each};
use crate::{AttentionSpec, DecoderSpec, Result};
use seekvl_nn::{Angles, Arithmetic, Linear, Loader, Tensor, attention};

/// LLaMA-style attention, with fewer key-value heads than query heads or as many.
pub(crate) struct Grouped {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Grouped {
    pub fn load(loader: &Loader, spec: &DecoderSpec) -> Result<Self> {
        let AttentionSpec::Grouped { heads, kv_heads, head_dim, input_bias, output_bias } = spec.attention else {
            unreachable!("the caller has matched the variant")
        };
        let hidden = spec.hidden_size;
        Ok(Self {
            q: loader.linear("q_proj", hidden, heads * head_dim, input_bias)?,
            k: loader.linear("k_proj", hidden, kv_heads * head_dim, input_bias)?,
            v: loader.linear("v_proj", hidden, kv_heads * head_dim, input_bias)?,
            o: loader.linear("o_proj", heads * head_dim, hidden, output_bias)?,
            heads,
            kv_heads,
            head_dim,
        })
    }
}

impl Heads for Grouped {
    fn project(&self, x: &Tensor, angles: &Angles) -> Result<(Tensor, Tensor)> {
        let rows = x.dim(0)?;
        let q = self.q.forward(x)?.reshape((rows, self.heads, self.head_dim))?;
        let k = self.k.forward(x)?.reshape((rows, self.kv_heads, self.head_dim))?;
        let v = self.v.forward(x)?.reshape((rows, self.kv_heads, self.head_dim))?;
        Ok((angles.rotate(&q)?, Tensor::cat(&[angles.rotate(&k)?, v], 1)?))
    }

    fn arithmetic(&self) -> Arithmetic {
        self.k.weight().arithmetic()
    }

    fn bytes_per_token(&self) -> usize {
        bytes([&self.q, &self.k, &self.v, &self.o])
    }

    fn attend(&self, queries: &Tensor, _: LatentForm, spans: &[Cached]) -> Result<Tensor> {
        let scale = (self.head_dim as f32).powf(-0.5);
        each(queries, spans, |queries, cached| {
            let keys = cached.all.heads(0, self.kv_heads)?;
            let values = cached.all.heads(self.kv_heads, self.kv_heads)?;
            Ok(attention(queries, &keys, &values, scale, cached.mask)?)
        })
    }

    fn output(&self, values: &Tensor) -> Result<Tensor> {
        Ok(self.o.forward(&values.flatten_from(1)?)?)
    }
}
