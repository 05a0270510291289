//! Whether the numbers of a specification are possible and go together.

use crate::{AttentionSpec, DecoderSpec, Error, GroupRank, Llama3Spec, Result, RotaryScaling, RouterSpec, YarnSpec};
use seekvl_nn::CacheType;
use std::fmt::Display;
use std::ops::RangeInclusive;

/// Sizes above these belong to no model that fits on any machine; below them no product of sizes overflows.
const SIZES: RangeInclusive<usize> = 1..=1 << 24;
const LAYERS: RangeInclusive<usize> = 1..=1 << 12;
const EXPERTS: RangeInclusive<usize> = 1..=1 << 16;
const MOST_PARAMETERS: u128 = 1 << 44;
const LARGEST_CACHE: u128 = 1 << 50;

impl DecoderSpec {
    /// Whether all numbers are possible and go together. Messages name the keys of `config.json`.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn check(&self) -> Result<()> {
        within("vocab_size", self.vocab_size, SIZES)?;
        within("hidden_size", self.hidden_size, SIZES)?;
        within("intermediate_size", self.intermediate_size, SIZES)?;
        within("max_position_embeddings", self.max_positions, SIZES)?;
        within("num_hidden_layers", self.layers, LAYERS)?;
        ensure("rms_norm_eps", self.rms_eps, self.rms_eps.is_finite() && self.rms_eps >= 0.0, "not a small number")?;
        self.attention.check()?;
        let theta = self.rotary.theta;
        ensure("rope_theta", theta, theta > 1.0 && (theta as f32).is_finite(), "not a number above 1")?;
        match &self.rotary.scaling {
            None => {}
            Some(RotaryScaling::Linear(factor)) => positive("rope_scaling.factor", *factor)?,
            Some(RotaryScaling::Yarn(yarn)) => yarn.check()?,
            Some(RotaryScaling::Llama3(llama)) => llama.check()?,
            Some(RotaryScaling::Factors(factors)) => {
                let good = factors.len() == self.rotary.dim / 2 && factors.iter().all(|by| *by > 0.0 && by.is_finite());
                let count = factors.len();
                ensure("rope_scaling.factors", count, good, "not a positive number for each pair that turns")?;
            }
        }
        if let Some(sparse) = &self.sparse {
            within("moe_layer_freq", sparse.every, SIZES)?;
            within("moe_intermediate_size", sparse.expert_size, SIZES)?;
            within("n_shared_experts", sparse.shared_size / sparse.expert_size, 0..=*EXPERTS.end())?;
            sparse.router.check()?;
        }
        let possible = self.count_parameters().total <= MOST_PARAMETERS;
        ensure("hidden_size", self.hidden_size, possible, "with the other sizes, over 17 trillion parameters")?;
        let cache = self.cache_bytes_per_token(CacheType::F32) as u128 * self.max_positions as u128;
        let reason = "with the other sizes, over a pebibyte of cache";
        ensure("max_position_embeddings", self.max_positions, cache <= LARGEST_CACHE, reason)
    }
}

impl AttentionSpec {
    fn check(&self) -> Result<()> {
        match *self {
            AttentionSpec::Grouped { heads, kv_heads, head_dim, .. } => {
                within("num_attention_heads", heads, SIZES)?;
                within("head_dim", head_dim, 0..=*SIZES.end())?;
                let even = head_dim != 0 && head_dim.is_multiple_of(2);
                ensure("num_attention_heads", heads, even, "leaves a head an odd width, which cannot be rotated")?;
                let divides = kv_heads != 0 && heads.is_multiple_of(kv_heads);
                ensure("num_key_value_heads", kv_heads, divides, "not a divisor of num_attention_heads")
            }
            AttentionSpec::Latent { heads, q_rank, kv_rank, nope_dim, rope_dim, value_dim, .. } => {
                within("num_attention_heads", heads, SIZES)?;
                within("q_lora_rank", q_rank.unwrap_or(1), SIZES)?;
                within("kv_lora_rank", kv_rank, SIZES)?;
                within("qk_nope_head_dim", nope_dim, SIZES)?;
                within("qk_rope_head_dim", rope_dim, SIZES)?;
                within("v_head_dim", value_dim, SIZES)?;
                ensure("qk_rope_head_dim", rope_dim, rope_dim.is_multiple_of(2), "odd, and cannot be rotated in pairs")
            }
        }
    }
}

impl YarnSpec {
    fn check(&self) -> Result<()> {
        let numbers = [
            ("rope_scaling.factor", self.factor),
            ("rope_scaling.beta_fast", self.beta_fast),
            ("rope_scaling.beta_slow", self.beta_slow),
        ];
        for (key, value) in numbers {
            positive(key, value)?;
        }
        for (key, value) in [("rope_scaling.mscale", self.mscale), ("rope_scaling.mscale_all_dim", self.mscale_all_dim)]
        {
            ensure(key, value, value >= 0.0 && (value as f32).is_finite(), "not a number from 0 up")?;
        }
        within("rope_scaling.original_max_position_embeddings", self.original_positions, SIZES)
    }
}

impl Llama3Spec {
    fn check(&self) -> Result<()> {
        positive("rope_scaling.factor", self.factor)?;
        positive("rope_scaling.low_freq_factor", self.low_freq_factor)?;
        let (low, high) = (self.low_freq_factor as f32, self.high_freq_factor as f32);
        let key = "rope_scaling.high_freq_factor";
        ensure(key, self.high_freq_factor, high.is_finite() && high > low, "not above low_freq_factor")?;
        within("rope_scaling.original_max_position_embeddings", self.original_positions, SIZES)
    }
}

impl RouterSpec {
    fn check(&self) -> Result<()> {
        within("n_routed_experts", self.experts, EXPERTS)?;
        let chosen = "not between 1 and the number of experts to choose from";
        ensure("num_experts_per_tok", self.top_k, (1..=self.experts).contains(&self.top_k), chosen)?;
        ensure("routed_scaling_factor", self.scale, self.scale.is_finite(), "not a number")?;
        let Some(groups) = self.groups else { return Ok(()) };
        let divides = groups.count != 0 && self.experts.is_multiple_of(groups.count);
        ensure("n_group", groups.count, divides, "not a divisor of n_routed_experts")?;
        within("topk_group", groups.kept, 1..=groups.count)?;
        let size = self.experts / groups.count;
        let ranked = groups.rank == GroupRank::Best || size >= 2 || groups.kept == groups.count;
        ensure("n_group", groups.count, ranked, "leaves groups of one expert, which have no best two")?;
        ensure("num_experts_per_tok", self.top_k, self.top_k <= groups.kept * size, chosen)
    }
}

fn within(key: &'static str, value: usize, range: RangeInclusive<usize>) -> Result<()> {
    let reason = || format!("not between {} and {}", range.start(), range.end());
    if range.contains(&value) { Ok(()) } else { Err(Error::config(key, value, reason())) }
}

fn positive(key: &'static str, value: f64) -> Result<()> {
    ensure(key, value, value as f32 > 0.0 && (value as f32).is_finite(), "not a positive number")
}

fn ensure(key: &'static str, value: impl Display, holds: bool, reason: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::config(key, value, reason)) }
}
