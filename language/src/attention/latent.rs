//! Multi-head latent attention.

use super::{Cached, Heads, LatentForm, bytes, each};
use crate::{AttentionSpec, DecoderSpec, Result};
use seekvl_nn::{Angles, Arithmetic, HeadLinear, Linear, Loader, RmsNorm, Tensor, Weight, attention, round_rows};

/// Epsilon of the latents' norms, whatever the configuration says of the others.
const LATENT_EPS: f32 = 1e-6;

/// Multi-head latent attention (DeepSeek-AI 2024, "DeepSeek-V2", section 2.1), in both forms of [`LatentForm`].
pub(crate) struct Latent {
    queries: Queries,
    down: Linear,
    norm: RmsNorm,
    up: Up,
    o: Linear,
    spec: AttentionSpec,
    heads: usize,
    kv_rank: usize,
    nope_dim: usize,
    rope_dim: usize,
    scale: f32,
}

/// What takes a latent up to each head's key and value.
struct Up {
    key: HeadLinear,
    key_transposed: HeadLinear,
    value: HeadLinear,
}

impl Up {
    /// Checkpoints have it as one matrix; GGUF files may have keys and values apart, and the former transposed.
    fn load(loader: &Loader, heads: usize, kv_rank: usize, (nope_dim, value_dim): (usize, usize)) -> Result<Self> {
        let each = |one: &dyn Fn(usize) -> Result<Weight>| -> Result<HeadLinear> {
            Ok(HeadLinear::new((0..heads).map(one).collect::<Result<_>>()?))
        };
        if loader.contains("k_b_proj.weight") {
            let keys = loader.weight("k_b_proj.weight", &[heads * kv_rank, nope_dim])?;
            let values = loader.weight("v_b_proj.weight", &[heads * value_dim, kv_rank])?;
            let key = |head: usize| Ok(keys.slice(head * kv_rank..(head + 1) * kv_rank)?);
            return Ok(Self {
                key: each(&|head| Ok(key(head)?.transposed()?))?,
                key_transposed: each(&key)?,
                value: each(&|head| Ok(values.slice(head * value_dim..(head + 1) * value_dim)?))?,
            });
        }
        // Head by head, the rows for its key and then those for its value.
        let both = nope_dim + value_dim;
        let up = loader.weight("kv_b_proj.weight", &[heads * both, kv_rank])?;
        let key = |head: usize| Ok(up.slice(head * both..head * both + nope_dim)?);
        Ok(Self {
            key: each(&key)?,
            key_transposed: each(&|head| Ok(key(head)?.transposed()?))?,
            value: each(&|head| Ok(up.slice(head * both + nope_dim..(head + 1) * both)?))?,
        })
    }
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
    pub fn load(loader: &Loader, spec: &DecoderSpec) -> Result<Self> {
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
        Ok(Self {
            queries,
            down: loader.linear("kv_a_proj_with_mqa", hidden, kv_rank + rope_dim, bias)?,
            norm: loader.rms_norm("kv_a_layernorm", kv_rank, LATENT_EPS)?,
            up: Up::load(loader, heads, kv_rank, (nope_dim, value_dim))?,
            o: loader.linear("o_proj", heads * value_dim, hidden, bias)?,
            spec: spec.attention,
            heads,
            kv_rank,
            nope_dim,
            rope_dim,
            scale: (((nope_dim + rope_dim) as f64).powf(-0.5) * spec.rotary.softmax_scale()) as f32,
        })
    }

    fn absorbed(&self, queries: &Tensor, spans: &[Cached]) -> Result<Tensor> {
        let down = self.up.key_transposed.forward(&queries.narrow(2, 0, self.nope_dim)?)?;
        let queries = join(&down, &queries.narrow(2, self.nope_dim, self.rope_dim)?)?;
        let latents = each(&queries, spans, |queries, cached| {
            let values = cached.all.front(self.kv_rank)?;
            Ok(attention(queries, cached.all.all(), &values, self.scale, cached.mask)?)
        })?;
        Ok(self.up.value.forward(&latents)?)
    }

    fn expanded(&self, queries: &Tensor, cached: &Cached) -> Result<Tensor> {
        let all = cached.all.numbers()?;
        let tokens = all.dim(0)?;
        let latents = all.narrow(2, 0, self.kv_rank)?.squeeze(1)?.contiguous()?;
        let rotated = all.narrow(2, self.kv_rank, self.rope_dim)?;
        let step = self.spec.heads_together(tokens).max(1);
        let values = (0..self.heads).step_by(step).map(|first| {
            let heads = step.min(self.heads - first);
            let shared = rotated.broadcast_as((tokens, heads, self.rope_dim))?;
            let mut keys = join(&self.up.key.spread(&latents, first..first + heads)?, &shared)?;
            let mut values = self.up.value.spread(&latents, first..first + heads)?;
            if self.arithmetic() != Arithmetic::F32 {
                (keys, values) = (round_rows(&keys)?, round_rows(&values)?);
            }
            Ok(attention(&queries.narrow(1, first, heads)?, &[keys], &[values], self.scale, cached.mask)?)
        });
        Ok(Tensor::cat(&values.collect::<Result<Vec<_>>>()?, 1)?)
    }
}

impl Heads for Latent {
    fn project(&self, x: &Tensor, angles: &Angles) -> Result<(Tensor, Tensor)> {
        let rows = x.dim(0)?;
        let q = self.queries.forward(x)?.reshape((rows, self.heads, self.nope_dim + self.rope_dim))?;
        let compressed = self.down.forward(x)?.reshape((rows, 1, self.kv_rank + self.rope_dim))?;
        let latent = self.norm.forward(&compressed.narrow(2, 0, self.kv_rank)?)?;
        let key = angles.rotate(&compressed.narrow(2, self.kv_rank, self.rope_dim)?)?;
        Ok((angles.rotate(&q)?, join(&latent, &key)?))
    }

    fn arithmetic(&self) -> Arithmetic {
        self.down.weight().arithmetic()
    }

    fn bytes_per_token(&self) -> usize {
        let queries = match &self.queries {
            Queries::Straight(linear) => bytes([linear]),
            Queries::Compressed { down, up, .. } => bytes([down, up]),
        };
        queries + bytes([&self.down, &self.o]) + self.up.key_transposed.bytes() + self.up.value.bytes()
    }

    fn attend(&self, queries: &Tensor, form: LatentForm, spans: &[Cached]) -> Result<Tensor> {
        match form {
            LatentForm::Absorbed => self.absorbed(queries, spans),
            LatentForm::Expanded => each(queries, spans, |queries, cached| self.expanded(queries, cached)),
        }
    }

    fn output(&self, values: &Tensor) -> Result<Tensor> {
        Ok(self.o.forward(&values.flatten_from(1)?)?)
    }
}

/// Two parts of each head, side by side.
fn join(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    // candle concatenates contiguous tensors alone without a detour.
    Ok(Tensor::cat(&[a.contiguous()?, b.contiguous()?], 2)?)
}
