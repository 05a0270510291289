//! The names of tensors: llama.cpp's in GGUF files, and those of checkpoints on the hub. Both directions read these tables.

use seekvl_nn::{GgufTensor, Role};

/// The most experts that are told apart: more than any router may have.
const MOST_EXPERTS: usize = 1 << 16;

/// Of the language model, before `.weight`.
pub(super) const MODEL: [(&str, &str); 3] =
    [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

/// Of a layer `blk.N`, `model.layers.N`, before `.weight` or `.bias`.
pub(super) const LAYER: [(&str, &str); 28] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_q_a", "self_attn.q_a_proj"),
    ("attn_q_a_norm", "self_attn.q_a_layernorm"),
    ("attn_q_b", "self_attn.q_b_proj"),
    ("attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"),
    ("attn_kv_a_norm", "self_attn.kv_a_layernorm"),
    ("attn_kv_b", "self_attn.kv_b_proj"),
    ("attn_k_b", KEYS_UP),
    ("attn_v_b", VALUES_UP),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_shexp", "mlp.shared_experts.gate_proj"),
    ("ffn_up_shexp", "mlp.shared_experts.up_proj"),
    ("ffn_down_shexp", "mlp.shared_experts.down_proj"),
    ("nextn.eh_proj", "eh_proj"),
    ("nextn.embed_tokens", "embed_tokens"),
    ("nextn.enorm", "enorm"),
    ("nextn.hnorm", "hnorm"),
    ("nextn.shared_head_head", "shared_head.head"),
    ("nextn.shared_head_norm", "shared_head.norm"),
    // Nobody's weight has this name; it is here for its bias.
    ("exp_probs_b", "mlp.gate.e_score_correction"),
];

pub(super) const KEYS_UP: &str = "self_attn.k_b_proj";
pub(super) const VALUES_UP: &str = "self_attn.v_b_proj";

/// Of a layer, the stacked experts, and what each has below `mlp.experts.E`.
pub(super) const EXPERTS: [(&str, &str); 3] =
    [("ffn_gate_exps", "gate_proj"), ("ffn_up_exps", "up_proj"), ("ffn_down_exps", "down_proj")];

/// A router's correction: a bias in files, a tensor of its own on the hub.
pub(super) const CORRECTION: (&str, &str) = ("exp_probs_b.bias", "mlp.gate.e_score_correction_bias");

/// What the frequencies of Llama 3 are divided by.
pub(super) const FACTORS: &str = "rope_freqs.weight";

/// Of the vision tower, before `.weight` or `.bias`, as llama.cpp's `clip` has them.
pub(super) const VISION: [(&str, &str); 2] =
    [("v.patch_embd", "vision.patch_embed.proj"), ("v.post_ln", "vision.norm")];

/// Of a block `v.blk.N`, `vision.blocks.N`.
pub(super) const BLOCK: [(&str, &str); 6] = [
    ("ln1", "norm1"),
    ("attn_qkv", "attn.qkv"),
    ("attn_out", "attn.proj"),
    ("ln2", "norm2"),
    ("ffn_up", "mlp.fc1"),
    ("ffn_down", "mlp.fc2"),
];

/// Positions, and the rows between visual tokens: whole names.
pub(super) const POSITIONS: (&str, &str) = ("v.position_embd.weight", "vision.pos_embed");
pub(super) const ROWS: [(&str, &str); 2] =
    [("v.image_newline", "image_newline"), ("v.view_seperator", "view_seperator")];
/// The projector's layers.
pub(super) const PROJECTOR: (&str, &str) = ("mm.", "projector.layers.");

/// What a tensor is to a model whose language model's names begin with `language`.
pub(super) fn role(tensor: &GgufTensor, language: &str) -> Role {
    let shape = &tensor.shape;
    if tensor.name == FACTORS {
        return Role::None;
    }
    if tensor.name == POSITIONS.0 {
        return Role::One(POSITIONS.1.into(), [&[1][..], shape].concat());
    }
    if let Some((_, name)) = ROWS.iter().find(|(known, _)| *known == tensor.name) {
        return Role::One((*name).into(), shape.clone());
    }
    let Some((stem, suffix)) = tensor.name.rsplit_once('.') else { return own(tensor) };
    if let Some(rest) = stem.strip_prefix(PROJECTOR.0) {
        return Role::One(format!("{}{rest}.{suffix}", PROJECTOR.1), shape.clone());
    }
    if let Some((_, name)) = VISION.iter().find(|(known, _)| *known == stem) {
        return Role::One(format!("{name}.{suffix}"), shape.clone());
    }
    if let Some((_, name)) = MODEL.iter().find(|(known, _)| *known == stem) {
        return Role::One(format!("{language}{name}.{suffix}"), shape.clone());
    }
    if let Some((block, part)) = numbered(stem, "v.blk.") {
        let found = BLOCK.iter().find(|(known, _)| *known == part);
        let name = |(_, name): &(&str, &str)| format!("vision.blocks.{block}.{name}.{suffix}");
        return found.map_or_else(|| own(tensor), |pair| Role::One(name(pair), shape.clone()));
    }
    let Some((layer, part)) = numbered(stem, "blk.") else { return own(tensor) };
    in_layer(tensor, &format!("{language}model.layers.{layer}"), part, suffix)
}

fn in_layer(tensor: &GgufTensor, place: &str, part: &str, suffix: &str) -> Role {
    let shape = &tensor.shape;
    if format!("{part}.{suffix}") == CORRECTION.0 {
        return Role::One(format!("{place}.{}", CORRECTION.1), shape.clone());
    }
    if let Some((_, name)) = EXPERTS.iter().find(|(known, _)| *known == part) {
        let count = shape[0].min(MOST_EXPERTS);
        return Role::Stacked((0..count).map(|e| format!("{place}.mlp.experts.{e}.{name}.{suffix}")).collect());
    }
    let Some((_, name)) = LAYER.iter().find(|(known, _)| *known == part) else { return own(tensor) };
    let shape = match (*name, &shape[..]) {
        // Head by head.
        (KEYS_UP | VALUES_UP, &[heads, rows, cols]) => vec![heads.saturating_mul(rows), cols],
        _ => shape.clone(),
    };
    Role::One(format!("{place}.{name}.{suffix}"), shape)
}

fn own(tensor: &GgufTensor) -> Role {
    Role::One(tensor.name.clone(), tensor.shape.clone())
}

/// The number after a prefix, and what follows it.
pub(super) fn numbered<'a>(name: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (number, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some((number, rest))
}
