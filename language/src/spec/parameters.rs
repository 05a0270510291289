//! How many numbers a decoder is made of, and how many it keeps of each token.

use crate::{AttentionSpec, DecoderSpec, FeedForwardSpec};
use seekvl_nn::CacheType;

/// Numbers of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// All.
    pub total: u64,
    /// Those that one token is multiplied by: all but the experts that it is not sent to, and the embedding table, of
    /// which it reads one row.
    pub active: u64,
}

/// [`Parameters`] before it is known that they are few enough.
pub(crate) struct Count {
    pub total: u128,
    pub active: u128,
}

impl DecoderSpec {
    /// How many weights the decoder has.
    pub fn parameters(&self) -> Parameters {
        let count = self.count_parameters();
        let narrow = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        Parameters { total: narrow(count.total), active: narrow(count.active) }
    }

    /// How many weights of the decoder are those of experts that a router chooses from.
    pub fn expert_parameters(&self) -> u64 {
        let Some(sparse) = &self.sparse else { return 0 };
        let is_sparse = |layer: &usize| matches!(self.feed_forward(*layer), FeedForwardSpec::Sparse(_));
        let layers = (0..self.layers).filter(is_sparse).count() as u128;
        let expert = 3 * self.hidden_size as u128 * sparse.expert_size as u128;
        u64::try_from(layers * sparse.router.experts as u128 * expert).unwrap_or(u64::MAX)
    }

    /// How many weights the layer for multi-token prediction has, if there is one, beside the tables that it shares with
    /// the decoder.
    pub fn mtp_parameters(&self) -> u64 {
        if !self.has_mtp {
            return 0;
        }
        let hidden = self.hidden_size as u128;
        let (feed_forward, _) = self.feed_forward(self.layers).parameters(hidden);
        let layer = self.attention.parameters(hidden) + 2 * hidden + feed_forward;
        // It joins a token and a state, each behind a norm, and ends in another.
        u64::try_from(layer + 2 * hidden * hidden + 3 * hidden).unwrap_or(u64::MAX)
    }

    /// Bytes that a cache of type `kind` holds for each token, on a CPU.
    pub fn cache_bytes_per_token(&self, kind: CacheType) -> usize {
        let (heads, width) = self.attention.cache_row();
        self.layers * heads * kind.bytes(width)
    }

    /// Bytes that it would hold if each query head had a key and a value of its own, as in multi-head attention.
    pub fn mha_cache_bytes_per_token(&self, kind: CacheType) -> usize {
        let layer = match self.attention {
            AttentionSpec::Grouped { heads, head_dim, .. } => 2 * heads * kind.bytes(head_dim),
            AttentionSpec::Latent { heads, nope_dim, rope_dim, value_dim, .. } => {
                heads * (kind.bytes(nope_dim + rope_dim) + kind.bytes(value_dim))
            }
        };
        self.layers * layer
    }

    pub(crate) fn count_parameters(&self) -> Count {
        let hidden = self.hidden_size as u128;
        let table = self.vocab_size as u128 * hidden;
        let mut count = Count { total: table + hidden, active: table + hidden };
        if !self.tied_embeddings {
            count.total += table;
        }
        for layer in 0..self.layers {
            let both = self.attention.parameters(hidden) + 2 * hidden;
            let (all, active) = self.feed_forward(layer).parameters(hidden);
            count.total += both + all;
            count.active += both + active;
        }
        count
    }
}

impl AttentionSpec {
    /// Shape of what a cache keeps of one token in one layer: heads, and numbers of each.
    ///
    /// Grouped attention keeps the key heads, then the value heads. Latent attention keeps one row, the latent and then
    /// the rotated key that all heads share.
    pub(crate) fn cache_row(&self) -> (usize, usize) {
        match *self {
            AttentionSpec::Grouped { kv_heads, head_dim, .. } => (2 * kv_heads, head_dim),
            AttentionSpec::Latent { kv_rank, rope_dim, .. } => (1, kv_rank + rope_dim),
        }
    }

    fn parameters(&self, hidden: u128) -> u128 {
        match *self {
            AttentionSpec::Grouped { heads, kv_heads, head_dim, input_bias, output_bias } => {
                let queries = heads as u128 * head_dim as u128;
                let inputs = queries + 2 * kv_heads as u128 * head_dim as u128;
                let biases = u128::from(input_bias) * inputs + u128::from(output_bias) * hidden;
                (inputs + queries) * hidden + biases
            }
            AttentionSpec::Latent { heads, q_rank, kv_rank, nope_dim, rope_dim, value_dim, bias } => {
                let [heads, rank, nope, rope, value] =
                    [heads, kv_rank, nope_dim, rope_dim, value_dim].map(|size| size as u128);
                let queries = heads * (nope + rope);
                let (query_weights, query_bias) = match q_rank.map(|rank| rank as u128) {
                    None => (hidden * queries, 0),
                    Some(rank) => (hidden * rank + rank + rank * queries, rank),
                };
                let latents = hidden * (rank + rope) + rank + rank * heads * (nope + value);
                let biases = u128::from(bias) * (query_bias + rank + rope + hidden);
                query_weights + latents + heads * value * hidden + biases
            }
        }
    }
}

impl FeedForwardSpec<'_> {
    /// All, and those that one token is multiplied by.
    fn parameters(&self, hidden: u128) -> (u128, u128) {
        let gated = |inner: usize| 3 * hidden * inner as u128;
        match self {
            FeedForwardSpec::Dense(inner) => (gated(*inner), gated(*inner)),
            FeedForwardSpec::Sparse(sparse) => {
                let experts = sparse.router.experts as u128;
                let correction = if sparse.router.correction { experts } else { 0 };
                let always = experts * hidden + correction + gated(sparse.shared_size);
                let expert = gated(sparse.expert_size);
                (always + experts * expert, always + sparse.router.top_k as u128 * expert)
            }
        }
    }
}
