//! The metadata that a file gets, by the keys of llama.cpp's converters.

use crate::config::ModelSpec;
use crate::{Error, Result};
use seekvl_language::{Architecture, AttentionSpec, DecoderSpec, RotaryScaling, Score, SparseSpec, YarnSpec};
use seekvl_nn::Value as Stored;

/// Keys and values, in the order of the file.
pub(super) struct Keys {
    arch: &'static str,
    pub values: Vec<(String, Stored)>,
}

impl Keys {
    fn number(&mut self, key: &str, value: usize) {
        self.values.push((format!("{}.{key}", self.arch), Stored::U32(value as u32)));
    }

    fn float(&mut self, key: &str, value: f64) {
        self.values.push((format!("{}.{key}", self.arch), Stored::F32(value as f32)));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.values.push((format!("{}.{key}", self.arch), Stored::String(value.into())));
    }
}

fn none(reason: &str) -> Error {
    Error::NoGguf { reason: reason.into() }
}

/// The keys of a language model.
///
/// # Errors
/// [`Error::NoGguf`] for a model that none of llama.cpp's architectures describes.
pub(super) fn language(model: &ModelSpec, name: &str) -> Result<Keys> {
    let spec = &model.language;
    let arch = match (spec.attention, model.architecture) {
        (AttentionSpec::Latent { .. }, _) => "deepseek2",
        (_, Architecture::Llama) => "llama",
        (_, Architecture::Qwen2) => "qwen2",
        (_, Architecture::DeepSeekV2) => "deepseek",
        (_, Architecture::DeepSeekV3) => return Err(none("DeepSeek-V3 without latent attention")),
    };
    let general = [("architecture", arch), ("type", "model"), ("name", name)];
    let values = general.map(|(key, value)| (format!("general.{key}"), Stored::String(value.into())));
    let mut keys = Keys { arch, values: values.into() };
    keys.number("context_length", spec.max_positions);
    keys.number("embedding_length", spec.hidden_size);
    keys.number("block_count", spec.layers);
    keys.number("feed_forward_length", spec.intermediate_size);
    keys.number("vocab_size", spec.vocab_size);
    keys.float("rope.freq_base", spec.rotary.theta);
    keys.float("attention.layer_norm_rms_epsilon", f64::from(spec.rms_eps));
    keys.number("rope.dimension_count", spec.rotary.dim);
    attention(&mut keys, spec)?;
    if let Some(sparse) = &spec.sparse {
        experts(&mut keys, sparse)?;
    } else if arch.starts_with("deepseek") {
        keys.number("leading_dense_block_count", spec.layers);
    }
    rotary(&mut keys, spec)?;
    Ok(keys)
}

fn attention(keys: &mut Keys, spec: &DecoderSpec) -> Result<()> {
    match spec.attention {
        AttentionSpec::Grouped { heads, kv_heads, head_dim, input_bias, .. } => {
            if input_bias && keys.arch == "deepseek" {
                return Err(none("attention of the architecture deepseek has no biases"));
            }
            keys.number("attention.head_count", heads);
            keys.number("attention.head_count_kv", kv_heads);
            keys.number("attention.key_length", head_dim);
            keys.number("attention.value_length", head_dim);
        }
        AttentionSpec::Latent { heads, q_rank, kv_rank, nope_dim, rope_dim, value_dim, bias } => {
            if bias {
                return Err(none("latent attention has no biases there"));
            }
            keys.number("attention.head_count", heads);
            // Absorbed, it is attention to one head.
            keys.number("attention.head_count_kv", 1);
            if let Some(rank) = q_rank {
                keys.number("attention.q_lora_rank", rank);
            }
            keys.number("attention.kv_lora_rank", kv_rank);
            keys.number("attention.key_length", kv_rank + rope_dim);
            keys.number("attention.value_length", kv_rank);
            keys.number("attention.key_length_mla", nope_dim + rope_dim);
            keys.number("attention.value_length_mla", value_dim);
        }
    }
    Ok(())
}

fn experts(keys: &mut Keys, sparse: &SparseSpec) -> Result<()> {
    let router = &sparse.router;
    let is_plain = router.score == Score::Softmax
        && !router.normalise
        && !router.correction
        && router.groups.is_none()
        && router.scale == 1.0;
    match keys.arch {
        "deepseek2" => {}
        "deepseek" if is_plain => {}
        "deepseek" => return Err(none("without latent attention, experts are weighed by softmax alone")),
        _ => return Err(none("experts in a model of Llama's or Qwen2's class")),
    }
    if sparse.every != 1 {
        return Err(none("layers with experts stand in a row there"));
    }
    keys.number("leading_dense_block_count", sparse.first_layer);
    keys.number("expert_count", router.experts);
    keys.number("expert_used_count", router.top_k);
    keys.number("expert_shared_count", sparse.shared_size / sparse.expert_size);
    keys.number("expert_feed_forward_length", sparse.expert_size);
    keys.float("expert_weights_scale", f64::from(router.scale));
    if keys.arch == "deepseek2" {
        keys.values.push((format!("{}.expert_weights_norm", keys.arch), Stored::Bool(router.normalise)));
        keys.number("expert_gating_func", if router.score == Score::Softmax { 1 } else { 2 });
        let groups = router.groups.map_or((1, 1), |groups| (groups.count, groups.kept));
        keys.number("expert_group_count", groups.0);
        keys.number("expert_group_used_count", groups.1);
    }
    Ok(())
}

fn rotary(keys: &mut Keys, spec: &DecoderSpec) -> Result<()> {
    match &spec.rotary.scaling {
        // The tensor of factors says it all.
        None | Some(RotaryScaling::Llama3(_) | RotaryScaling::Factors(_)) => {}
        Some(RotaryScaling::Linear(factor)) => {
            keys.text("rope.scaling.type", "linear");
            keys.float("rope.scaling.factor", *factor);
        }
        Some(RotaryScaling::Yarn(yarn)) => {
            let YarnSpec { factor, original_positions, beta_fast, beta_slow, mscale, mscale_all_dim } = *yarn;
            keys.text("rope.scaling.type", "yarn");
            keys.float("rope.scaling.factor", factor);
            keys.number("rope.scaling.original_context_length", original_positions);
            keys.float("rope.scaling.yarn_beta_fast", beta_fast);
            keys.float("rope.scaling.yarn_beta_slow", beta_slow);
            if mscale == mscale_all_dim {
                keys.float("rope.scaling.yarn_log_multiplier", 0.1 * mscale);
            } else if (mscale, mscale_all_dim) != (1.0, 0.0) {
                return Err(none("YaRN with an mscale that is not mscale_all_dim"));
            }
        }
    }
    Ok(())
}
