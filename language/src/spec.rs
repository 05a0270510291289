//! What a decoder is made of: typed, and checked once.

mod check;
mod form;
mod llama3;
mod parameters;
mod rotary;
mod yarn;

pub use llama3::Llama3Spec;
pub use parameters::Parameters;
pub use rotary::{RotaryScaling, RotarySpec};
pub use yarn::YarnSpec;

use crate::{Architecture, Error, GroupRank, Groups, LanguageConfig, Result, RouterSpec, Score};
use seekvl_nn::CacheType;

/// The architecture of a decoder. [`DecoderSpec::from_config`] makes one from a checkpoint's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// Rows of the embedding table and of the output layer.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Decoder layers.
    pub layers: usize,
    /// The context that the model was trained for, and the most positions of a sequence where there is no window.
    pub max_positions: usize,
    /// How many positions a position attends to, itself included: the last of those up to it. All of them, if not given.
    /// [`DecoderSpec::with_window`] sets it.
    pub window: Option<usize>,
    /// What caches keep keys and values as, on a CPU; if not given, whatever takes nothing from the decoder's products.
    pub cache_type: Option<CacheType>,
    /// The attention of every layer.
    pub attention: AttentionSpec,
    /// The rotary embedding of every layer.
    pub rotary: RotarySpec,
    /// Inner width of the dense feed-forward layers.
    pub intermediate_size: usize,
    /// The sparse feed-forward layers, if there are any.
    pub sparse: Option<SparseSpec>,
    /// Epsilon of the layers' norms.
    pub rms_eps: f32,
    /// Whether the output layer is the embedding table.
    pub tied_embeddings: bool,
    /// Whether a layer after the last predicts one token further (multi-token prediction). It is no part of the decoder:
    /// see [`Mtp`](crate::Mtp).
    pub has_mtp: bool,
    /// Token that a prompt begins with.
    pub bos: Option<u32>,
    /// Tokens that end an answer.
    pub eos: Vec<u32>,
}

/// One of the two attentions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttentionSpec {
    /// LLaMA-style attention: groups of query heads share a key-value head (one each in multi-head attention).
    Grouped {
        /// Query heads.
        heads: usize,
        /// Key-value heads; divides `heads`.
        kv_heads: usize,
        /// Width of one head.
        head_dim: usize,
        /// Whether the projections to queries, keys and values have biases.
        input_bias: bool,
        /// Whether the projection back to the hidden state has one.
        output_bias: bool,
    },
    /// Multi-head latent attention (DeepSeek-V2): keys and values are made of one latent per token.
    Latent {
        /// Query heads.
        heads: usize,
        /// Width of the latent that queries are made of, if they are.
        q_rank: Option<usize>,
        /// Width of the latent that keys and values are made of.
        kv_rank: usize,
        /// Part of a head's query and key that is not rotated.
        nope_dim: usize,
        /// Part that is; the key's is shared by all heads.
        rope_dim: usize,
        /// Width of a head's value.
        value_dim: usize,
        /// Whether the projections from and to the hidden state have biases (`q_proj` never has).
        bias: bool,
    },
}

/// The sparse feed-forward layers: a mixture of experts.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseSpec {
    /// Layers at the start that are dense in any case.
    pub first_layer: usize,
    /// Of the others, those are sparse whose index is a multiple of this.
    pub every: usize,
    /// Inner width of one expert.
    pub expert_size: usize,
    /// Inner width of the experts that see every token, which are held as one; 0 for none.
    pub shared_size: usize,
    /// How experts are chosen and weighed.
    pub router: RouterSpec,
}

/// The feed-forward layer of one decoder layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FeedForwardSpec<'a> {
    /// A gated layer of this inner width.
    Dense(usize),
    /// A mixture of experts.
    Sparse(&'a SparseSpec),
}

impl DecoderSpec {
    /// From a checkpoint's configuration.
    ///
    /// # Errors
    /// [`Error::Config`] for a value that is unknown, out of range, or at odds with another; it names the key.
    pub fn from_config(raw: &LanguageConfig) -> Result<Self> {
        if raw.hidden_act != "silu" {
            return Err(Error::config("hidden_act", &raw.hidden_act, "only silu is supported"));
        }
        for (key, value) in [("mlp_bias", raw.mlp_bias), ("use_sliding_window", raw.use_sliding_window)] {
            if value {
                return Err(Error::config(key, value, "not supported"));
            }
        }
        if raw.num_nextn_predict_layers > 1 {
            let count = raw.num_nextn_predict_layers;
            return Err(Error::config("num_nextn_predict_layers", count, "only one is supported"));
        }
        let (attention, rotary) = if raw.use_mla { latent(raw)? } else { grouped(raw)? };
        let spec = Self {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            layers: raw.num_hidden_layers,
            max_positions: raw.max_position_embeddings,
            window: None,
            cache_type: None,
            attention,
            rotary,
            intermediate_size: raw.intermediate_size,
            sparse: raw.n_routed_experts.map(|experts| sparse(raw, experts)).transpose()?,
            rms_eps: raw.rms_norm_eps as f32,
            tied_embeddings: raw.tie_word_embeddings,
            has_mtp: raw.num_nextn_predict_layers > 0,
            bos: raw.bos_token_id,
            eos: raw.eos_token_id.as_ref().map(|ids| ids.to_vec()).unwrap_or_default(),
        };
        spec.check()?;
        Ok(spec)
    }

    /// The same, where every position attends to the last `window` positions alone, itself included, in each layer. A
    /// sequence may then be longer than the context, up to [`DecoderSpec::MOST_POSITIONS`]; up to `window` positions it
    /// computes the same as without. What positions further back have told those in the window stays with them. No
    /// published model was trained with one.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a window that is empty or larger than the context.
    pub fn with_window(self, window: usize) -> Result<Self> {
        if !(1..=self.max_positions).contains(&window) {
            let expected = "at least 1 and at most the model's context";
            return Err(Error::InvalidOption { name: "context_window", value: window.to_string(), expected });
        }
        Ok(Self { window: Some(window), ..self })
    }

    /// The most positions of any sequence: those that rotary embeddings, in `f32`, tell apart.
    pub const MOST_POSITIONS: usize = 1 << 24;

    /// The most positions of a sequence.
    pub fn longest(&self) -> usize {
        if self.window.is_some() { Self::MOST_POSITIONS } else { self.max_positions }
    }

    /// The feed-forward layer of decoder layer `layer`.
    pub fn feed_forward(&self, layer: usize) -> FeedForwardSpec<'_> {
        match &self.sparse {
            Some(sparse) if layer >= sparse.first_layer && layer.is_multiple_of(sparse.every) => {
                FeedForwardSpec::Sparse(sparse)
            }
            _ => FeedForwardSpec::Dense(self.intermediate_size),
        }
    }
}

fn grouped(raw: &LanguageConfig) -> Result<(AttentionSpec, RotarySpec)> {
    let heads = raw.num_attention_heads;
    let head_dim = match raw.head_dim {
        Some(head_dim) => head_dim,
        None if heads > 0 && raw.hidden_size.is_multiple_of(heads) => raw.hidden_size / heads,
        None => {
            let reason = format!("not a divisor of hidden_size, which is {}", raw.hidden_size);
            return Err(Error::config("num_attention_heads", heads, reason));
        }
    };
    let is_qwen = raw.architecture == Architecture::Qwen2;
    let attention = AttentionSpec::Grouped {
        heads,
        kv_heads: raw.num_key_value_heads.unwrap_or(heads),
        head_dim,
        input_bias: raw.attention_bias || is_qwen,
        output_bias: raw.attention_bias && !is_qwen,
    };
    Ok((attention, RotarySpec::grouped(raw, head_dim)?))
}

fn latent(raw: &LanguageConfig) -> Result<(AttentionSpec, RotarySpec)> {
    let attention = AttentionSpec::Latent {
        heads: raw.num_attention_heads,
        q_rank: raw.q_lora_rank,
        kv_rank: required("kv_lora_rank", raw.kv_lora_rank, "latent attention")?,
        nope_dim: raw.qk_nope_head_dim,
        rope_dim: raw.qk_rope_head_dim,
        value_dim: raw.v_head_dim,
        bias: raw.attention_bias,
    };
    Ok((attention, RotarySpec::latent(raw)?))
}

fn sparse(raw: &LanguageConfig, experts: usize) -> Result<SparseSpec> {
    let groups = |rank| -> Result<Option<Groups>> {
        let count = required("n_group", raw.n_group, "this topk_method")?;
        let kept = required("topk_group", raw.topk_group, "this topk_method")?;
        Ok(Some(Groups { count, kept, rank }))
    };
    let (correction, groups) = match raw.topk_method.as_str() {
        "greedy" | "gready" => (false, None),
        "group_limited_greedy" => (false, groups(GroupRank::Best)?),
        "noaux_tc" => (true, groups(GroupRank::BestTwo)?),
        other => {
            let reason = "neither greedy nor group_limited_greedy nor noaux_tc";
            return Err(Error::config("topk_method", other, reason));
        }
    };
    let score = match raw.scoring_func.as_str() {
        "softmax" => Score::Softmax,
        "sigmoid" => Score::Sigmoid,
        other => return Err(Error::config("scoring_func", other, "neither softmax nor sigmoid")),
    };
    Ok(SparseSpec {
        first_layer: raw.first_k_dense_replace,
        every: raw.moe_layer_freq,
        expert_size: raw.moe_intermediate_size,
        shared_size: raw.n_shared_experts.unwrap_or(0).saturating_mul(raw.moe_intermediate_size),
        router: RouterSpec {
            experts,
            top_k: required("num_experts_per_tok", raw.num_experts_per_tok, "a mixture of experts")?,
            score,
            correction,
            groups,
            normalise: raw.norm_topk_prob,
            scale: raw.routed_scaling_factor as f32,
        },
    })
}

fn required<T>(key: &'static str, value: Option<T>, by: &str) -> Result<T> {
    value.ok_or_else(|| Error::config(key, "null", format!("{by} needs a number")))
}
