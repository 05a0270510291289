//! The attention of a decoder layer: grouped, or latent.

mod grouped;
mod latent;

use crate::cache::CachedRows;
use crate::{AttentionSpec, DecoderSpec, Result, Span};
use grouped::Grouped;
use latent::Latent;
use seekvl_nn::{Angles, Arithmetic, Linear, Loader, Mask, Tensor};

/// Of either kind.
pub(crate) struct Attention(Box<dyn Heads + Send + Sync>);

/// How the rows of a span multiply with the cache of latent attention. Both compute the same, with other roundings.
///
/// A head's key is `up_key · latent` beside the rotated key that all heads share, and its value `up_value · latent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatentForm {
    /// Queries are taken down (`up_keyᵀ · query`) and attend to the latents themselves; the mixed latent is taken up once.
    /// Costs little for each cached token, and so is the form for one row or a few.
    #[default]
    Absorbed,
    /// Every cached latent is taken up to keys and values. Costs little for each pair of a query and a key, and so is the
    /// form for many rows.
    Expanded,
}

impl Attention {
    pub fn load(loader: &Loader, spec: &DecoderSpec) -> Result<Self> {
        Ok(Self(match spec.attention {
            AttentionSpec::Grouped { .. } => Box::new(Grouped::load(loader, spec)?),
            AttentionSpec::Latent { .. } => Box::new(Latent::load(loader, spec)?),
        }))
    }

    /// How products with its matrices are computed.
    pub fn arithmetic(&self) -> Arithmetic {
        self.0.arithmetic()
    }

    /// Bytes of the matrices that one token is multiplied by.
    pub fn bytes_per_token(&self) -> usize {
        self.0.bytes_per_token()
    }

    /// `x`: `[rows, hidden]`, and so is the result. Projects all rows at once, then lets each span attend to its cache,
    /// which it appends to at `layer`.
    pub fn forward(&self, x: &Tensor, angles: &Angles, layer: usize, spans: &mut [Span<'_>]) -> Result<Tensor> {
        let (queries, rows) = self.0.project(x, angles)?;
        let (mut values, mut start) = (Vec::new(), 0);
        for spans in spans.chunk_by_mut(|a, b| a.form == b.form) {
            let (form, first) = (spans[0].form, start);
            let mut cached = Vec::with_capacity(spans.len());
            for span in spans {
                let all = span.cache.append(layer, &rows.narrow(0, start, span.rows)?)?;
                let first = span.cache.len() - span.cache.gone();
                let mask = match span.cache.window() {
                    Some(size) => Mask::Window { first, size },
                    None => Mask::Causal { first },
                };
                cached.push(Cached { rows: span.rows, all, mask });
                start += span.rows;
            }
            values.push(self.0.attend(&queries.narrow(0, first, start - first)?, form, &cached)?);
        }
        self.0.output(&Tensor::cat(&values, 0)?)
    }
}

/// What differs between the two: how hidden states become queries and cached rows, how queries attend to those, and how
/// values become hidden states again.
trait Heads {
    /// Queries `[rows, heads, key_dim]`, and what the cache keeps of each row, as in [`AttentionSpec::cache_row`].
    fn project(&self, x: &Tensor, angles: &Angles) -> Result<(Tensor, Tensor)>;

    /// How products with the matrices that make the cached rows are computed.
    fn arithmetic(&self) -> Arithmetic;

    /// Bytes of the matrices that one token is multiplied by, in the absorbed form.
    fn bytes_per_token(&self) -> usize;

    /// The values `[rows, heads, value_dim]` of the rows of some spans of one form.
    fn attend(&self, queries: &Tensor, form: LatentForm, spans: &[Cached]) -> Result<Tensor>;

    /// From `[rows, heads, value_dim]` to `[rows, hidden]`.
    fn output(&self, values: &Tensor) -> Result<Tensor>;
}

/// What a span attends to.
struct Cached {
    rows: usize,
    /// The rows of the sequence that there are, those of the span included.
    all: CachedRows,
    mask: Mask,
}

/// Bytes of some matrices.
fn bytes<const N: usize>(linears: [&Linear; N]) -> usize {
    linears.map(|linear| linear.weight().bytes()).iter().sum()
}

/// The values of each span's rows by `attention`, which is given their queries, packed.
fn each(queries: &Tensor, spans: &[Cached], attention: impl Fn(&Tensor, &Cached) -> Result<Tensor>) -> Result<Tensor> {
    let (mut values, mut start) = (Vec::with_capacity(spans.len()), 0);
    for span in spans {
        values.push(attention(&queries.narrow(0, start, span.rows)?, span)?);
        start += span.rows;
    }
    Ok(Tensor::cat(&values, 0)?)
}
