//! Configurations: the published ones, and bad ones.

use crate::reference::{NAMES, checkpoint, spec};
use seekvl_language::{AttentionSpec, DecoderSpec, FeedForwardSpec, GroupRank, LanguageConfig, Result, Score};
use seekvl_nn::CacheType;
use serde_json::{Value, json};

/// The published files leave out much of their shape.
fn tiny() -> Value {
    json!({
        "bos_token_id": 0, "eos_token_id": 1, "first_k_dense_replace": 1, "hidden_size": 1280, "intermediate_size": 6848,
        "kv_lora_rank": null, "lm_head": true, "max_position_embeddings": 4096, "moe_intermediate_size": 896,
        "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 2, "num_attention_heads": 10,
        "num_experts_per_tok": 6, "num_hidden_layers": 12, "num_key_value_heads": 10, "q_lora_rank": null,
        "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "rm_head": false, "topk_group": 1, "topk_method": "greedy",
        "torch_dtype": "bfloat16", "use_mla": false, "v_head_dim": 0, "vocab_size": 129280
    })
}

fn small() -> Value {
    json!({
        "first_k_dense_replace": 1, "hidden_size": 2048, "intermediate_size": 10944, "max_position_embeddings": 4096,
        "moe_intermediate_size": 1408, "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 2,
        "num_attention_heads": 16, "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 16,
        "q_lora_rank": null, "topk_group": 1, "topk_method": "greedy", "vocab_size": 102400
    })
}

fn base() -> Value {
    json!({
        "first_k_dense_replace": 1, "hidden_size": 2560, "intermediate_size": 12288, "lm_head": false,
        "max_position_embeddings": 4096, "moe_intermediate_size": 1536, "n_group": 1, "n_routed_experts": 72,
        "n_shared_experts": 2, "norm_topk_prob": true, "num_experts_per_tok": 6, "q_lora_rank": null,
        "routed_scaling_factor": 2.0, "scoring_func": "sigmoid", "topk_group": 1, "topk_method": "noaux_tc",
        "vocab_size": 129280
    })
}

fn v3() -> Value {
    json!({
        "bos_token_id": 0, "eos_token_id": [1, 2], "first_k_dense_replace": 3, "hidden_size": 7168,
        "intermediate_size": 18432, "max_position_embeddings": 163840, "moe_intermediate_size": 2048, "n_group": 8,
        "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 128,
        "num_experts_per_tok": 8, "num_hidden_layers": 61, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
        "topk_group": 4, "topk_method": "noaux_tc", "vocab_size": 129280,
        "rope_scaling": {
            "beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
            "original_max_position_embeddings": 4096, "type": "yarn"
        }
    })
}

fn read(config: Value) -> Result<DecoderSpec> {
    DecoderSpec::from_config(&serde_json::from_value::<LanguageConfig>(config).unwrap())
}

#[test]
fn published_configurations_are_read_with_the_original_s_defaults() {
    let grouped =
        AttentionSpec::Grouped { heads: 10, kv_heads: 10, head_dim: 128, input_bias: false, output_bias: false };
    assert_eq!(read(tiny()).unwrap().attention, grouped);
    let latent = |heads, q_rank| AttentionSpec::Latent {
        heads,
        q_rank,
        kv_rank: 512,
        nope_dim: 128,
        rope_dim: 64,
        value_dim: 128,
        bias: false,
    };
    let small = read(small()).unwrap();
    assert_eq!((small.attention, small.bos, &small.eos[..]), (latent(16, None), Some(100_000), &[100_001][..]));
    let base = read(base()).unwrap();
    assert_eq!((base.attention, base.layers), (latent(32, None), 30));
    let router = base.sparse.as_ref().unwrap().router;
    assert_eq!((router.score, router.correction, router.normalise, router.scale), (Score::Sigmoid, true, true, 2.0));
    let v3 = read(v3()).unwrap();
    assert_eq!((v3.attention, v3.eos), (latent(128, Some(1536)), vec![1, 2]));
    assert_eq!(v3.sparse.unwrap().router.groups.unwrap().rank, GroupRank::BestTwo);
}

/// What is published: 3.4, 16.1 and 27.5 billion with a vision tower of 0.43 for DeepSeek-VL2's three sizes, of which
/// 0.57, 2.4 and 4.1 of the language model are active (its paper's Table 1); 671 and 37 for DeepSeek-V3.
#[test]
fn parameters_are_those_of_the_papers() {
    let billions = |config: Value| {
        let parameters = read(config).unwrap().parameters();
        (parameters.total as f64 / 1e9, parameters.active as f64 / 1e9)
    };
    let near = |found: (f64, f64), total: f64, active: f64| {
        assert!((found.0 - total).abs() < 0.01 * total && (found.1 - active).abs() < 0.03 * active, "{found:?}");
    };
    near(billions(tiny()), 2.94, 0.57);
    near(billions(small()), 15.7, 2.4);
    near(billions(base()), 27.1, 4.1);
    near(billions(v3()), 671.0, 37.0);
}

#[test]
fn parameters_are_those_of_the_checkpoints() {
    for name in NAMES {
        let checkpoint = checkpoint(name);
        let stored = checkpoint.tensors().filter(|(name, _)| name.starts_with("language."));
        let total: usize = stored.map(|(_, tensor)| tensor.elements()).sum();
        assert_eq!(spec(name).parameters().total, total as u64, "{name}");
    }
}

#[test]
fn latents_are_smaller_than_keys_and_values() {
    let (tiny, small) = (read(tiny()).unwrap(), read(small()).unwrap());
    for (kind, bits) in [(CacheType::F32, 64), (CacheType::Bf16, 32), (CacheType::Q8_0, 17)] {
        assert_eq!(tiny.cache_bytes_per_token(kind), 12 * 2 * 1280 * bits / 16);
        assert_eq!(small.cache_bytes_per_token(kind), 27 * (512 + 64) * bits / 16);
        assert_eq!(small.mha_cache_bytes_per_token(kind), 27 * 16 * (192 + 128) * bits / 16);
    }
}

#[test]
fn sparse_layers_follow_the_dense_ones() {
    let mut config = small();
    config["first_k_dense_replace"] = 3.into();
    config["moe_layer_freq"] = 2.into();
    config["n_shared_experts"] = Value::Null;
    let spec = read(config).unwrap();
    let sparse: Vec<usize> = (0..9).filter(|&i| matches!(spec.feed_forward(i), FeedForwardSpec::Sparse(_))).collect();
    assert_eq!(sparse, [4, 6, 8]);
    assert_eq!(spec.sparse.unwrap().shared_size, 0);
}

#[test]
fn absent_and_null_differ() {
    let mut config = small();
    config.as_object_mut().unwrap().remove("q_lora_rank");
    let AttentionSpec::Latent { q_rank, .. } = read(config).unwrap().attention else { panic!("latent") };
    assert_eq!(q_rank, Some(1536));
    let mut config = small();
    config["n_routed_experts"] = Value::Null;
    assert_eq!(read(config).unwrap().sparse, None);
}

/// Each bad value, and what must be in the message.
#[test]
fn bad_values_are_named() {
    let yarn = |key: &str, value: Value| {
        let mut scaling = v3()["rope_scaling"].clone();
        scaling[key] = value;
        scaling
    };
    let cases = [
        (small(), "hidden_act", json!("gelu"), "hidden_act is gelu"),
        (small(), "scoring_func", json!("relu"), "scoring_func is relu"),
        (small(), "topk_method", json!("random"), "topk_method is random"),
        (small(), "num_experts_per_tok", json!(65), "num_experts_per_tok is 65"),
        (small(), "num_experts_per_tok", json!(0), "num_experts_per_tok is 0"),
        (small(), "num_experts_per_tok", Value::Null, "num_experts_per_tok is null"),
        (small(), "kv_lora_rank", Value::Null, "kv_lora_rank is null"),
        (small(), "qk_rope_head_dim", json!(63), "qk_rope_head_dim is 63"),
        (small(), "qk_rope_head_dim", json!(0), "qk_rope_head_dim is 0"),
        (small(), "qk_nope_head_dim", json!(0), "qk_nope_head_dim is 0"),
        (small(), "v_head_dim", json!(0), "v_head_dim is 0"),
        (small(), "q_lora_rank", json!(0), "q_lora_rank is 0"),
        (small(), "hidden_size", json!(0), "hidden_size is 0"),
        (small(), "hidden_size", json!(usize::MAX), "hidden_size is 18446744073709551615"),
        (small(), "vocab_size", json!(0), "vocab_size is 0"),
        (small(), "num_hidden_layers", json!(1_000_000), "num_hidden_layers is 1000000"),
        (small(), "num_attention_heads", json!(0), "num_attention_heads is 0"),
        (small(), "intermediate_size", json!(0), "intermediate_size is 0"),
        (small(), "moe_intermediate_size", json!(0), "moe_intermediate_size is 0"),
        (small(), "moe_layer_freq", json!(0), "moe_layer_freq is 0"),
        (small(), "n_shared_experts", json!(usize::MAX), "n_shared_experts is"),
        (small(), "n_routed_experts", json!(1 << 20), "n_routed_experts is 1048576"),
        (small(), "max_position_embeddings", json!(0), "max_position_embeddings is 0"),
        (small(), "rope_theta", json!(0), "rope_theta is 0"),
        (small(), "rms_norm_eps", json!(1e300), "rms_norm_eps is inf"),
        (small(), "routed_scaling_factor", json!(-1e300), "routed_scaling_factor is -inf"),
        (small(), "rope_scaling", json!({"type": "linear", "factor": 2}), "rope_scaling.type is linear"),
        (v3(), "rope_scaling", yarn("factor", json!(0)), "rope_scaling.factor is 0"),
        (v3(), "rope_scaling", yarn("beta_fast", json!(-1)), "rope_scaling.beta_fast is -1"),
        (v3(), "n_group", json!(7), "n_group is 7"),
        (v3(), "n_group", json!(256), "n_group is 256"),
        (v3(), "n_group", Value::Null, "n_group is null"),
        (v3(), "topk_group", json!(9), "topk_group is 9"),
        (v3(), "num_experts_per_tok", json!(129), "num_experts_per_tok is 129"),
        (tiny(), "num_attention_heads", json!(7), "num_attention_heads is 7"),
        (tiny(), "num_attention_heads", json!(256), "num_attention_heads is 256"),
        (tiny(), "num_key_value_heads", json!(3), "num_key_value_heads is 3"),
        (tiny(), "num_key_value_heads", json!(0), "num_key_value_heads is 0"),
        (tiny(), "rope_scaling", json!({"type": "yarn", "factor": 4}), "rope_scaling.type is yarn"),
    ];
    for (mut config, key, value, expected) in cases {
        config[key] = value.clone();
        let message = read(config).err().unwrap_or_else(|| panic!("{key} = {value} passed")).to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn sizes_that_are_absurd_together_are_refused() {
    for mut config in [tiny(), small(), v3()] {
        for key in ["hidden_size", "intermediate_size", "vocab_size", "num_attention_heads", "num_key_value_heads"] {
            config[key] = json!(1 << 24);
        }
        config["num_attention_heads"] = json!(1 << 23);
        config["num_key_value_heads"] = json!(1 << 23);
        assert!(read(config).unwrap_err().to_string().contains("17 trillion"));
    }
    let mut config = tiny();
    for (key, value) in [("hidden_size", 2560), ("max_position_embeddings", 1 << 24), ("num_hidden_layers", 4096)] {
        config[key] = value.into();
    }
    assert!(read(config).unwrap_err().to_string().contains("pebibyte"));
}
