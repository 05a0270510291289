//! The attention of a decoder layer: grouped, or latent.

use crate::{AttentionSpec, DecoderSpec, Result, Span};
use seekvl_nn::{Angles, Arithmetic, HeadLinear, Linear, Loader, Mask, RmsNorm, Tensor, Weight, attention, round_rows};

/// Epsilon of the latents' norms, whatever the configuration says of the others.
const LATENT_EPS: f32 = 1e-6;

pub(crate) enum Attention {
    Grouped(Grouped),
    Latent(Latent),
}

impl Attention {
    pub fn load(loader: &Loader, spec: &DecoderSpec) -> Result<Self> {
        Ok(match spec.attention {
            AttentionSpec::Grouped { .. } => Self::Grouped(Grouped::load(loader, spec)?),
            AttentionSpec::Latent { .. } => Self::Latent(Latent::load(loader, spec)?),
        })
    }

    /// The weight of the projection back to the hidden state.
    pub fn output(&self) -> &Weight {
        match self {
            Self::Grouped(Grouped { o, .. }) | Self::Latent(Latent { o, .. }) => o.weight(),
        }
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        let linears = |linears: &[&Linear]| linears.iter().map(|linear| linear.weight().bytes()).sum::<usize>();
        match self {
            Self::Grouped(Grouped { q, k, v, o, .. }) => linears(&[q, k, v, o]),
            Self::Latent(Latent { queries, down, up_key_transposed, up_value, o, .. }) => {
                let queries = match queries {
                    Queries::Straight(linear) => linears(&[linear]),
                    Queries::Compressed { down, up, .. } => linears(&[down, up]),
                };
                queries + linears(&[down, o]) + up_key_transposed.bytes() + up_value.bytes()
            }
        }
    }

    /// `x`: `[rows, hidden]`, and so is the result. Projects all rows at once, then lets each span attend to its cache,
    /// which it appends to at `layer`.
    pub fn forward(&self, x: &Tensor, angles: &Angles, layer: usize, spans: &mut [Span<'_>]) -> Result<Tensor> {
        match self {
            Self::Grouped(heads) => attend(heads, x, angles, layer, spans),
            Self::Latent(heads) => attend(heads, x, angles, layer, spans),
        }
    }
}

/// What differs between the two: how hidden states become queries and cached rows, and values hidden states again.
trait Heads {
    /// Queries `[rows, heads, key_dim]`, and what the cache keeps of each row, as in [`AttentionSpec::cache_row`].
    fn project(&self, x: &Tensor, angles: &Angles) -> Result<(Tensor, Tensor)>;

    /// Keys and values as parts of cached rows, without a copy.
    fn keys_values(&self, cached: &Tensor) -> Result<(Tensor, Tensor)>;

    /// Whether the cache keeps rows rounded to `bf16`: where products with the weights round as much or more.
    fn rounds(&self) -> bool;

    /// Factor on the scores.
    fn scale(&self) -> f32;

    /// From `[rows, heads, value_dim]` to `[rows, hidden]`.
    fn output(&self, values: &Tensor) -> Result<Tensor>;
}

fn attend(heads: &impl Heads, x: &Tensor, angles: &Angles, layer: usize, spans: &mut [Span<'_>]) -> Result<Tensor> {
    let (queries, mut rows) = heads.project(x, angles)?;
    if heads.rounds() {
        rows = round_rows(&rows)?;
    }
    let mut values = Vec::with_capacity(spans.len());
    let mut start = 0;
    for span in spans {
        let cached = span.cache.append(layer, &rows.narrow(0, start, span.rows)?)?;
        let (k, v) = heads.keys_values(&cached)?;
        let mask = Mask::Causal { first: span.cache.len() };
        values.push(attention(&queries.narrow(0, start, span.rows)?, &k, &v, heads.scale(), mask)?);
        start += span.rows;
    }
    heads.output(&Tensor::cat(&values, 0)?)
}

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
    fn load(loader: &Loader, spec: &DecoderSpec) -> Result<Self> {
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

    fn keys_values(&self, cached: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((cached.narrow(1, 0, self.kv_heads)?, cached.narrow(1, self.kv_heads, self.kv_heads)?))
    }

    fn rounds(&self) -> bool {
        self.k.weight().arithmetic() != Arithmetic::F32
    }

    fn scale(&self) -> f32 {
        (self.head_dim as f32).powf(-0.5)
    }

    fn output(&self, values: &Tensor) -> Result<Tensor> {
        Ok(self.o.forward(&values.flatten_from(1)?)?)
    }
}

/// Multi-head latent attention (DeepSeek-V2) in its absorbed form.
///
/// A head's key is `up_key · latent` beside the rotated key that all heads share, and its value `up_value · latent`. So
/// instead of taking every cached latent up, the query is taken down (`up_keyᵀ · query`) and attends to the latents
/// themselves, and the mixed latent is taken up once.
pub(crate) struct Latent {
    queries: Queries,
    down: Linear,
    norm: RmsNorm,
    up_key_transposed: HeadLinear,
    up_value: HeadLinear,
    o: Linear,
    heads: usize,
    kv_rank: usize,
    nope_dim: usize,
    rope_dim: usize,
    scale: f32,
}

/// How latent attention makes its queries.
enum Queries {
    Straight(Linear),
    Compressed { down: Linear, norm: RmsNorm, up: Linear },
}

impl Queries {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Straight(linear) => linear.forward(x)?,
            Self::Compressed { down, norm, up } => up.forward(&norm.forward(&down.forward(x)?)?)?,
        })
    }
}

impl Latent {
    fn load(loader: &Loader, spec: &DecoderSpec) -> Result<Self> {
        let AttentionSpec::Latent { heads, q_rank, kv_rank, nope_dim, rope_dim, value_dim, bias } = spec.attention
        else {
            unreachable!("the caller has matched the variant")
        };
        let hidden = spec.hidden_size;
        let query_size = heads * (nope_dim + rope_dim);
        let queries = match q_rank {
            None => Queries::Straight(loader.linear("q_proj", hidden, query_size, false)?),
            Some(rank) => Queries::Compressed {
                down: loader.linear("q_a_proj", hidden, rank, bias)?,
                norm: loader.rms_norm("q_a_layernorm", rank, LATENT_EPS)?,
                up: loader.linear("q_b_proj", rank, query_size, false)?,
            },
        };
        // Head by head, the rows for its key and then those for its value.
        let up = loader.weight("kv_b_proj.weight", &[heads * (nope_dim + value_dim), kv_rank])?;
        let starts = (0..heads).map(|head| head * (nope_dim + value_dim));
        let keys = starts.clone().map(|start| up.slice(start..start + nope_dim)?.transposed());
        let values = starts.map(|start| up.slice(start + nope_dim..start + nope_dim + value_dim));
        Ok(Self {
            queries,
            down: loader.linear("kv_a_proj_with_mqa", hidden, kv_rank + rope_dim, bias)?,
            norm: loader.rms_norm("kv_a_layernorm", kv_rank, LATENT_EPS)?,
            up_key_transposed: HeadLinear::new(keys.collect::<Result<_, _>>()?),
            up_value: HeadLinear::new(values.collect::<Result<_, _>>()?),
            o: loader.linear("o_proj", heads * value_dim, hidden, bias)?,
            heads,
            kv_rank,
            nope_dim,
            rope_dim,
            scale: (((nope_dim + rope_dim) as f64).powf(-0.5) * spec.rotary.softmax_scale()) as f32,
        })
    }
}

impl Heads for Latent {
    fn project(&self, x: &Tensor, angles: &Angles) -> Result<(Tensor, Tensor)> {
        let rows = x.dim(0)?;
        let q = self.queries.forward(x)?.reshape((rows, self.heads, self.nope_dim + self.rope_dim))?;
        let q = angles.rotate(&q)?;
        let absorbed = self.up_key_transposed.forward(&q.narrow(2, 0, self.nope_dim)?)?;
        let queries = join(&absorbed, &q.narrow(2, self.nope_dim, self.rope_dim)?)?;

        let compressed = self.down.forward(x)?.reshape((rows, 1, self.kv_rank + self.rope_dim))?;
        let latent = self.norm.forward(&compressed.narrow(2, 0, self.kv_rank)?)?;
        let key = angles.rotate(&compressed.narrow(2, self.kv_rank, self.rope_dim)?)?;
        Ok((queries, join(&latent, &key)?))
    }

    fn keys_values(&self, cached: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((cached.clone(), cached.narrow(2, 0, self.kv_rank)?))
    }

    fn rounds(&self) -> bool {
        self.down.weight().arithmetic() != Arithmetic::F32
    }

    fn scale(&self) -> f32 {
        self.scale
    }

    fn output(&self, values: &Tensor) -> Result<Tensor> {
        Ok(self.o.forward(&self.up_value.forward(values)?.flatten_from(1)?)?)
    }
}

/// Two parts of each head, side by side.
fn join(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    // candle concatenates contiguous tensors alone without a detour.
    Ok(Tensor::cat(&[a.contiguous()?, b.contiguous()?], 2)?)
}
