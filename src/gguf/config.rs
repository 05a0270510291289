//! A file's metadata as the `config.json` that its model would have on the hub.

use super::meta::Meta;
use super::{names, vision};
use crate::Result;
use seekvl_nn::Gguf;
use serde_json::{Map, Value, json};

/// Those that are read, and written.
const ARCHITECTURES: [&str; 4] = ["llama", "qwen2", "deepseek", "deepseek2"];

/// `config.json`, and `processor_config.json` of a model with eyes. `files` are the shards of one model, the first of which
/// has the metadata.
pub(super) fn configs(files: &[Gguf]) -> Result<(Value, Option<Value>)> {
    let meta = Meta::of(&files[0])?;
    if !ARCHITECTURES.contains(&meta.arch) {
        let reason = "neither llama, qwen2, deepseek nor deepseek2";
        return Err(meta.error("general.architecture", meta.arch, reason));
    }
    let mut config = language(&meta, files)?;
    tokens(&meta, &mut config)?;
    if !vision::is_there(&meta)? {
        return Ok((Value::Object(config), None));
    }
    let (config, processor) = vision::configs(&meta, Value::Object(config))?;
    Ok((config, Some(processor)))
}

fn language(meta: &Meta<'_>, files: &[Gguf]) -> Result<Map<String, Value>> {
    let drafts = meta.number("nextn_predict_layers")?.unwrap_or(0);
    let has = |name: &str| files.iter().any(|file| file.tensors().iter().any(|tensor| tensor.name == name));
    let heads = meta.needed("attention.head_count")?;
    let common = json!({
        "hidden_size": meta.needed("embedding_length")?,
        "num_hidden_layers": meta.needed("block_count")?.saturating_sub(drafts),
        "num_nextn_predict_layers": drafts,
        "intermediate_size": meta.needed("feed_forward_length")?,
        "num_attention_heads": heads,
        "num_key_value_heads": meta.number("attention.head_count_kv")?.unwrap_or(heads),
        "max_position_embeddings": meta.needed("context_length")?,
        "rms_norm_eps": meta.float("attention.layer_norm_rms_epsilon")?,
        "rope_theta": meta.float("rope.freq_base")?.unwrap_or(10_000.0),
        "vocab_size": vocabulary(meta)?,
        "tie_word_embeddings": !has("output.weight"),
    });
    let own = match meta.arch {
        "llama" => grouped(meta, "llama", true, has("blk.0.attn_q.bias"))?,
        "qwen2" => grouped(meta, "qwen2", false, false)?,
        "deepseek" => merged(grouped(meta, "deepseek_v2", true, false)?, sparse(meta, "softmax", "greedy")?),
        _ => latent(meta, &has)?,
    };
    Ok(merged(merged(object(common), own), scaling(meta)?))
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

fn merged(mut a: Map<String, Value>, b: Map<String, Value>) -> Map<String, Value> {
    a.extend(b);
    a
}

/// Some files have no key for it; the table has a row for each.
fn vocabulary(meta: &Meta<'_>) -> Result<Value> {
    let rows = meta.shape("token_embd.weight").map(|shape| shape[0] as u64);
    let size = meta.number("vocab_size")?.or(rows);
    size.map(Value::from).ok_or_else(|| meta.missing(&meta.key("vocab_size")))
}

/// llama.cpp turns neighbours where `interleaved`, and its converter orders rows accordingly.
fn grouped(meta: &Meta<'_>, model_type: &str, interleaved: bool, bias: bool) -> Result<Map<String, Value>> {
    let head_dim = meta.number("attention.key_length")?;
    let heads = meta.needed("attention.head_count")?;
    let width = head_dim.or_else(|| meta.needed("embedding_length").ok()?.checked_div(heads));
    for key in ["rope.dimension_count", "attention.value_length"] {
        if let Some(other) = meta.number(key)?.filter(|other| Some(*other) != width) {
            return Err(meta.error(&meta.key(key), &other.to_string(), "only the width of a whole head is supported"));
        }
    }
    Ok(object(json!({
        "model_type": model_type, "use_mla": false, "rope_interleave": interleaved, "attention_bias": bias,
        "head_dim": head_dim,
    })))
}

fn latent(meta: &Meta<'_>, has: &impl Fn(&str) -> bool) -> Result<Map<String, Value>> {
    // Files that have the up-projection in two say what a head would be; the others' heads are such.
    let either = |mla: &str, plain: &str| meta.number(mla).transpose().unwrap_or_else(|| meta.needed(plain));
    let key = either("attention.key_length_mla", "attention.key_length")?;
    let rope = meta.needed("rope.dimension_count")?;
    let score = match meta.number("expert_gating_func")? {
        None | Some(0 | 1) => "softmax",
        Some(2) => "sigmoid",
        Some(other) => {
            let reason = "neither 1 (softmax) nor 2 (sigmoid)";
            return Err(meta.error(&meta.key("expert_gating_func"), &other.to_string(), reason));
        }
    };
    let experts = meta.number("expert_count")?.unwrap_or(0);
    let groups = groups(meta, experts)?;
    let dense = meta.number("leading_dense_block_count")?.unwrap_or(0);
    let method = match (has(&format!("blk.{dense}.{}", names::CORRECTION.0)), groups) {
        (true, _) => "noaux_tc",
        (false, (count, _)) if count > 1 => "group_limited_greedy",
        _ => "greedy",
    };
    let model_type = if score == "sigmoid" { "deepseek_v3" } else { "deepseek_v2" };
    let own = object(json!({
        "model_type": model_type,
        "q_lora_rank": meta.number("attention.q_lora_rank")?,
        "kv_lora_rank": meta.needed("attention.kv_lora_rank")?,
        "qk_rope_head_dim": rope,
        "qk_nope_head_dim": key.saturating_sub(rope),
        "v_head_dim": either("attention.value_length_mla", "attention.value_length")?,
        "n_group": groups.0,
        "topk_group": groups.1,
        "norm_topk_prob": meta.value(&meta.key("expert_weights_norm"), seekvl_nn::Value::as_bool)?.unwrap_or(false),
        "routed_scaling_factor": meta.float("expert_weights_scale")?.filter(|scale| *scale != 0.0).unwrap_or(1.0),
    }));
    Ok(merged(sparse(meta, score, method)?, own))
}

/// Older converters left the groups out; these are those of the published models with so many experts.
fn groups(meta: &Meta<'_>, experts: u64) -> Result<(u64, u64)> {
    let (count, used) = match experts {
        160 => (8, 3),
        256 => (8, 4),
        _ => (1, 1),
    };
    match meta.number("expert_group_count")? {
        Some(count) => Ok((count.max(1), meta.number("expert_group_used_count")?.unwrap_or(1).max(1))),
        None => Ok((count, used)),
    }
}

fn sparse(meta: &Meta<'_>, score: &str, method: &str) -> Result<Map<String, Value>> {
    let experts = meta.number("expert_count")?.filter(|count| *count > 0);
    if experts.is_none() {
        return Ok(Map::new());
    }
    Ok(object(json!({
        "n_routed_experts": experts,
        "n_shared_experts": meta.number("expert_shared_count")?,
        "num_experts_per_tok": meta.needed("expert_used_count")?,
        "moe_intermediate_size": meta.needed("expert_feed_forward_length")?,
        "first_k_dense_replace": meta.number("leading_dense_block_count")?.unwrap_or(0),
        "moe_layer_freq": 1, "scoring_func": score, "topk_method": method,
    })))
}

fn scaling(meta: &Meta<'_>) -> Result<Map<String, Value>> {
    let factors = meta.file.floats(names::FACTORS);
    let kind = meta.value(&meta.key("rope.scaling.type"), seekvl_nn::Value::as_str)?;
    let scaling = match (factors, kind) {
        (Some(factors), _) => json!({"type": "factors", "factors": factors}),
        (None, None | Some("none")) => return Ok(Map::new()),
        (None, Some("linear")) => json!({"type": "linear", "factor": meta.float("rope.scaling.factor")?}),
        (None, Some("yarn")) => {
            let multiplier = meta.float("rope.scaling.yarn_log_multiplier")?;
            // It is a tenth of `mscale_all_dim`, and `mscale` is taken for the same; without it they are 0 and 1.
            let scales = multiplier.map_or((1.0, 0.0), |multiplier| (10.0 * multiplier, 10.0 * multiplier));
            let original = meta.number("rope.scaling.original_context_length")?;
            json!({
                "type": "yarn", "factor": meta.float("rope.scaling.factor")?,
                "original_max_position_embeddings": original, "mscale": scales.0, "mscale_all_dim": scales.1,
                "beta_fast": meta.float("rope.scaling.yarn_beta_fast")?,
                "beta_slow": meta.float("rope.scaling.yarn_beta_slow")?,
            })
        }
        (None, Some(other)) => {
            let reason = "neither none, linear nor yarn";
            return Err(meta.error(&meta.key("rope.scaling.type"), other, reason));
        }
    };
    Ok(object(json!({"rope_scaling": scaling})))
}

/// What begins a prompt and what ends an answer.
fn tokens(meta: &Meta<'_>, config: &mut Map<String, Value>) -> Result<()> {
    let id = |name: &str| meta.value(&format!("tokenizer.ggml.{name}_token_id"), seekvl_nn::Value::as_u64);
    config.insert("bos_token_id".into(), json!(id("bos")?));
    let ends: Vec<u64> = [id("eos")?, id("eot")?].into_iter().flatten().collect();
    config.insert("eos_token_id".into(), json!(ends));
    Ok(())
}
