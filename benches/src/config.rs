//! What of a checkpoint's `config.json` decides the names and shapes of its tensors.
//!
//! Keys that a file leaves out have the values of the original's configuration classes (`DeepseekV2Config`,
//! `VisionEncoderConfig`, `MlpProjectorConfig`); the file of the full model relies on that. This reader is apart from the
//! library's own, so that a checkpoint made here tests that one.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;

/// A `config.json` of DeepSeek-VL2 or, without eyes, of DeepSeek-V2 or -V3, DeepSeek LLM or R1's distilled models.
#[derive(Clone, Debug)]
pub struct Config {
    /// The vision tower and the projector, if there are any.
    pub eyes: Option<(VisionConfig, ProjectorConfig)>,
    /// The language model.
    pub language: LanguageConfig,
}

impl Config {
    /// Reads the contents of a `config.json`.
    ///
    /// # Errors
    /// A configuration of another model, or a value of another type than it should be.
    pub fn read(config: &Value) -> serde_json::Result<Self> {
        let part = |key: &str| config.get(key).cloned().unwrap_or_default();
        match config["model_type"].as_str() {
            Some("deepseek_v2" | "deepseek_v3") => {
                Ok(Self { eyes: None, language: serde_json::from_value(config.clone())? })
            }
            Some(class @ ("llama" | "qwen2")) => {
                let language: LanguageConfig = serde_json::from_value(config.clone())?;
                let is_tied = config["tie_word_embeddings"] == true;
                let language = LanguageConfig { use_mla: false, has_bias: class == "qwen2", is_tied, ..language };
                Ok(Self { eyes: None, language })
            }
            Some("deepseek_vl_v2") => Ok(Self {
                eyes: Some((
                    serde_json::from_value(part("vision_config"))?,
                    serde_json::from_value(part("projector_config"))?,
                )),
                language: serde_json::from_value(part("language_config"))?,
            }),
            _ => Err(serde_json::Error::custom(
                "model_type is none of deepseek_vl_v2, deepseek_v2, deepseek_v3, llama and qwen2",
            )),
        }
    }
}

/// The shape of the vision tower.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the keys of the file")]
pub struct VisionConfig {
    pub image_size: usize,
    pub patch_size: usize,
    pub width: usize,
    pub layers: usize,
    pub mlp_ratio: f64,
}

/// The shape of the projector.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the keys of the file")]
pub struct ProjectorConfig {
    pub input_dim: usize,
    pub n_embed: usize,
    pub downsample_ratio: usize,
}

/// The shape of the language model.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the keys of the file")]
pub struct LanguageConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub moe_intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub n_routed_experts: Option<usize>,
    pub n_shared_experts: Option<usize>,
    pub first_k_dense_replace: usize,
    pub topk_method: String,
    pub use_mla: bool,
    /// Whether queries, keys and values have biases, as Qwen2's do.
    #[serde(skip)]
    pub has_bias: bool,
    /// Whether the output layer is the embedding. DeepSeek's own classes always have one, whatever the file says.
    #[serde(skip)]
    pub is_tied: bool,
    pub kv_lora_rank: Option<usize>,
    pub q_lora_rank: Option<usize>,
    pub qk_nope_head_dim: usize,
    pub qk_rope_head_dim: usize,
    pub v_head_dim: usize,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self { image_size: 384, patch_size: 16, width: 1024, layers: 24, mlp_ratio: 4.0 }
    }
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        Self { input_dim: 1152, n_embed: 2048, downsample_ratio: 2 }
    }
}

impl Default for LanguageConfig {
    fn default() -> Self {
        Self {
            vocab_size: 102_400,
            hidden_size: 4096,
            intermediate_size: 11_008,
            moe_intermediate_size: 1407,
            num_hidden_layers: 30,
            num_attention_heads: 32,
            num_key_value_heads: 32,
            n_routed_experts: None,
            n_shared_experts: None,
            first_k_dense_replace: 0,
            topk_method: "gready".into(),
            use_mla: true,
            has_bias: false,
            is_tied: false,
            kv_lora_rank: Some(512),
            q_lora_rank: Some(1536),
            qk_nope_head_dim: 128,
            qk_rope_head_dim: 64,
            v_head_dim: 128,
        }
    }
}
