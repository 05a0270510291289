//! The classes of language models whose configurations are read.

use serde_json::{Map, Value, json};

/// A class of language models, by the `model_type` of its `config.json`. Past the configuration they are one decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// DeepSeek-V2, V2-Lite, Coder-V2, and the language models of DeepSeek-VL2.
    #[default]
    DeepSeekV2,
    /// DeepSeek-V3 and R1.
    DeepSeekV3,
    /// DeepSeek LLM, Coder, and R1's distilled Llama models.
    Llama,
    /// R1's distilled Qwen models: LLaMA with biases on queries, keys and values.
    Qwen2,
}

impl Architecture {
    /// The class that a `model_type` names, if it is one of them.
    pub fn of(model_type: &str) -> Option<Self> {
        match model_type {
            "deepseek_v2" => Some(Self::DeepSeekV2),
            "deepseek_v3" => Some(Self::DeepSeekV3),
            "llama" => Some(Self::Llama),
            "qwen2" => Some(Self::Qwen2),
            _ => None,
        }
    }

    /// Adds the keys that a `config.json` of this class may leave out, where the class's default is another than that of
    /// [`LanguageConfig`](crate::LanguageConfig), which has DeepSeek-V2's. (The classes are `LlamaConfig`, `Qwen2Config` and
    /// `DeepseekV3Config` of the transformers library.)
    pub fn fill_defaults(self, config: &mut Map<String, Value>) {
        if let Value::Object(defaults) = self.defaults() {
            for (key, value) in defaults {
                config.entry(key).or_insert(value);
            }
        }
    }

    fn defaults(self) -> Value {
        match self {
            Self::DeepSeekV2 => json!({}),
            Self::DeepSeekV3 => json!({
                "vocab_size": 129_280, "hidden_size": 7168, "intermediate_size": 18_432,
                "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128,
                "num_key_value_heads": 128, "n_shared_experts": 1, "n_routed_experts": 256,
                "routed_scaling_factor": 2.5, "topk_method": "noaux_tc", "scoring_func": "sigmoid",
                "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
                "norm_topk_prob": true, "max_position_embeddings": 4096, "bos_token_id": 0, "eos_token_id": 1,
            }),
            Self::Llama => json!({
                "use_mla": false, "vocab_size": 32_000, "num_hidden_layers": 32, "num_key_value_heads": null,
                "bos_token_id": 1, "eos_token_id": 2,
            }),
            Self::Qwen2 => json!({
                "use_mla": false, "vocab_size": 151_936, "intermediate_size": 22_016, "num_hidden_layers": 32,
                "max_position_embeddings": 32_768, "bos_token_id": null, "eos_token_id": null,
            }),
        }
    }
}
