//! The keys of a `config.json`, as they stand.

use crate::Architecture;
use serde::Deserialize;

/// The `language_config` of a DeepSeek-VL2 checkpoint, or the `config.json` of a language model.
///
/// Defaults are those of DeepSeek-V2's `configuration_deepseek.py`; [`Architecture::fill_defaults`] has the other
/// classes'. Keys that say nothing of the computation are ignored. An absent key and a `null` differ: without `q_lora_rank` it is 1536, with `null` there is none.
/// Nothing is checked here: [`DecoderSpec::from_config`](crate::DecoderSpec::from_config) does that.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct LanguageConfig {
    /// The class of the model; not a key of the file, which has it as `model_type`.
    #[serde(skip)]
    pub architecture: Architecture,
    /// Rows of the embedding table and of the output layer.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Inner width of a dense feed-forward layer.
    pub intermediate_size: usize,
    /// Inner width of one expert.
    pub moe_intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Width of a head of grouped attention; `hidden_size / num_attention_heads` if not given.
    pub head_dim: Option<usize>,
    /// Key and value heads of grouped attention; `null` means as many as query heads. Latent attention has none.
    pub num_key_value_heads: Option<usize>,
    /// Experts that see every token, held as one layer so many times as wide.
    pub n_shared_experts: Option<usize>,
    /// Experts that a router chooses from; `null` makes every layer dense.
    pub n_routed_experts: Option<usize>,
    /// Factor on the weights of the chosen experts.
    pub routed_scaling_factor: f64,
    /// Width of the latent that keys and values are made of.
    pub kv_lora_rank: Option<usize>,
    /// Width of the latent that queries are made of; `null` for queries made straight from the hidden state.
    pub q_lora_rank: Option<usize>,
    /// Part of a latent query or key that is rotated.
    pub qk_rope_head_dim: usize,
    /// Width of a value of one head of latent attention.
    pub v_head_dim: usize,
    /// Part of a latent query or key that is not rotated.
    pub qk_nope_head_dim: usize,
    /// How experts are chosen: `greedy` (`gready` in the original's default), `group_limited_greedy`, `noaux_tc`.
    pub topk_method: String,
    /// Groups that the experts fall into.
    pub n_group: Option<usize>,
    /// Groups that a token may choose from.
    pub topk_group: Option<usize>,
    /// Experts chosen for each token.
    pub num_experts_per_tok: Option<usize>,
    /// Every how many layers the feed-forward layer is sparse.
    pub moe_layer_freq: usize,
    /// Layers at the start that are dense in any case.
    pub first_k_dense_replace: usize,
    /// Whether the weights of the chosen experts are brought to a sum of 1 before scaling.
    pub norm_topk_prob: bool,
    /// What turns the router's logits into scores: `softmax` or `sigmoid`.
    pub scoring_func: String,
    /// Activation of the feed-forward layers.
    pub hidden_act: String,
    /// The context: most positions of a sequence.
    pub max_position_embeddings: usize,
    /// Epsilon of the layers' norms (those of the latents always have 1e-6).
    pub rms_norm_eps: f64,
    /// Token that a prompt begins with.
    pub bos_token_id: Option<u32>,
    /// Tokens that end an answer.
    pub eos_token_id: Option<TokenIds>,
    /// Whether the output layer is the embedding table.
    pub tie_word_embeddings: bool,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies are stretched to a longer context.
    pub rope_scaling: Option<RopeScaling>,
    /// Both in one, as newer files have it; takes precedence.
    pub rope_parameters: Option<RopeScaling>,
    /// Whether the two numbers of grouped attention that turn together are neighbours, as GGUF files of some models have them.
    /// (Those of latent attention always are.)
    pub rope_interleave: bool,
    /// Whether the attention projections have biases.
    pub attention_bias: bool,
    /// Whether the feed-forward layers have biases; none that is supported does.
    pub mlp_bias: bool,
    /// Whether attention looks back over a window only; no supported model does.
    pub use_sliding_window: bool,
    /// Layers after the last that predict one token further (multi-token prediction).
    pub num_nextn_predict_layers: usize,
    /// Latent attention (MLA), or else LLaMA-style attention.
    pub use_mla: bool,
}

impl Default for LanguageConfig {
    fn default() -> Self {
        Self {
            architecture: Architecture::default(),
            vocab_size: 102_400,
            hidden_size: 4096,
            intermediate_size: 11_008,
            moe_intermediate_size: 1407,
            num_hidden_layers: 30,
            num_attention_heads: 32,
            head_dim: None,
            num_key_value_heads: Some(32),
            n_shared_experts: None,
            n_routed_experts: None,
            routed_scaling_factor: 1.0,
            kv_lora_rank: Some(512),
            q_lora_rank: Some(1536),
            qk_rope_head_dim: 64,
            v_head_dim: 128,
            qk_nope_head_dim: 128,
            topk_method: "gready".into(),
            n_group: None,
            topk_group: None,
            num_experts_per_tok: None,
            moe_layer_freq: 1,
            first_k_dense_replace: 0,
            norm_topk_prob: false,
            scoring_func: "softmax".into(),
            hidden_act: "silu".into(),
            max_position_embeddings: 2048,
            rms_norm_eps: 1e-6,
            bos_token_id: Some(100_000),
            eos_token_id: Some(TokenIds::One(100_001)),
            tie_word_embeddings: false,
            rope_theta: 10_000.0,
            rope_scaling: None,
            rope_parameters: None,
            rope_interleave: false,
            attention_bias: false,
            mlp_bias: false,
            use_sliding_window: false,
            num_nextn_predict_layers: 0,
            use_mla: true,
        }
    }
}

/// One token id or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// A number.
    One(u32),
    /// A list of numbers.
    Many(Vec<u32>),
}

impl TokenIds {
    /// All of them.
    pub fn to_vec(&self) -> Vec<u32> {
        match self {
            TokenIds::One(id) => vec![*id],
            TokenIds::Many(ids) => ids.clone(),
        }
    }
}

/// The keys of `rope_scaling` or `rope_parameters`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RopeScaling {
    /// The method: `yarn`, `llama3`, `linear`, `factors` or `default`.
    pub rope_type: Option<String>,
    /// The same under its older name.
    #[serde(rename = "type")]
    pub older_type: Option<String>,
    /// Base of the frequencies, in `rope_parameters`.
    pub rope_theta: Option<f64>,
    /// Stretched over original context; 1 if not given.
    pub factor: Option<f64>,
    /// The context that the model was first trained for.
    pub original_max_position_embeddings: Option<usize>,
    /// YaRN: turns within the original context from which on a frequency is kept; 32 if not given.
    pub beta_fast: Option<f64>,
    /// YaRN: turns within the original context up to which a frequency is stretched in full; 1 if not given.
    pub beta_slow: Option<f64>,
    /// YaRN: strength of the factor on cosines and sines; 1 if not given.
    pub mscale: Option<f64>,
    /// YaRN: strength of the factor on the softmax scale, taken off cosines and sines again; 0 if not given.
    pub mscale_all_dim: Option<f64>,
    /// Llama 3: turns within the original context up to which a frequency is stretched in full.
    pub low_freq_factor: Option<f64>,
    /// Llama 3: turns within the original context from which on a frequency is kept.
    pub high_freq_factor: Option<f64>,
    /// `factors`: what each frequency is divided by. No `config.json` has them; GGUF files hold them as a tensor.
    pub factors: Option<Vec<f32>>,
}

impl RopeScaling {
    /// The method, by whichever name it goes.
    pub fn method(&self) -> Option<&str> {
        self.rope_type.as_deref().or(self.older_type.as_deref())
    }
}
